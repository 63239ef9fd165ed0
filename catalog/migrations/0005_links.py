"""Links, a source of lists."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0004_similar_shoppers"),
    ]

    operations = [
        migrations.AddField(
            model_name="scenario",
            name="linked",
            field=models.FloatField(
                db_default=0.0,
                default=0.0,
                help_text="What all that the shopper chose speaks for, taken together; in a shopper's "
                "own list that a ranker orders.",
                validators=[
                    django.core.validators.MinValueValidator(0.0),
                    django.core.validators.MaxValueValidator(1000.0),
                ],
            ),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.CheckConstraint(
                condition=models.Q(("linked__gte", 0), ("linked__lte", 1000.0)),
                name="catalog_scenario_linked",
            ),
        ),
    ]
