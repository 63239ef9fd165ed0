"""The log: each fact once and for ever, in the month it belongs to, and nobody misses one."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.test import Client

from behavior import log, months, position
from behavior.events import Event, Kind, Line, by_content
from behavior.history import import_rows
from behavior.names import intern_items
from recsite import keys
from recsite.db import cursor
from recsite.models import ApiKey, EventRow
from tests import oracle
from tests.given import (
    START,
    Row,
    advance,
    ask,
    cart,
    counts,
    did,
    differing,
    given,
    logged,
    minute,
    purchase,
    serve,
    state,
    view,
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("committed")


def sizes() -> list[Row]:
    """How many facts there are, and how many interned names."""
    return ask(
        "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM item_key)"
        " + (SELECT count(*) FROM subject_key)"
    )


def outcome(*deliveries: Event | list[Event]) -> list[tuple[int, int]]:
    """(accepted, duplicates) of each delivery."""
    return [(done.accepted, done.duplicates) for done in given(*deliveries)]


# ── what a fact's id is ────────────────────────────────────────────────────────────────────


def test_the_id_of_a_fact_is_fixed_by_its_time_its_line_and_its_key() -> None:
    given(purchase("ann", "mug", "cup", at=1.5, key="order 7"))
    assert ask("SELECT id::text FROM event ORDER BY id") == [
        ("019cadc7-fa10-7000-8000-9df6642eafe2",),
        ("019cadc7-fa10-7000-8001-9df6642eafe2",),
    ]
    assert ask("SELECT id FROM event ORDER BY id") == [
        (oracle.event_id(minute(1.5), line, "order 7"),) for line in (0, 1)
    ]


def test_the_id_holds_the_time_to_the_millisecond() -> None:
    given(view("ann", "mug", key="k")._replace(occurred_at=START + timedelta(microseconds=1999)))
    assert ask("SELECT occurred_at FROM event") == [(START + timedelta(milliseconds=1),)]


def test_the_lines_of_an_event_stand_in_their_order_under_one_key() -> None:
    order = Event(
        Kind.PURCHASE,
        minute(3),
        "user:ann",
        (Line("mug", 2, Decimal("7.5")), Line("cup"), Line("mug", 1, Decimal("0.0001"))),
        key="order 7",
        detail={"order_id": "7"},
    )
    assert outcome(order) == [(1, 0)]
    assert ask(
        "SELECT i.key, quantity, price, order_id FROM event JOIN item_key i USING (item)"
        " ORDER BY id"
    ) == [
        ("mug", 2, Decimal("7.5"), "7"),
        ("cup", None, None, "7"),
        ("mug", 1, Decimal("0.0001"), "7"),
    ]

    assert logged() == [(3.0, "purchase", "user:ann", key) for key in ("mug", "cup", "mug")]


def test_whoever_looks_at_the_log_finds_the_order_among_the_details() -> None:
    said = {"order_id": "7", "currency": "EUR"}
    lines = (Line("mug", place=1), Line("cup"))
    outcome(Event(Kind.PURCHASE, minute(0), "user:ann", lines, key="1", detail=said))
    outcome(Event(Kind.PURCHASE, minute(1), "user:ann", (Line("mug"),), detail={"order_id": "8"}))
    outcome(Event(Kind.VIEW_ITEM, minute(2), "user:ann", (Line("mug"),)))
    assert ask("SELECT detail::text, order_id FROM event ORDER BY id") == [
        ('{"index": 1, "currency": "EUR"}', "7"), ('{"currency": "EUR"}', "7"), (None, "8"),
        (None, None),
    ]  # fmt: skip
    told = [row.detail for row in EventRow.objects.order_by("id")]
    assert told == [said | {"index": 1}, said, {"order_id": "8"}, None]


# ── exactly once ───────────────────────────────────────────────────────────────────────────


def test_a_repeated_delivery_changes_nothing() -> None:
    event = view("ann", "mug", at=1, key="k1")
    assert outcome(event) == [(1, 0)]
    before = ask("SELECT id, xid::text FROM event"), state("ann"), sizes()
    assert outcome(event, [event, event], event) == [(0, 1), (0, 2), (0, 1)]
    assert (ask("SELECT id, xid::text FROM event"), state("ann"), sizes()) == before


def test_a_batch_may_hold_the_same_event_twice() -> None:
    event = purchase("ann", "mug", "cup", key="k1")
    assert outcome([event, view("ann", "mug", at=1, key="k2"), event]) == [(2, 1)]
    assert [row[1:] for row in logged()] == [
        ("purchase", "user:ann", "mug"),
        ("purchase", "user:ann", "cup"),
        ("view_item", "user:ann", "mug"),
    ]


def test_without_a_key_an_event_is_new_each_time() -> None:
    assert outcome(view("ann", "mug"), view("ann", "mug")) == [(1, 0), (1, 0)]
    assert logged() == [(0.0, "view_item", "user:ann", "mug")] * 2


def test_the_same_key_is_the_same_event_whatever_its_time_even_in_another_month() -> None:
    first = view("ann", "mug", at=0, key="k")
    later = first._replace(occurred_at=minute(60 * 24 * 40))
    assert outcome(first, later, [later, view("ann", "cup", key="j")]) == [(1, 0), (0, 1), (1, 1)]
    assert sorted(row[3] for row in logged()) == ["cup", "mug"]


def test_of_two_deliveries_of_a_key_in_one_batch_the_first_counts() -> None:
    twice = [view("ann", "mug", at=at, key="k") for at in (5, 0)]
    assert outcome(twice) == [(1, 1)]
    assert logged() == [(5.0, "view_item", "user:ann", "mug")]


def test_rows_that_are_known_by_their_content_have_no_key_of_their_own() -> None:
    same = by_content(view("ann", "mug"))
    other_day = same._replace(occurred_at=minute(60 * 24))
    assert outcome(same, same, other_day) == [(1, 0), (0, 1), (1, 0)]
    assert ask("SELECT count(*) FROM delivery") == [(0,)]


def test_a_batch_that_is_staged_appends_the_same_facts_as_single_events() -> None:
    many = [view(f"u{n % 7}", f"i{n % 11}", at=n, key=f"k{n}") for n in range(log.BULK)]
    assert outcome(many[:3], many, many) == [(3, 0), (log.BULK - 3, 3), (0, log.BULK)]
    assert ask("SELECT id FROM event ORDER BY id") == [(f.id,) for f in oracle.facts(many)]
    assert differing() == []


AWKWARD = (
    "\\",
    "\\N",
    "\\.",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\\t",
    " ",
    "é漢👩",
    "'",
    '"',
    "{a,b}",
    "NULL",
)


def test_a_staged_batch_keeps_every_character_as_single_events_do() -> None:
    odd = [
        did(Kind.RATE, text, text, at=n, key=text)._replace(detail={"query": text})
        for n, text in enumerate(AWKWARD)
    ]
    filling = [view("x", "x", at=n, key=f"k{n}") for n in range(log.BULK)]
    given([*odd, *filling])
    assert outcome(*odd) == [(0, 1)] * len(odd)
    assert ask(
        "SELECT s.key, i.key, detail->>'query' FROM event JOIN subject_key s USING (subject)"
        " JOIN item_key i USING (item) WHERE kind = %s ORDER BY id",
        Kind.RATE.value,
    ) == [(f"user:{text}" if ":" not in text else text, text, text) for text in AWKWARD]


@pytest.fixture
def client() -> Iterator[Client]:
    """A caller with a secret key, which is gone afterwards."""
    key = keys.create("tests", "secret")
    yield Client(headers={"authorization": f"Bearer {key}"})
    ApiKey.objects.all().delete()


def test_what_came_over_http_is_known_when_a_file_brings_it_again(client: Client) -> None:
    said = {
        "event": "view_item",
        "event_id": "e1",
        "occurred_at": "2026-03-02T09:01:00Z",
        "user_id": "ann",
        "item_id": "mug",
    }
    answer = client.post("/v1/events", json.dumps(said), content_type="application/json")
    assert answer.status_code == 202, answer.content
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (1, 0)
    (imported,) = import_rows([(2, said), (3, said | {"event_id": "e2"})])
    assert (imported.accepted, imported.duplicates, imported.rejected) == (1, 1, [])
    again = client.post("/v1/events", json.dumps([said, said]), content_type="application/json")
    assert (again.json()["accepted"], again.json()["duplicates"]) == (0, 2)
    assert logged() == [(1.0, "view_item", "user:ann", "mug")] * 2


def test_a_name_is_interned_once_and_for_ever() -> None:
    with transaction.atomic():
        first = intern_items(["mug", "cup", "mug"])
    given(view("ann", "mug"), view("ann", "jug"), view("ann", "cup"))
    with transaction.atomic():
        then = intern_items(["jug", "cup", "mug"])
    assert sorted(then) == ["cup", "jug", "mug"]
    assert {key: then[key] for key in first} == first
    assert len(set(then.values())) == 3


def test_an_empty_batch_is_a_batch() -> None:
    assert outcome([]) == [(0, 0)]
    assert logged() == []


def test_a_transaction_that_fails_leaves_neither_facts_nor_state() -> None:
    with transaction.atomic():
        log.append([view("ann", "mug", key="k")])
        transaction.set_rollback(True)
    assert (logged(), state("ann")) == ([], [])
    assert outcome(view("ann", "mug", key="k")) == [(1, 0)]


# ── months ─────────────────────────────────────────────────────────────────────────────────


def place_of(key: str) -> str:
    """The partition in which the one event about this item lies."""
    ((place,),) = ask(
        "SELECT event.tableoid::regclass::text FROM event JOIN item_key USING (item)"
        " WHERE key = %s",
        key,
    )
    return str(place)


def make_month(year: int, month: int) -> bool:
    with transaction.atomic():
        return bool(ask("SELECT make_month(%s, %s)", year, month)[0][0])


def at(year: int, month: int, day: int, hour: int = 0) -> float:
    """Minutes from START to this time in UTC."""
    return (datetime(year, month, day, hour, tzinfo=UTC) - START) / timedelta(minutes=1)


def test_an_event_lies_in_the_partition_of_its_month() -> None:
    with transaction.atomic():
        months.make([(2021, 2), (2021, 3)])
    given(view("ann", "last", at=at(2021, 3, 1) - 0.0001), view("ann", "first", at=at(2021, 3, 1)))
    assert (place_of("last"), place_of("first")) == ("event_2021_02", "event_2021_03")


def test_an_event_of_a_month_that_nobody_made_is_kept_and_repeated_deliveries_are_known() -> None:
    early = view("ann", "mug", at=at(2003, 5, 5), key="k")
    assert outcome(early, early) == [(1, 0), (0, 1)]
    assert place_of("mug") == "event_late"
    # The month stays where its first rows are; its neighbour is made.
    assert make_month(2003, 5) is False
    assert make_month(2003, 6) is True
    assert outcome(early) == [(0, 1)]
    assert outcome(early._replace(occurred_at=minute(at(2003, 6, 5)), key="j")) == [(1, 0)]
    assert len(logged()) == 2


def test_making_a_month_twice_makes_it_once() -> None:
    assert make_month(2004, 1) is True
    assert make_month(2004, 1) is False


def test_months_ahead_cross_the_year() -> None:
    moment = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    assert months.ahead(moment, 2) == [(2026, 11), (2026, 12), (2027, 1)]


def test_a_shoppers_history_is_one_across_months_and_the_late_partition() -> None:
    with transaction.atomic():
        months.make([(2005, 1)])
    given(view("ann", "a", at=at(2005, 1, 31, 23)), view("ann", "b", at=at(2005, 2, 1, 1)))
    assert (place_of("a"), place_of("b")) == ("event_2005_01", "event_late")
    assert state("ann") == [("view_item", "b"), ("view_item", "a")]


# ── facts are never changed ────────────────────────────────────────────────────────────────


def in_two_partitions() -> None:
    """One event in a month's own partition, one in the late one, and a slate."""
    with transaction.atomic():
        months.make([(2006, 1)])
    given(view("ann", "a", at=at(2006, 1, 1)), view("ann", "b", at=at(2006, 2, 1)))
    serve("a", "b")
    assert (place_of("a"), place_of("b")) == ("event_2006_01", "event_late")


