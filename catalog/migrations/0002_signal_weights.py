"""What each kind of event weighs in a projection."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="SignalWeights",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("projection", models.SlugField(editable=False, unique=True)),
                (
                    "weights",
                    models.JSONField(
                        default=dict,
                        help_text="By kind of event; what is not named weighs nothing.",
                    ),
                ),
                (
                    "double_click",
                    models.FloatField(
                        default=0.0,
                        help_text="The same shopper's same click on the same item within this time "
                        "counts once. 0: every click counts.",
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(60.0),
                        ],
                        verbose_name="double click (seconds)",
                    ),
                ),
            ],
            options={
                "ordering": ("projection",),
                "verbose_name_plural": "signal weights",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(double_click__gte=0, double_click__lte=60.0),
                        name="catalog_signalweights_double_click",
                    )
                ],
            },
        ),
    ]
