"""Similar shoppers, a source of lists."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0003_variety"),
    ]

    operations = [
        migrations.AddField(
            model_name="scenario",
            name="shoppers",
            field=models.FloatField(
                db_default=0.0,
                default=0.0,
                help_text="What those did lately who chose the same; in lists that start "
                "from the shopper's history.",
                validators=[
                    django.core.validators.MinValueValidator(0.0),
                    django.core.validators.MaxValueValidator(1000.0),
                ],
            ),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.CheckConstraint(
                condition=models.Q(("shoppers__gte", 0), ("shoppers__lte", 1000.0)),
                name="catalog_scenario_shoppers",
            ),
        ),
    ]
