"""The choice: which candidates a list shows, and in which order.

Rules weigh, surprise discounts, variety and caps order, pins take their slots, the list is cut, and
one slot may go to something untried. It promises that all that acted is named, and says how many
places a deeper look into the sources could fill better: those that are empty, and those that a cap
would rather give to others. An explored item never takes the place of a pin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from catalog.wishes import RuleRow, ScenarioSettings
from recommend import candidates, explore, ordering, rerank, rules
from recommend.candidates import Candidate, Wanted
from recommend.explore import Drawn, Trial
from recommend.rerank import Caps

POOL_PER_ITEM: Final = 5
LEAST_POOL: Final = 50
"""Candidates gathered for a list: enough for rules and diversity to choose from."""

DEEP_POOL: Final = 2_000
"""Candidates of a second look, where the first falls short because so many of the best are
sold out, seen, hidden or more than a cap allows."""


@dataclass(frozen=True, slots=True)
class Explored:
    """What takes the slot of the untried: the draw that it won, and its place, 1 at the top."""

    drawn: Drawn
    place: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A list. `acted` has what rules hid, moved and pinned, `standing` where it was gathered."""

    listed: list[Candidate]
    lacking: int
    acted: dict[str, Any]
    standing: dict[str, Any]
    explored: Explored | None = None


def pool(count: int) -> int:
    """How many candidates a list of so many is chosen from."""
    return max(LEAST_POOL, POOL_PER_ITEM * count)


def choose(
    wanted: Wanted,
    rows: Sequence[RuleRow],
    settings: ScenarioSettings,
    count: int,
    *,
    seed: Sequence[int],
) -> Choice:
    """Gather and choose. `seed` is where the draw of the untried begins."""
    caps = _caps(settings, wanted.category)
    gathered = ordering.gather(wanted)
    weighed = rules.weigh(rerank.surprise(gathered.candidates, settings.serendipity), rows)
    pins = [rule.item for rule in rows if rule.action == "pin" and rule.item is not None]
    live = candidates.pinned(pins, wanted) if pins else {}
    ordered = rerank.diversify(
        _best(weighed.candidates, count, caps),
        count,
        diversity=settings.diversity,
        caps=caps,
        fixed=_within(rows, live, count),
    )
    placed, pinned = rules.pin(ordered, rows, live)
    listed = placed[:count]
    acted = {"hidden": weighed.hidden, "moved": weighed.moved, "pinned": pinned}
    chosen = Choice(listed, _lacking(listed, count, caps, pinned), acted, gathered.standing)
    able = [*weighed.candidates, *rules.weigh(gathered.newest, rows).candidates]
    return _with_untried(chosen, able, settings, wanted, seed)


def _caps(settings: ScenarioSettings, asked: int) -> Caps:
    return Caps(
        settings.most_per_category, settings.most_per_brand, settings.most_per_seller, asked
    )


def _best(found: Sequence[Candidate], count: int, caps: Caps) -> Sequence[Candidate]:
    """Enough to choose from; what caps would rather have comes along from further down."""
    best = found[: pool(count)]
    if len(best) == len(found) or not caps.are_set:
        return best
    over = {c.item for c in rerank.beyond(found, caps)}
    return [*best, *[c for c in found[len(best) :] if c.item not in over][:count]]


def _within(rows: Sequence[RuleRow], live: Mapping[int, Candidate], count: int) -> list[Candidate]:
    """The pinned items whose slot is in the list."""
    items = {r.item for r in rows if r.action == "pin" and (r.slot or 1) <= count}
    return [candidate for item, candidate in live.items() if item in items]


def _lacking(listed: Sequence[Candidate], count: int, caps: Caps, pinned: Mapping[int, int]) -> int:
    if not caps.are_set:
        return count - len(listed)
    first = sorted(listed, key=lambda c: c.item not in pinned)
    over = [c for c in rerank.beyond(first, caps) if c.item not in pinned]
    return count - len(listed) + len(over)


def _with_untried(
    chosen: Choice,
    able: Sequence[Candidate],
    settings: ScenarioSettings,
    wanted: Wanted,
    seed: Sequence[int],
) -> Choice:
    """The same list with its slot for the untried filled, where it has one and there is something."""
    trials: Mapping[str, tuple[int, int]] = chosen.standing.get("trials") or {}
    if wanted.listed is None or not trials:
        return chosen
    shown = {c.item for c in chosen.listed}
    untried = [c for c in able if str(c.item) in trials and c.item not in shown]
    caps = _caps(settings, wanted.category)
    fit = {c.item: c for c in rerank.fitting(untried, chosen.listed, caps)}
    drawn = explore.draw([Trial(item, *trials[str(item)]) for item in fit], seed)
    if drawn is None:
        return chosen
    return _put(chosen, fit[drawn.item], drawn, settings, wanted.listed)


def _put(
    chosen: Choice, untried: Candidate, drawn: Drawn, settings: ScenarioSettings, count: int
) -> Choice:
    listed = explore.put(
        chosen.listed, untried, slot=settings.explore_slot or 1, count=count,
        pinned=chosen.acted["pinned"],
    )  # fmt: skip
    if untried not in listed:
        return chosen
    return replace(chosen, listed=listed, explored=Explored(drawn, listed.index(untried) + 1))
