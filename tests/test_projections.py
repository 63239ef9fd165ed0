"""The contract of every projection: a function of the set of facts, and of nothing else.

Hypothesis draws a history (few shoppers, few items, every kind of event, times that collide,
late ones, changes of the catalogue) and a way to deliver it (split, shuffled, repeated, with
workers that advance in between). Whatever the way, each table must hold what tests.oracle
computes from the set. user_state is among them: it moves with the log rather than by a fold.
"""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle, islice
from typing import Any, Final

import hypothesis
import pytest
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st

from behavior.events import BY_NAME, WITHOUT_ITEM, Event, Kind
from behavior.names import intern_items
from behavior.user_state import RECENT
from catalog import changes
from catalog.countings import SHIPPED, wanted
from catalog.feed import ItemContent
from recommend import fold, proof
from recommend.projections import PROJECTIONS, neighbours
from recsite.db import cursor, one_snapshot
from tests import oracle
from tests.conftest import wipe
from tests.given import (
    advance,
    all_neighbours,
    ask,
    contents,
    counts,
    did,
    differing,
    given,
    identify,
    names,
    pairs,
    quarantine,
    rate,
    states,
)

pytestmark = pytest.mark.usefixtures("committed")

USERS: Final = ("user:ann", "user:bob", "anonymous:ann", "anonymous:bob")
ITEMS: Final = tuple("abcdef")
SLATES: Final = {uuid.UUID(int=1): ("a", "b", "c"), uuid.UUID(int=2): ("f", "c")}
MOVES_WITH_THE_LOG: Final = "user_state"
EVERY: Final = (*(one.NAME for one in PROJECTIONS), MOVES_WITH_THE_LOG)


@dataclass(frozen=True)
class Remove:
    """The merchant takes an item off the shelf."""

    item_id: str


Change = ItemContent | Remove
Step = list[Event] | Change | None
"""A transaction: events, or a change of the catalogue; None is a worker that advances."""


@dataclass(frozen=True)
class Delivery:
    """One way in which a history may reach the log."""

    events: list[Event]
    changes: list[Change]
    steps: list[Step]

    @property
    def in_one_go(self) -> list[Step]:
        return [*self.changes, self.events, None]

    def __repr__(self) -> str:
        """Short enough to be read in a report of Hypothesis."""
        return "\n".join(map(_said, self.steps))

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(repr(self))


def _said(step: Step) -> str:
    if not isinstance(step, list):
        return "advance" if step is None else repr(step)
    return "append " + ", ".join(
        f"{e.key}: {e.subject} {e.kind.label} {[line.item for line in e.lines]} at {e.occurred_at}"
        for e in step
    )


# ── what is drawn ──────────────────────────────────────────────────────────────────────────

kinds = st.one_of(
    st.sampled_from((Kind.VIEW_ITEM, Kind.PURCHASE)),
    st.sampled_from((*BY_NAME.values(), Kind.SUBJECT_QUARANTINED)),
)
users = st.sampled_from(USERS)
items = st.sampled_from(ITEMS)
milliseconds = st.sampled_from((0, 0, 0, -1, 1)).map(lambda ms: ms / 60_000)
# Tens of minutes, so that times collide and half an hour is met exactly; or some day.
minutes = st.one_of(st.integers(0, 9).map(lambda n: n * 10), st.integers(0, 90 * 24 * 60))
moments = st.tuples(minutes, milliseconds).map(lambda parts: float(sum(parts)))


@st.composite
def short_histories(draw: st.DrawFn) -> list[Event]:
    """A few events of anybody at any time."""
    return draw(st.lists(events_at(moments), min_size=1, max_size=25))


@st.composite
def long_histories(draw: st.DrawFn) -> list[Event]:
    """A shopper whose history is longer than user_state, then events that come late into it."""
    steps = draw(st.lists(st.tuples(kinds, items, st.integers(1, 90)), min_size=2, max_size=8))
    count = draw(st.integers(RECENT - 5, 2 * RECENT - 20))
    repeated = list(islice(cycle(steps), count))
    times = list(accumulate(gap for _, _, gap in repeated))
    long = [
        _one_of_many(kind, item, at, number)
        for number, ((kind, item, _), at) in enumerate(zip(repeated, times, strict=True))
    ]
    within = st.tuples(st.sampled_from(times), st.sampled_from((-0.5, 0.0, 0.5))).map(sum)
    return long + draw(st.lists(events_at(within, st.just(USERS[0])), max_size=6))


