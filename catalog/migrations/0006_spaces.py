"""Factors and sequence, two sources of lists."""

import django.core.validators
from django.db import migrations, models

HELP = {
    "factors": "What lies near all that the shopper chose in the space of the shop's tastes; also "
    "reaches items that are new, by their texts. In a shopper's own list.",
    "sequence": "What comes next after all that the shopper did, in its order; in a shopper's own list.",
}


def added(name: str) -> list[migrations.operations.base.Operation]:
    return [
        migrations.AddField(
            model_name="scenario",
            name=name,
            field=models.FloatField(
                db_default=0.0,
                default=0.0,
                help_text=HELP[name],
                validators=[
                    django.core.validators.MinValueValidator(0.0),
                    django.core.validators.MaxValueValidator(1000.0),
                ],
            ),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.CheckConstraint(
                condition=models.Q((f"{name}__gte", 0), (f"{name}__lte", 1000.0)),
                name=f"catalog_scenario_{name}",
            ),
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0005_links"),
    ]

    operations = [
        *added("factors"),
        *added("sequence"),
        migrations.AlterField(
            model_name="scenario",
            name="content",
            field=models.FloatField(
                default=0.0,
                help_text="Items whose texts and images are alike; also reaches items that are new.",
                validators=[
                    django.core.validators.MinValueValidator(0.0),
                    django.core.validators.MaxValueValidator(1000.0),
                ],
            ),
        ),
    ]
