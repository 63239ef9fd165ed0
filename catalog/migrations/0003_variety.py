"""What makes a list various, and the newest items of a category."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_signal_weights"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="item",
            name="catalog_item_category",
        ),
        migrations.AddField(
            model_name="scenario",
            name="explore_slot",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="This place of the list goes to an item that few have been shown so far, "
                "to find out who likes it (needs impressions, as the tracker sends them). 1 is "
                "the first place; shorter lists have none. Empty: nothing is tried out.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
                verbose_name="slot for the untried",
            ),
        ),
        migrations.AddField(
            model_name="scenario",
            name="most_per_brand",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Empty: any number.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
                verbose_name="at most of one brand",
            ),
        ),
        migrations.AddField(
            model_name="scenario",
            name="most_per_category",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Empty: any number.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
                verbose_name="at most of one category",
            ),
        ),
        migrations.AddField(
            model_name="scenario",
            name="most_per_seller",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Empty: any number.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
                verbose_name="at most of one seller",
            ),
        ),
        migrations.AddField(
            model_name="scenario",
            name="serendipity",
            field=models.FloatField(
                db_default=0.0,
                default=0.0,
                help_text="0: the best items, however well known. 1: what is best known comes last.",
                validators=[
                    django.core.validators.MinValueValidator(0.0),
                    django.core.validators.MaxValueValidator(1.0),
                ],
            ),
        ),
        migrations.AddIndex(
            model_name="item",
            index=models.Index(fields=["category", "id"], name="catalog_item_newest"),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.CheckConstraint(
                condition=models.Q(("serendipity__gte", 0), ("serendipity__lte", 1)),
                name="catalog_scenario_serendipity",
            ),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.CheckConstraint(
                condition=models.Q(("most_per_category__gte", 1), ("most_per_category__lte", 100)),
                name="catalog_scenario_most_per_category",
            ),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.CheckConstraint(
                condition=models.Q(("most_per_brand__gte", 1), ("most_per_brand__lte", 100)),
                name="catalog_scenario_most_per_brand",
            ),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.CheckConstraint(
                condition=models.Q(("most_per_seller__gte", 1), ("most_per_seller__lte", 100)),
                name="catalog_scenario_most_per_seller",
            ),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.CheckConstraint(
                condition=models.Q(("explore_slot__gte", 1), ("explore_slot__lte", 100)),
                name="catalog_scenario_explore_slot",
            ),
        ),
    ]