def _one_of_many(kind: Kind, item: str, at: float, number: int) -> Event:
    """Joined and parted, hidden and shown in turns."""
    if kind is Kind.IDENTIFY:
        return identify(USERS[0], USERS[1], at=at, undo=number % 2 == 0)
    if kind is Kind.SUBJECT_QUARANTINED:
        return quarantine(USERS[0], at=at, undo=number % 2 == 0)
    return did(kind, USERS[0], item, at=at)


@st.composite
def events_at(
    draw: st.DrawFn, when: st.SearchStrategy[float], who: st.SearchStrategy[str] = users
) -> Event:
    kind = draw(kinds)
    name, at, undo = draw(who), draw(when), draw(st.booleans())
    if kind is Kind.IDENTIFY:
        return identify(name, draw(users.filter(lambda other: other != name)), at=at, undo=undo)
    if kind is Kind.SUBJECT_QUARANTINED:
        return quarantine(name, at=at, undo=undo)
    if kind is Kind.RATE:
        return rate(name, draw(items), draw(st.sampled_from((0, 1, 2.5, 4.2, 5))), at=at)
    fewest = 0 if kind in WITHOUT_ITEM else 1
    those = draw(st.lists(items, min_size=fewest, max_size=3))
    slate = draw(st.sampled_from((None, None, *SLATES)))
    return did(kind, name, *those, at=at, slate=slate)


contents_of_items = st.builds(
    ItemContent,
    item_id=items,
    title=st.sampled_from(("", "Mug", "Plate")),
    category=st.sampled_from(("", "Home", "Home > Kitchen", "Garden")),
    brand=st.sampled_from(("", "Acme")),
    image=st.sampled_from(("", "red.png", "blue.png")),
    stock=st.sampled_from((None, 0, 5)),
)
catalogues = st.lists(st.one_of(contents_of_items, st.builds(Remove, items)), max_size=8)


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """A history and a way to deliver it."""
    drawn = draw(st.one_of(short_histories(), long_histories()))
    events = [event._replace(key=f"k{n}") for n, event in enumerate(drawn)]
    changes = draw(catalogues)
    return Delivery(events, changes, draw(steps_of(events, changes)))


@st.composite
def steps_of(draw: st.DrawFn, events: list[Event], changes: list[Change]) -> list[Step]:
    """Batches of any size in any order, some events again, and workers in between."""
    chance = random.Random(draw(st.integers(0, 2**16)))
    sent = list(events)
    match draw(st.sampled_from(("as drawn", "as it happened", "shuffled"))):
        case "as it happened":
            sent.sort(key=lambda event: event.occurred_at)
        case "shuffled":
            chance.shuffle(sent)
    for again in draw(st.lists(st.sampled_from(events), max_size=6)):
        sent.insert(chance.randint(0, len(sent)), again)
    sizes = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    steps: list[Step] = list(_batches(sent, sizes))
    places = sorted(chance.randint(0, len(steps)) for _ in changes)
    for before, (place, change) in enumerate(zip(places, changes, strict=True)):
        steps.insert(before + place, change)
    advancing = draw(st.lists(st.booleans(), min_size=1, max_size=4))
    return [*_with_workers(steps, advancing), None]


def _batches(sent: list[Event], sizes: list[int]) -> Iterator[list[Event]]:
    rest = iter(sent)
    for size in cycle(sizes):
        if not (batch := list(islice(rest, size))):
            return
        yield batch


def _with_workers(steps: Sequence[Step], advancing: list[bool]) -> Iterator[Step]:
    for step, is_followed in zip(steps, cycle(advancing), strict=False):
        yield step
        if is_followed:
            yield None


# ── how it is delivered, and what is expected ──────────────────────────────────────────────


def deliver(steps: Sequence[Step], name: str | None = None) -> None:
    """Into an empty database that has served two slates; workers advance `name`, or all."""
    wipe()
    _serve()
    go_on(steps, name)


