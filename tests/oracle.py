"""What every projection must hold, computed in naive Python from the set of facts.

Pure: no database and no SQL, and nothing of the folds but their constants, so that an error
in a statement cannot be repeated here. Slow, and meant to be read beside the projections.
"""

import hashlib
import math
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from behavior import standing, user_state
from behavior.events import Event, Kind
from catalog.countings import SHIPPED, Counting
from catalog.feed import ItemContent
from recommend.projections import pairs as pairing
from recommend.projections import popularity
from recommend.projections.neighbours import NEIGHBOURS
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
    stars: float | None = None
    about: str | None = None
    undo: bool = False

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
        said = event.detail or {}
        yield Fact(made, at, event.kind, event.subject, line.item, event.slate,
                   said.get("rating"), said.get("person"), bool(said.get("undo")))  # fmt: skip


# ── people ─────────────────────────────────────────────────────────────────────────────────


def persons(log: Iterable[Fact]) -> dict[str, str | None]:
    """subject → the person they are; None for the hidden. Who is alone is left out."""
    links, hidden = _links(log)
    names = links.keys() | hidden
    found = {name: None if name in hidden else _root(name, links) for name in names}
    return {name: person for name, person in found.items() if person != name}


def _links(log: Iterable[Fact]) -> tuple[dict[str, str], set[str]]:
    """Which name leads to which, and who is hidden, by what was said last."""
    said: dict[tuple[str, Kind, str | None], Fact] = {}
    for fact in sorted(log):
        if fact.kind in (Kind.IDENTIFY, Kind.SUBJECT_QUARANTINED):
            said[fact.subject, fact.kind, fact.about] = fact
    standing = sorted(fact for fact in said.values() if not fact.undo)
    links = {f.subject: str(f.about) for f in standing if f.kind is Kind.IDENTIFY}
    return links, {f.subject for f in standing if f.kind is Kind.SUBJECT_QUARANTINED}


def _root(name: str, links: Mapping[str, str]) -> str:
    path = [name]
    while (following := links.get(path[-1])) is not None:
        if following in path:
            return min(path[path.index(following) :])
        path.append(following)
    return path[-1]


def of_persons(log: Iterable[Fact]) -> list[Fact]:
    """The facts with the person in place of the subject; those of the hidden are left out."""
    everyone = list(log)
    known = persons(everyone)
    return [
        replace(fact, subject=person)
        for fact in everyone
        if (person := known.get(fact.subject, fact.subject)) is not None
    ]


def _by_subject(those: Iterable[Fact]) -> dict[str, list[Fact]]:
    ordered = sorted(those, key=lambda fact: (fact.subject, fact.id))
    return {subject: list(own) for subject, own in groupby(ordered, lambda fact: fact.subject)}


def _weight(fact: Fact, counting: Counting) -> float:
    """A rating weighs from minus its kind's weight (no star) to all of it (five)."""
    weight = counting.weights.get(fact.kind, 0.0)
    if fact.kind is not Kind.RATE:
        return weight
    half_stars = math.floor((5.0 if fact.stars is None else fact.stars) * 2 + 0.5)
    return weight * math.cbrt((2 * min(half_stars, 10) - 10) / 10)


def _standing(history: list[Fact], counting: Counting, double_click: float) -> list[Fact]:
    """What of a person's history was not taken back, in its order, and pairs at all."""
    kept = []
    for place, fact in enumerate(history):
        earlier = [f for f in history[:place] if f.item == fact.item]
        if _weight(fact, counting) <= 0 or fact.kind in UNDOING or fact.item is None:
            continue
        if _is_taken_back(fact, history[place + 1 :]) or _is_repeat(fact, earlier, double_click):
            continue
        kept.append(fact)
    return kept


def _is_taken_back(fact: Fact, later: Sequence[Fact]) -> bool:
    of_item = [f for f in later if f.item == fact.item]
    undo = TAKES_BACK.get(fact.kind)
    after = next((f.kind for f in of_item if f.kind in (fact.kind, undo)), None)
    if undo is not None and after is undo:
        return True
    return fact.kind in standing.LOOKS and any(f.kind is Kind.DISMISS for f in of_item)


def _is_repeat(fact: Fact, earlier: Sequence[Fact], double_click: float) -> bool:
    if not double_click or fact.kind in (Kind.PURCHASE, Kind.REFUND):
        return False
    same = [f.at for f in earlier if (f.kind, _half(f)) == (fact.kind, _half(fact))]
    return bool(same) and fact.at - max(same) <= timedelta(seconds=double_click)


def _half(fact: Fact) -> int:
    return math.floor((5.0 if fact.stars is None else fact.stars) * 2 + 0.5)


TAKES_BACK: Final = {done: undo for undo, done in standing.UNDOES.items()}
UNDOING: Final = (*standing.UNDOES, Kind.DISMISS)


# ── co-visitation ──────────────────────────────────────────────────────────────────────────


