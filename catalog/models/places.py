"""Where lists are shown: scenarios and their settings.

It knows which settings make sense, and the database holds them to it.
"""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from catalog.scenarios import SOURCES

MOST_WEIGHT = 1_000.0
MOST_COUNT = 100
PLACES = ("most_per_category", "most_per_brand", "most_per_seller", "explore_slot")
"""Settings that are a number of places, or empty."""


class Recipe(models.TextChoices):
    """What a list starts from."""

    PERSONAL = "personal", "the shopper's history"
    SIMILAR = "similar", "one item"
    BASKET = "basket", "a whole basket"
    POPULAR = "popular", "nothing: what is popular"


class ExcludeSeen(models.TextChoices):
    """Which of the shopper's own items a list leaves out."""

    NONE = "none", "nothing"
    PURCHASED = "purchased", "what the shopper has bought"
    INTERACTED = "interacted", "everything the shopper has touched"


def _weight(help_text: str, **more: Any) -> "models.FloatField[float, float]":
    return models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(MOST_WEIGHT)],
        help_text=help_text,
        **more,
    )


def _whole(name: str, help_text: str) -> "models.PositiveSmallIntegerField[int | None, int | None]":
    return models.PositiveSmallIntegerField(
        name,
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_COUNT)],
        help_text=help_text,
    )


class Scenario(models.Model):
    """A named place where lists are shown, with its settings."""

    name = models.SlugField(
        unique=True, help_text="Part of the address: /v1/recommend/NAME. Fixed once made."
    )
    title = models.CharField(max_length=200, help_text="What your team calls this place.")
    recipe = models.CharField(
        "starts from", max_length=20, choices=Recipe.choices, default=Recipe.PERSONAL
    )
    viewed = _weight("Items that are looked at together.")
    bought = _weight("Items that are bought together.")
    led = _weight("Items that get bought after what the shopper did.")
    content = _weight("Items whose texts and images are alike; also reaches items that are new.")
    popular = _weight("What sells and is looked at most.")
    trending = _weight("What is rising right now.")
    again = _weight("What the shopper buys again and again.")
    shoppers = _weight(
        # Code from before the source may still be making scenarios.
        "What those did lately who chose the same; in lists that start from the shopper's history.",
        db_default=0.0,
    )
    linked = _weight(
        "What all that the shopper chose speaks for, taken together; in a shopper's own list that a "
        "ranker orders.",
        db_default=0.0,
    )
    factors = _weight(
        "What lies near all that the shopper chose in the space of the shop's tastes; also reaches items "
        "that are new, by their texts. In a shopper's own list.",
        db_default=0.0,
    )
    sequence = _weight(
        "What comes next after all that the shopper did, in its order; in a shopper's own list.",
        db_default=0.0,
    )
    exclude_seen = models.CharField(
        "leaves out", max_length=20, choices=ExcludeSeen.choices, default=ExcludeSeen.NONE
    )
    diversity = models.FloatField(
        default=0.2,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="0: the best items, however alike. 1: as varied as can be.",
    )
    serendipity = models.FloatField(
        default=0.0,
        # Code from before the setting may still be making scenarios.
        db_default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="0: the best items, however well known. 1: what is best known comes last.",
    )
    most_per_category = _whole("at most of one category", "Empty: any number.")
    most_per_brand = _whole("at most of one brand", "Empty: any number.")
    most_per_seller = _whole("at most of one seller", "Empty: any number.")
    explore_slot = _whole(
        "slot for the untried",
        "This place of the list goes to an item that few have been shown so far, to find out who "
        "likes it (needs impressions, as the tracker sends them). 1 is the first place; shorter "
        "lists have none. Empty: nothing is tried out.",
    )
    count = models.PositiveSmallIntegerField(
        "list length",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_COUNT)],
        help_text="How many items a list has where the request does not say.",
    )
    enabled = models.BooleanField(default=True, help_text="Off: requests get a 404.")

    class Meta:
        ordering = ("id",)
        constraints = (
            *(
                # The upper bound also keeps NaN out, which Postgres puts above every number.
                models.CheckConstraint(
                    condition=Q(**{f"{s}__gte": 0, f"{s}__lte": MOST_WEIGHT}),
                    name=f"catalog_scenario_{s}",
                )
                for s in SOURCES
            ),
            models.CheckConstraint(
                condition=Q(diversity__gte=0, diversity__lte=1), name="catalog_scenario_diversity"
            ),
            models.CheckConstraint(
                condition=Q(count__gte=1, count__lte=MOST_COUNT), name="catalog_scenario_count"
            ),
            models.CheckConstraint(
                condition=Q(serendipity__gte=0, serendipity__lte=1),
                name="catalog_scenario_serendipity",
            ),
            *(
                # A check that comes to null passes.
                models.CheckConstraint(
                    condition=Q(**{f"{s}__gte": 1, f"{s}__lte": MOST_COUNT}),
                    name=f"catalog_scenario_{s}",
                )
                for s in PLACES
            ),
        )

    def __str__(self) -> str:
        return self.name
