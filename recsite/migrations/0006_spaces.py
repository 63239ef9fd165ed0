"""A window onto spaces."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recsite", "0005_tunings"),
    ]

    operations = [
        migrations.CreateModel(
            name="SpaceRow",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("judged", models.JSONField()),
                ("until", models.DateTimeField(verbose_name="learned up to")),
                ("made_at", models.DateTimeField(verbose_name="made")),
                ("live_since", models.DateTimeField(null=True)),
                ("is_live", models.BooleanField(verbose_name="live")),
                ("ridge", models.BinaryField(null=True)),
            ],
            options={
                "verbose_name": "space",
                "db_table": "space",
                "managed": False,
            },
        ),
    ]
