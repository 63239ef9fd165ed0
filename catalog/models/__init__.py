"""The catalogue's tables: what the shop sells, where lists are shown, what the merchant wants."""

from catalog.models.goods import Category, Item
from catalog.models.places import ExcludeSeen, Recipe, Scenario
from catalog.models.rules import Action, Rule
from catalog.models.weights import SignalWeights

__all__ = [
    "Action", "Category", "ExcludeSeen", "Item", "Recipe", "Rule", "Scenario", "SignalWeights",
]  # fmt: skip