def go_on(steps: Sequence[Step], name: str | None = None) -> None:
    """Into the database as it stands."""
    for step in steps:
        match step:
            case None if name != MOVES_WITH_THE_LOG:
                advance(name)
            case list():
                given(step)
            case ItemContent():
                changes.put([step])
            case Remove(item_id):
                changes.remove([item_id])


def _serve() -> None:
    with transaction.atomic(), cursor() as hot:
        known = intern_items(ITEMS)
        for slate, showed in SLATES.items():
            hot.execute(
                "INSERT INTO slate (id, scenario, items, shortfall, position, detail)"
                " VALUES (%s, 'home', %s, 0, '0', '{}')",
                [slate, [known[item] for item in showed]],
            )


def expected(delivery: Delivery) -> dict[str, Any]:
    """What the oracle says all tables hold."""
    facts = oracle.facts(delivery.events)
    shelf: dict[str, ItemContent] = {}
    said: dict[str, ItemContent | None] = {}
    for change in delivery.changes:
        if isinstance(change, ItemContent):
            shelf[change.item_id] = said[change.item_id] = change
        elif shelf.pop(change.item_id, None) is not None:
            said[change.item_id] = None
    return {
        "covisit": oracle.pairs(facts),
        "item_count": oracle.counts(facts),
        "popularity_day": oracle.days(facts),
        "popularity": oracle.popular(oracle.days(facts), shelf),
        "item_passage": oracle.described(said),
        "attribution": oracle.attributed(facts, SLATES),
        "user_state": oracle.states(facts),
        "user_item": oracle.dealings(facts),
        "person": oracle.persons(facts),
    }


def ranked() -> dict[tuple[str, str], list[tuple[str, int]]]:
    """The neighbours that the oracle ranks out of the pairs counted in this database."""
    rank = {key: number for number, key in names("item_key").items()}
    return oracle.neighbours(contents(["covisit"])["covisit"], rank)


# ── the contract ───────────────────────────────────────────────────────────────────────────


@settings(max_examples=80)
@hypothesis.given(deliveries())
def test_every_table_holds_what_the_set_of_facts_says(delivery: Delivery) -> None:
    deliver(delivery.steps)
    held = contents()
    del held["neighbours"]
    assert held == expected(delivery)
    assert all_neighbours() == ranked()
    assert differing() == []


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=12)
@hypothesis.given(delivery=deliveries())
def test_any_split_any_order_and_any_repetition_gives_the_state_of_one_go(
    name: str, delivery: Delivery
) -> None:
    deliver(delivery.in_one_go, name)
    at_once = contents([name])
    deliver(delivery.steps, name)
    assert contents([name]) == at_once


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=8)
@hypothesis.given(delivery=deliveries())
def test_advancing_twice_equals_once(name: str, delivery: Delivery) -> None:
    deliver(delivery.steps, name)
    once = contents([name])
    if name != MOVES_WITH_THE_LOG:
        assert advance(name) == [0]
    given(*delivery.events)  # all of it again
    if name != MOVES_WITH_THE_LOG:
        assert advance(name) == [0]
    assert contents([name]) == once


@pytest.mark.parametrize("one", PROJECTIONS, ids=lambda one: one.NAME)
@settings(max_examples=8)
@hypothesis.given(delivery=deliveries())
def test_a_rebuild_equals_what_grew_and_goes_on_growing(one: Any, delivery: Delivery) -> None:
    half = len(delivery.steps) // 2
    deliver(delivery.steps, one.NAME)
    grown = fold_state(one)
    fold.rebuild(one)
    assert fold_state(one) == grown

    deliver(delivery.steps[:half], one.NAME)
    fold.rebuild(one)
    for step in delivery.steps[half:]:
        if isinstance(step, list):
            given(step)
    advance(one.NAME)
    assert {t: live == built for t, (live, built) in proof.verify(one).items()} == {
        table.name: True for table in one.TABLES
    }


def fold_state(one: Any) -> dict[str, str]:
    with one_snapshot() as inside:
        return proof.checksums(inside, one.TABLES)