def pairs(
    log: Iterable[Fact], counting: Counting = SHIPPED["covisit"]
) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(at, to) → (viewed, bought, led)."""
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    dealt = [f for f in of_persons(log) if f.kind in user_state.KINDS and f.item is not None]
    for all_ in _by_subject(dealt).values():
        history = _standing(all_, counting, counting.double_click)
        for place, later in enumerate(history):
            for gap, earlier in enumerate(reversed(history[:place]), 1):
                if gap <= pairing.WINDOW and earlier.item != later.item:
                    _count(sums, earlier, later, gap, counting)
    return {pair: (v, b, led) for pair, (v, b, led) in sums.items()}


def _count(
    sums: dict[tuple[str, str], list[int]], earlier: Fact, later: Fact, gap: int, counting: Counting
) -> None:
    a, b = str(earlier.item), str(later.item)
    weight = round(pairing.UNIT * gap**-0.5 * _weight(earlier, counting) * _weight(later, counting))
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
        key: sorted(all_, key=lambda n: (-n[1], rank[n[0]]))[:NEIGHBOURS]
        for key, all_ in found.items()
    }


def counts(
    log: Iterable[Fact], counting: Counting = SHIPPED["covisit"]
) -> dict[str, tuple[int, int]]:
    """item → (seen, bought); what takes back counts against."""
    seen: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for fact in _shown_once(log, counting):
        seen[str(fact.item)][0] += round(pairing.UNIT * _seen(fact, counting))
        seen[str(fact.item)][1] += pairing.UNIT * (
            (fact.kind is Kind.PURCHASE) - (fact.kind is Kind.REFUND)
        )
    return {item: (s, b) for item, (s, b) in seen.items() if (s, b) != (0, 0)}


def _seen(fact: Fact, counting: Counting) -> float:
    if fact.kind in standing.UNDOES:
        return -counting.weights.get(standing.UNDOES[fact.kind], 0.0)
    if fact.kind is Kind.DISMISS:
        return -max(counting.weights.get(kind, 0.0) for kind in standing.LOOKS)
    return _weight(fact, counting)


def _shown_once(log: Iterable[Fact], counting: Counting) -> list[Fact]:
    """Facts about items by subjects who are not hidden; the same click within seconds once."""
    everyone = list(log)
    hidden = {name for name, person in persons(everyone).items() if person is None}
    shown = [f for f in everyone if f.subject not in hidden and f.item is not None]
    found = []
    for history in _by_subject(shown).values():
        for place, fact in enumerate(history):
            earlier = [f for f in history[:place] if f.item == fact.item]
            if not _is_repeat(fact, earlier, counting.double_click):
                found.append(fact)
    return found


# ── popularity ─────────────────────────────────────────────────────────────────────────────


def days(
    log: Iterable[Fact], counting: Counting = SHIPPED["popularity"]
) -> dict[tuple[str, int], int]:
    """(item, days after START) → weight; a day that comes to nothing is none."""
    sums: defaultdict[tuple[str, int], int] = defaultdict(int)
    for fact in _shown_once(log, counting):
        day = fact.hour // 24 - FIRST_DAY
        sums[str(fact.item), day] += round(popularity.UNIT * _weight(fact, counting))
    return {of: weight for of, weight in sums.items() if weight}


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
        own[day] / popularity.UNIT * 2.0 ** ((day - newest) / half_life)
        for day in own
        if day > newest - popularity.REACH
    )
    if total <= 0:
        return None
    return round(popularity.UNIT * (newest / half_life + math.log2(total)))


def _and_above(path: str) -> list[str]:
    levels = path.split(" > ") if path else []
    return [" > ".join(levels[: depth + 1]) for depth in range(len(levels))]


# ── the rest ───────────────────────────────────────────────────────────────────────────────


def described(
    facts_of_items: Mapping[str, ItemContent | None],
) -> dict[str, tuple[str | None, str | None]]:
    """item → its (text, image) as of its newest change; none where it was removed."""
    return {
        item: (None, None) if content is None else (_body(content), content.image or None)
        for item, content in facts_of_items.items()
    }


def _body(content: ItemContent) -> str | None:
    said = (content.title, content.category, content.brand, content.description)
    return ". ".join(part for part in said if part)[:1_000] or None


def attributed(
    log: Iterable[Fact], slates: Mapping[uuid.UUID, tuple[str, ...]]
) -> list[tuple[uuid.UUID, str, str, int]]:
    """(slate, kind, item, place) in the order of events."""
    everyone = sorted(log)
    who = persons(everyone)
    found = []
    for place, fact in enumerate(everyone):
        showed = slates.get(fact.slate, ()) if fact.slate is not None else ()
        person = who.get(fact.subject, fact.subject) if fact.subject else None
        own = [f for f in everyone[place + 1 :] if who.get(f.subject, f.subject) == person]
        if fact.item not in showed or person is None or fact.kind in UNDOING:
            continue
        if fact.slate is not None and not _is_taken_back(fact, own):
            found.append((fact.slate, fact.kind.label, str(fact.item), showed.index(fact.item) + 1))
    return found


def states(log: Iterable[Fact]) -> dict[str, list[tuple[uuid.UUID, str, str]]]:
    """person → [(event id, kind, item)] of the newest dealings."""
    return {
        person: [(f.id, f.kind.label, str(f.item)) for f in reversed(own)][: user_state.RECENT]
        for person, own in _by_subject(_dealt(log)).items()
    }


def dealings(log: Iterable[Fact]) -> dict[tuple[str, str], tuple[Any, ...]]:
    """(person, item) → (kinds, newest id, hours of purchase and, negative, of refund)."""
    found: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in sorted(_dealt(log), reverse=True):
        found[fact.subject, str(fact.item)].append(fact)
    return {
        of: (frozenset(f.kind.label for f in own), own[0].id, _hours(own))
        for of, own in found.items()
    }


def _hours(own: Iterable[Fact]) -> list[int] | None:
    """Within an hour the refund counts as the later."""
    signs = {Kind.PURCHASE: 1, Kind.REFUND: -1}
    hours = [signs[f.kind] * f.hour for f in own if f.kind in signs]
    return sorted(hours, key=lambda hour: (-abs(hour), hour))[: user_state.PURCHASES] or None


def _dealt(log: Iterable[Fact]) -> list[Fact]:
    return [f for f in of_persons(log) if f.kind in user_state.KINDS and f.item is not None]