CHANGES = [
    f"{change} {table}"
    for table in ("event", "event_2006_01", "event_late", "slate")
    for change in ("UPDATE", "DELETE FROM", "TRUNCATE")
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_to_change_a_fact(
    change: str, stranger: psycopg.Connection[Any]
) -> None:
    in_two_partitions()
    facts = "SELECT e::text FROM event e UNION ALL SELECT s::text FROM slate s ORDER BY 1"
    before = stranger.execute(facts).fetchall()
    statement = f"{change} SET detail = '{{}}'" if change.startswith("UPDATE") else change
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        stranger.execute(statement)
    assert stranger.execute(facts).fetchall() == before


def test_only_the_erase_path_may_delete_and_only_in_the_transaction_that_says_so(
    stranger: psycopg.Connection[Any],
) -> None:
    in_two_partitions()
    with stranger.transaction():
        stranger.execute("SET LOCAL rec.erasing = 'on'")
        stranger.execute("DELETE FROM event WHERE tableoid = 'event_late'::regclass")
    assert [row[3] for row in logged()] == ["a"]
    with pytest.raises(psycopg.errors.RestrictViolation):
        stranger.execute("DELETE FROM event")
    assert [row[3] for row in logged()] == ["a"]


# ── readers ────────────────────────────────────────────────────────────────────────────────


def test_the_position_never_goes_back() -> None:
    with transaction.atomic():
        start = position.end()
    done = given(view("ann", "a"), view("ann", "b"), [], cart("bob", "a"))
    with transaction.atomic():
        end = position.end()
    positions = [int(position) for position in (start, *(d.position for d in done), end)]
    assert positions == sorted(positions)
    assert positions[-1] > positions[1] > 0


class Slow:
    """A writer that has appended and does not commit before it is told to."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.appended, self.may_commit = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        with closing(connection), transaction.atomic():
            log.append([self.event])
            self.appended.set()
            self.may_commit.wait(30)

    def __enter__(self) -> "Slow":
        self.thread.start()
        assert self.appended.wait(30)
        return self

    def commit(self) -> None:
        self.may_commit.set()
        self.thread.join(30)

    def __exit__(self, *_: object) -> None:
        self.commit()


def test_a_reader_never_skips_a_transaction_that_commits_late() -> None:
    given(view("first", "a"))
    advance()
    with Slow(view("slow", "b", at=1)) as slow:
        given(view("quick", "c", at=2))
        assert advance("covisit") == [1]
        assert counts() == {"a": (65_536, 0), "c": (65_536, 0)}
        assert advance("covisit") == [0]
        slow.commit()
        assert advance("covisit") == [1]
    assert counts() == {"a": (65_536, 0), "b": (65_536, 0), "c": (65_536, 0)}
    assert advance("covisit") == [0]
    assert differing() == []


def test_a_reader_does_not_wait_for_a_writer_that_never_ends() -> None:
    with Slow(view("slow", "b", at=1)):
        for n in range(3):
            given(view("quick", "c", at=n))
            assert advance("covisit") == [1]
        assert counts() == {"c": (3 * 65_536, 0)}
    advance()
    assert differing() == []


def test_the_same_event_from_two_transactions_at_once_is_accepted_once() -> None:
    event = view("ann", "mug", key="k")
    outcomes: list[log.Appended] = []

    def second() -> None:
        with closing(connection):
            outcomes.extend(given(event))

    follower = threading.Thread(target=second)
    with Slow(event) as slow:
        follower.start()
        follower.join(0.2)
        assert follower.is_alive()  # it waits to see what becomes of the first
        slow.commit()
        follower.join(30)
    assert [(o.accepted, o.duplicates) for o in outcomes] == [(0, 1)]
    assert state("ann") == [("view_item", "mug")]


def test_a_reader_finds_the_new_rows_through_the_index_of_transactions() -> None:
    given([view("ann", "mug", at=n, key=f"k{n}") for n in range(2_000)])
    advance("covisit")
    ((since,),) = ask("SELECT snapshot FROM projection WHERE name = 'covisit'")
    with cursor() as hot:
        hot.execute("ANALYZE event")
        fresh = position.FRESH.replace(":since", "%(since)s")
        plan = hot.execute("EXPLAIN " + fresh, {"since": since}).fetchall()
    # Another test may have made the month; then the rows lie there, not in the late partition.
    ((partition,),) = ask("SELECT DISTINCT tableoid::regclass::text FROM event")
    filled = [line.strip() for (line,) in plan if f" on {partition} " in line]
    assert len(filled) == 1
    assert filled[0].startswith(f"->  Index Scan using {partition}_xid_idx"), plan


def test_an_event_keeps_the_slate_that_it_names() -> None:
    slate = uuid.UUID(int=7)
    given(did(Kind.SELECT_ITEM, "ann", "mug", slate=slate), view("ann", "cup", at=1))
    assert ask("SELECT slate FROM event ORDER BY id") == [(slate,), (None,)]
