"""What every projection must hold, computed in naive Python from the set of facts.

Pure: no database and no SQL, and nothing of the folds but their constants, so that an error
in a statement cannot be repeated here. Slow, and meant to be read beside the projections.
"""

import hashlib
import math
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from behavior import user_state
from behavior.events import Event, Kind
from catalog.feed import ItemContent
from recommend.projections import covisit, popularity
from tests.given import START

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY: Final = (START - EPOCH).days
VISIT: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """A line of an event, as the log knows it."""

    id: uuid.UUID
    at: datetime
    kind: Kind
    subject: str
    item: str | None
    slate: uuid.UUID | None

    @property
    def hour(self) -> int:
        return (self.at - EPOCH) // timedelta(hours=1)


def event_id(at: datetime, line: int, key: str) -> uuid.UUID:
    """Milliseconds, microseconds in them, number of the line, 48 bits of the key's hash."""
    millis = (at - EPOCH) // timedelta(milliseconds=1)
    micros = at.microsecond % 1_000
    hashed = hashlib.md5(key.encode()).hexdigest()[:12]
    return uuid.UUID(f"{millis:012x}7{micros:03x}8{line:03x}{hashed}")


def facts(events: Iterable[Event]) -> list[Fact]:
    """The set of facts in order of time; each event must have a key."""
    return sorted({fact.id: fact for event in events for fact in _lines(event)}.values())


def _lines(event: Event) -> Iterator[Fact]:
    assert event.key is not None
    assert event.subject is not None
    millis = (event.occurred_at - EPOCH) // timedelta(milliseconds=1)
    at = EPOCH + timedelta(milliseconds=millis)
    for number, line in enumerate(event.lines):
        made = event_id(event.occurred_at, number, event.key)
        yield Fact(made, at, event.kind, event.subject, line.item, event.slate)


def _by_subject(those: Iterable[Fact]) -> dict[str, list[Fact]]:
    ordered = sorted(those, key=lambda fact: (fact.subject, fact.id))
    return {subject: list(own) for subject, own in groupby(ordered, lambda fact: fact.subject)}


# ── co-visitation ──────────────────────────────────────────────────────────────────────────


