"""The merchant's admin. Django finds it here; the pages are in `goods`, `weights` and `wishes`."""

from catalog.admin.goods import CategoryAdmin, ItemAdmin
from catalog.admin.weights import SignalWeightsAdmin
from catalog.admin.wishes import RuleAdmin, ScenarioAdmin

__all__ = ["CategoryAdmin", "ItemAdmin", "RuleAdmin", "ScenarioAdmin", "SignalWeightsAdmin"]