class Crash(Exception):
    """The worker dies here."""


@pytest.mark.parametrize("one", PROJECTIONS, ids=lambda one: one.NAME)
@settings(max_examples=8)
@hypothesis.given(delivery=deliveries())
def test_a_crash_between_fold_and_position_changes_nothing(one: Any, delivery: Delivery) -> None:
    deliver([delivery.events[:1], *delivery.changes, None], one.NAME)
    before, (since, position) = contents([one.NAME]), standing(one.NAME)
    given(delivery.events)
    with pytest.raises(Crash):
        fold_and_crash(one, since)
    assert contents([one.NAME]) == before
    assert standing(one.NAME) == (since, position)

    advance(one.NAME)
    held = contents([one.NAME])
    held.pop("neighbours", None)
    assert held == {table: expected(delivery)[table] for table in held}


def fold_and_crash(one: Any, since: str) -> None:
    with one_snapshot() as inside:
        one.fold(inside, since, wanted(one.NAME))
        raise Crash


def standing(name: str) -> tuple[str, Any]:
    """A projection's snapshot, and the rest of its row."""
    ((snapshot, *rest),) = ask(
        "SELECT snapshot, version, epoch, events, folded_at FROM projection WHERE name = %s", name
    )
    return snapshot, rest


# ── late events ────────────────────────────────────────────────────────────────────────────


@settings(max_examples=25)
@hypothesis.given(st.data())
def test_an_event_that_comes_late_into_a_long_history_counts_as_if_it_had_come_in_time(
    data: st.DataObject,
) -> None:
    steps = data.draw(st.lists(st.tuples(pairing, items), min_size=1, max_size=8), "habit")
    count = data.draw(st.integers(RECENT, RECENT + 15), "long")
    walk = [
        did(kind, "ann", item, at=10.0 * n, key=f"k{n}")
        for n, (kind, item) in enumerate(islice(cycle(steps), count))
    ]
    late = [
        did(kind, "ann", item, at=10.0 * place + 5, key=f"l{n}")
        for n, (place, kind, item) in enumerate(data.draw(lateness, "late"))
    ]
    deliver([walk, None, *([event] for event in late), None])
    facts = oracle.facts(walk + late)
    assert (pairs(), counts()) == (oracle.pairs(facts), oracle.counts(facts))
    assert all_neighbours() == ranked()
    assert states() == oracle.states(facts)


pairing = st.sampled_from(tuple(SHIPPED["covisit"].weights))
lateness = st.lists(st.tuples(st.integers(-1, RECENT), pairing, items), min_size=1, max_size=3)

# ── more neighbours than fifty ─────────────────────────────────────────────────────────────

hub_visits = st.lists(
    st.tuples(st.integers(0, 69), st.sampled_from((Kind.VIEW_ITEM, Kind.PURCHASE))),
    min_size=60,
    max_size=110,
)


@settings(max_examples=15)
@hypothesis.given(
    hub_visits, st.lists(st.integers(0, 100), max_size=4), st.lists(st.integers(5, 60), min_size=1)
)
def test_the_fifty_heaviest_neighbours_are_kept_as_pairs_grow_and_shrink(
    visits: list[tuple[int, Kind]], late: list[int], sizes: list[int]
) -> None:
    """Everybody passes by one item; late events push others out of its window again."""
    walk = [
        event
        for n, (number, kind) in enumerate(visits)
        for event in (
            did(kind, f"u{n // 40}", f"i{number}", at=2.0 * n, key=f"i{n}"),
            did(Kind.VIEW_ITEM, f"u{n // 40}", "hub", at=2.0 * n + 1, key=f"h{n}"),
        )
    ]
    walk += [
        did(Kind.VIEW_ITEM, f"u{at // 40}", "late", at=2.0 * at + 0.5, key=f"l{at}") for at in late
    ]
    wipe()
    for batch in _batches(walk, sizes):
        given(batch)
        advance("covisit")
    assert contents(["covisit"])["covisit"] == oracle.pairs(oracle.facts(walk))
    assert all_neighbours() == ranked()
    assert max(len(found) for found in all_neighbours().values()) <= neighbours.NEIGHBOURS
    assert differing("covisit") == []
