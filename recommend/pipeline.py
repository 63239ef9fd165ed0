"""The way from a request to a list: seeds, wishes, candidates and the choice among them, slate.

Every list goes this one way, from the API, in batch and in evaluation. It promises the same
list for the same request over the same tables, that the answer says by how much it falls
short, and a reason for each item. It never looks at the clock but for `now`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from behavior import slates
from catalog.wishes import RuleRow, ScenarioSettings, wishes
from recommend import choice, reasons, receipts
from recommend.candidates import Wanted
from recommend.choice import Choice, Explored
from recommend.familiar import PURCHASED
from recommend.projections.popularity import EVERYTHING
from recommend.reasons import Reason
from recommend.sources import NAMES
from recsite.db import cursor

SEEN: Final = {"none": 0, "purchased": PURCHASED, "interacted": -1}
"""exclude_seen as a mask over user_item.kinds."""


class Refused(Exception):
    """The request cannot be answered: a status, a code and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a list. `items` are what the page or the basket shows."""

    scenario: str
    shopper: str | None = None
    items: tuple[str, ...] = ()
    category: str | None = None
    count: int | None = None
    exclude_seen: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """An item of a list."""

    item: int
    item_id: str
    score: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Composed:
    """A list, before it is recorded. `unknown` are ids of the request that nobody ever named;
    `receipt` is what it rests on (recommend.receipts); `explored` what took the slot of the untried."""

    ask: Ask
    items: tuple[Shown, ...]
    shortfall: int
    position: str
    unknown: tuple[str, ...]
    acted: dict[str, Any]
    receipt: dict[str, Any] = field(compare=False)
    explored: Explored | None = None


def compose(ask: Ask, now: datetime) -> Composed:
    """Make the list. Raises Refused for an unknown scenario, item or category."""
    settings, rows = _wishes(ask.scenario, now)
    return arrange(ask, now, settings, rows, seed=receipts.seed(ask))


def arrange(
    ask: Ask, now: datetime, settings: ScenarioSettings, rows: Sequence[RuleRow], *, seed: int
) -> Composed:
    """Make the list as these settings and rules want it; `seed` is where its randomness begins."""
    count = ask.count or settings.count
    seeds, unknown = _seeds(ask, settings)
    wanted = _wanted(ask, now, settings, rows, seeds)
    # The day's, too: a reload shows the same, and tomorrow may try out another.
    of_day = (seed, now.astimezone(UTC).toordinal())
    chosen = choice.choose(wanted, rows, settings, count, seed=of_day)
    if chosen.lacking:
        deep = replace(wanted, pool=choice.DEEP_POOL)
        chosen = choice.choose(deep, rows, settings, count, seed=of_day)
    standing, shown = chosen.standing, _shown(chosen, ask.shopper)
    return Composed(
        ask, shown, count - len(shown), receipts.log_end(standing), unknown, chosen.acted,
        receipts.receipt(now, settings=settings, rules=rows, standing=standing, seed=seed),
        chosen.explored,
    )  # fmt: skip


def _wanted(
    ask: Ask,
    now: datetime,
    settings: ScenarioSettings,
    rows: Sequence[RuleRow],
    seeds: Sequence[int] | None,
) -> Wanted:
    count = ask.count or settings.count
    return Wanted(
        shopper=ask.shopper,
        seeds=seeds,
        weights=[getattr(settings, name) for name in NAMES],
        category=_category(ask.category),
        seen=SEEN[ask.exclude_seen or settings.exclude_seen],
        pool=choice.pool(count),
        attributes=any(rule.attribute for rule in rows),
        now=now,
        fame=settings.serendipity > 0,
        listed=count if 0 < (settings.explore_slot or 0) <= count else None,
    )


def serve(ask: Ask, now: datetime) -> tuple[str, Composed]:
    """Make the list and keep it as a slate; returns its recommendation_id too."""
    composed = compose(ask, now)
    served = slates.Served(
        scenario=ask.scenario,
        shopper=ask.shopper,
        items=[shown.item for shown in composed.items],
        shortfall=composed.shortfall,
        position=composed.position,
        detail=_detail(composed),
    )
    return str(slates.record(served)), composed


def _wishes(name: str, now: datetime) -> tuple[ScenarioSettings, tuple[RuleRow, ...]]:
    found = wishes(name, now)
    if found is None:
        raise Refused(
            404, "unknown_scenario", f"There is no scenario {name[:100]!r} that is switched on."
        )
    return found


# Ids of the request that the shop or the log has named.
RESOLVE: Final = "SELECT key, item FROM item_key WHERE key = ANY (%s)"


def _seeds(ask: Ask, settings: ScenarioSettings) -> tuple[list[int] | None, tuple[str, ...]]:
    """The interned ids of what the list starts from; None for the shopper's own history."""
    if settings.recipe == "personal":
        return None, ()
    if settings.recipe == "popular" or (settings.recipe == "basket" and not ask.items):
        return [], ()
    if not ask.items:
        raise Refused(400, "no_item", f"The scenario {ask.scenario!r} needs an item_id.")
    with cursor() as hot:
        hot.execute(RESOLVE, [list(ask.items)], prepare=True)
        known = dict(hot.fetchall())
    if not known:
        raise Refused(404, "unknown_item", f"No item {ask.items[0][:100]!r} is known.")
    return list(known.values()), tuple(i for i in ask.items if i not in known)


FIND_CATEGORY: Final = "SELECT id FROM catalog_category WHERE path = %s"


def _category(path: str | None) -> int:
    if path is None:
        return EVERYTHING
    with cursor() as hot:
        hot.execute(FIND_CATEGORY, [path], prepare=True)
        row = hot.fetchone()
    if row is None:
        raise Refused(404, "unknown_category", f"There is no category {path[:100]!r}.")
    return int(row[0])


def _shown(chosen: Choice, shopper: str | None) -> tuple[Shown, ...]:
    explored = chosen.explored.drawn.item if chosen.explored else None
    why = reasons.explain(chosen.listed, shopper, chosen.acted["pinned"], explored)
    return tuple(Shown(c.item, c.item_id, round(c.score, 6), why[c.item]) for c in chosen.listed)


def _detail(composed: Composed) -> dict[str, Any]:
    """What is needed to explain a slate later, and to make it again."""
    ask = composed.ask
    return {
        "asked": {"items": ask.items, "category": ask.category, "count": ask.count,
                  "exclude_seen": ask.exclude_seen},
        "scores": [shown.score for shown in composed.items],
        "reasons": [[reason.said() for reason in shown.reasons] for shown in composed.items],
        "rules": {
            "hidden": {str(item): rule for item, rule in composed.acted["hidden"].items()},
            "moved": {str(item): ids for item, ids in composed.acted["moved"].items()},
            "pinned": {str(item): rule for item, rule in composed.acted["pinned"].items()},
        },
        "receipt": composed.receipt,
    } | _explored(composed.explored)  # fmt: skip


def _explored(explored: Explored | None) -> dict[str, Any]:
    """With the propensity, what is learned from such lists can be weighed for who was drawn."""
    if explored is None:
        return {}
    drawn = explored.drawn
    return {"explored": {"item": drawn.item, "place": explored.place,
                         "propensity": drawn.propensity, "of": drawn.of}}  # fmt: skip
