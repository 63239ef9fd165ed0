"""The merchant's wishes for one list: a scenario's settings and the rules in force.

The hot path of every recommendation: one prepared statement, no ORM. It promises the rules
in the order of their ids, only those that apply to this scenario at this moment, and that a
rule about an item that nobody has ever heard of is left out. It never applies one.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from recsite.db import cursor

# A rule that names no scenario applies everywhere. The period is half-open. Not EXISTS for
# the item: Postgres would hash all of item_key for it.
ASK: Final = """
SELECT s.id, s.name, s.recipe, s.viewed, s.bought, s.led, s.content, s.popular, s.trending,
       s.again, s.exclude_seen, s.diversity, s.count, s.serendipity, s.most_per_category,
       s.most_per_brand, s.most_per_seller, s.explore_slot, s.shoppers, s.linked, s.factors, s.sequence,
       r.id, r.title, r.action, r.slot, r.factor,
       (SELECT item FROM item_key WHERE key = nullif(r.item_id, '')),
       r.category_id, nullif(r.brand, ''), nullif(r.attribute, ''), nullif(r.value, '')
FROM catalog_scenario s
LEFT JOIN catalog_rule r
    ON r.enabled
    AND (r.starts_at IS NULL OR r.starts_at <= %(now)s)
    AND (r.ends_at IS NULL OR r.ends_at > %(now)s)
    AND (r.item_id = '' OR (SELECT item FROM item_key WHERE key = r.item_id) IS NOT NULL)
    AND (EXISTS (SELECT FROM catalog_rule_scenarios t
                 WHERE t.rule_id = r.id AND t.scenario_id = s.id)
         OR NOT EXISTS (SELECT FROM catalog_rule_scenarios t WHERE t.rule_id = r.id))
WHERE s.name = %(name)s AND s.enabled
ORDER BY r.id
"""


@dataclass(frozen=True, slots=True)
class ScenarioSettings:
    """How a list is made; the weights are those of the sources of the same name.

    What has a default came later (scenarios.LATER): a receipt from before lacks it, and meant off.
    """

    id: int
    name: str
    recipe: str
    viewed: float
    bought: float
    led: float
    content: float
    popular: float
    trending: float
    again: float
    exclude_seen: str
    diversity: float
    count: int
    serendipity: float = 0.0
    most_per_category: int | None = None
    most_per_brand: int | None = None
    most_per_seller: int | None = None
    explore_slot: int | None = None
    shoppers: float = 0.0
    linked: float = 0.0
    factors: float = 0.0
    sequence: float = 0.0


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule in force. Exactly one of item (interned id), category (its id; the whole subtree
    is meant), brand, attribute with value is given; slot for a pin, factor for boost and bury."""

    id: int
    title: str
    action: str
    slot: int | None
    factor: float | None
    item: int | None
    category: int | None
    brand: str | None
    attribute: str | None
    value: str | None


SETTINGS: Final = len(fields(ScenarioSettings))


def wishes(scenario: str, now: datetime) -> tuple[ScenarioSettings, tuple[RuleRow, ...]] | None:
    """The scenario's settings and its rules at `now`; None where it is unknown or off."""
    with cursor() as hot:
        hot.execute(ASK, {"name": scenario, "now": now}, prepare=True)
        rows = hot.fetchall()
    if not rows:
        return None
    settings, rules = rows[0][:SETTINGS], (row[SETTINGS:] for row in rows)
    # Without any rule the outer join gives one row of nulls.
    return ScenarioSettings(*settings), tuple(RuleRow(*r) for r in rules if r[0] is not None)