def pairs(log: Iterable[Fact]) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(at, to) → (viewed, bought, led)."""
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    pairing = [f for f in log if f.kind in covisit.WEIGHTS and f.item is not None]
    for history in _by_subject(pairing).values():
        for place, later in enumerate(history):
            for gap, earlier in enumerate(reversed(history[:place]), 1):
                if gap <= covisit.WINDOW and earlier.item != later.item:
                    _count(sums, earlier, later, gap)
    return {pair: (v, b, led) for pair, (v, b, led) in sums.items()}


def _count(sums: dict[tuple[str, str], list[int]], earlier: Fact, later: Fact, gap: int) -> None:
    a, b = str(earlier.item), str(later.item)
    kinds = covisit.WEIGHTS[earlier.kind] * covisit.WEIGHTS[later.kind]
    weight = round(covisit.UNIT * gap**-0.5 * kinds)
    purchases = (earlier.kind is Kind.PURCHASE) + (later.kind is Kind.PURCHASE)
    one_order = purchases == 2 and later.at - earlier.at < VISIT
    if purchases < 2:
        sums[a, b][0] += weight
        sums[b, a][0] += weight // 2
    if one_order:
        sums[a, b][1] += weight
        sums[b, a][1] += weight
    elif later.kind is Kind.PURCHASE:
        sums[a, b][2] += weight
        sums[b, a][2] += 0  # the row of a pair serves both ways


def neighbours(
    of: Mapping[tuple[str, str], tuple[int, int, int]], rank: Mapping[str, int]
) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """(item, channel) → its heaviest neighbours; of equal ones the lower rank comes first."""
    found: defaultdict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for (at, to), weights in of.items():
        for channel, weight in zip(("viewed", "bought", "led"), weights, strict=True):
            if weight > 0:
                found[at, channel].append((to, weight))
    return {
        key: sorted(all_, key=lambda n: (-n[1], rank[n[0]]))[: covisit.NEIGHBOURS]
        for key, all_ in found.items()
    }


def counts(log: Iterable[Fact]) -> dict[str, tuple[int, int]]:
    """item → (seen, bought)."""
    seen: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for fact in log:
        if fact.kind in covisit.WEIGHTS and fact.item is not None:
            seen[fact.item][0] += round(covisit.UNIT * covisit.WEIGHTS[fact.kind])
            seen[fact.item][1] += covisit.UNIT * (fact.kind is Kind.PURCHASE)
    return {item: (s, b) for item, (s, b) in seen.items()}


# ── popularity ─────────────────────────────────────────────────────────────────────────────


def days(log: Iterable[Fact]) -> dict[tuple[str, int], int]:
    """(item, days after START) → weight."""
    sums: defaultdict[tuple[str, int], int] = defaultdict(int)
    for fact in log:
        if fact.kind in popularity.WEIGHTS and fact.item is not None:
            day = fact.hour // 24 - FIRST_DAY
            sums[fact.item, day] += popularity.UNIT * popularity.WEIGHTS[fact.kind]
    return dict(sums)


def popular(
    of: Mapping[tuple[str, int], int], catalogue: Mapping[str, ItemContent]
) -> dict[tuple[str, str], tuple[int, int]]:
    """(category, item) → (score, trend), for items on the shelf whose sum is above nothing."""
    found = {}
    for item, content in catalogue.items():
        own = {day + FIRST_DAY: weight for (i, day), weight in of.items() if i == item}
        score = _log_sum(own, popularity.HALF_LIFE)
        if score is not None:
            trend = _log_sum(own, popularity.TREND_HALF_LIFE) or 0
            for category in ("", *_and_above(content.category)):
                found[category, item] = (score, trend)
    return found


def _log_sum(own: Mapping[int, int], half_life: float) -> int | None:
    newest = max(own, default=0)
    total = math.fsum(
        own[day] / popularity.UNIT * 2.0 ** max((day - newest) / half_life, popularity.LEAST)
        for day in own
    )
    if total <= 0:
        return None
    return round(popularity.UNIT * (newest / half_life + math.log2(total)))


def _and_above(path: str) -> list[str]:
    levels = path.split(" > ") if path else []
    return [" > ".join(levels[: depth + 1]) for depth in range(len(levels))]


# ── the rest ───────────────────────────────────────────────────────────────────────────────


def passages(facts_of_items: Mapping[str, ItemContent | None]) -> dict[str, str | None]:
    """item → its text as of its newest change; none where it was removed."""
    return {
        item: None if content is None else _body(content)
        for item, content in facts_of_items.items()
    }


def _body(content: ItemContent) -> str | None:
    said = (content.title, content.category, content.brand, content.description)
    return ". ".join(part for part in said if part)[:1_000] or None


def attributed(
    log: Iterable[Fact], slates: Mapping[uuid.UUID, tuple[str, ...]]
) -> list[tuple[uuid.UUID, str, str, int]]:
    """(slate, kind, item, place) in the order of events."""
    found = []
    for fact in sorted(log):
        showed = slates.get(fact.slate, ()) if fact.slate is not None else ()
        if fact.slate is not None and fact.item in showed:
            found.append((fact.slate, fact.kind.label, str(fact.item), showed.index(fact.item) + 1))
    return found


def states(log: Iterable[Fact]) -> dict[str, list[tuple[uuid.UUID, str, str]]]:
    """subject → [(event id, kind, item)] of the newest dealings."""
    return {
        subject: [(f.id, f.kind.label, str(f.item)) for f in reversed(own)][: user_state.RECENT]
        for subject, own in _by_subject(_dealt(log)).items()
    }


def dealings(log: Iterable[Fact]) -> dict[tuple[str, str], tuple[Any, ...]]:
    """(subject, item) → (kinds, newest id, hours of purchase)."""
    found: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in sorted(_dealt(log), reverse=True):
        found[fact.subject, str(fact.item)].append(fact)
    return {
        of: (
            frozenset(f.kind.label for f in own),
            own[0].id,
            [f.hour for f in own if f.kind is Kind.PURCHASE][: user_state.PURCHASES] or None,
        )
        for of, own in found.items()
    }


def _dealt(log: Iterable[Fact]) -> list[Fact]:
    return [f for f in log if f.kind in user_state.KINDS and f.item is not None]
