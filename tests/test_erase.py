"""Erasing: afterwards every table is what it would be had the person never been there."""

import json
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import orjson
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st

from behavior import archive, dossier, months, rejected
from behavior.events import Event, Rejection
from behavior.months import Month
from recommend import fold
from recommend.erase import Nobody, erase
from recommend.projections import PROJECTIONS
from recsite.db import METADATA
from tests.conftest import KEPT
from tests.given import (
    START,
    advance,
    all_neighbours,
    ask,
    contents,
    differing,
    given,
    identify,
    item,
    logged,
    purchase,
    serve,
    view,
)
from tests.test_projections import Delivery, Step, deliver, deliveries, go_on

pytestmark = pytest.mark.usefixtures("committed")


def test_a_person_is_gone_from_every_table() -> None:
    item("mug")
    given(view("ann", "cup"))
    slate = serve("mug", user="user:ann")
    given(
        view("ann", "mug", slate=slate), purchase("anonymous:phone", "cup", at=1),
        identify("anonymous:phone", "ann", at=2), view("bob", "mug", at=3, slate=slate),
    )  # fmt: skip
    advance()
    done = erase("user:ann", asked_by="a test")
    assert (done.names, done.events, done.slates) == (2, 4, 1)
    assert logged()[:-1] == [(3.0, "view_item", "user:bob", "mug")]  # the last is the mug itself
    assert ask("SELECT key FROM subject_key") == [("user:bob",)]
    assert ask("SELECT count(*) FROM slate") == [(0,)]
    assert differing() == []
    assert held_about("ann", "phone") == []


def held_about(*names: str) -> list[str]:
    """Tables in which one of these names still stands somewhere."""
    found = []
    for table in [*METADATA.tables, "catalog_item"]:
        rows = json.dumps([row[0] for row in ask(f"SELECT t::text FROM {table} AS t")])
        found += [table for name in names if name in rows]
    return found


def test_the_proof_says_how_much_and_not_who() -> None:
    given(view("ann", "mug"), view("ann", "cup", at=1))
    done = erase("user:ann", asked_by="key 7")
    assert ask("SELECT erasure, names, events, slates, asked_by FROM erasure") == [
        (done.erasure, 1, 2, 0, "key 7")
    ]


def test_nobody_is_told_from_somebody() -> None:
    given(view("ann", "mug"))
    with pytest.raises(Nobody):
        erase("user:bob", asked_by="a test")
    assert ask("SELECT count(*) FROM erasure") == [(0,)]


def test_a_name_that_was_parted_again_leaves_no_trace_in_the_other() -> None:
    given(identify("anonymous:sofa", "ann"), identify("anonymous:sofa", "ann", at=1, undo=True))
    given(view("anonymous:sofa", "mug", at=2))
    erase("user:ann", asked_by="a test")
    assert logged() == [(2.0, "view_item", "anonymous:sofa", "mug")]
    assert held_about("ann") == []
    assert differing() == []


def test_what_was_erased_does_not_come_back_with_a_late_delivery() -> None:
    event = view("ann", "mug", key="k")
    given(event)
    erase("user:ann", asked_by="a test")
    assert [(done.accepted, done.duplicates) for done in given(event)] == [(0, 1)]


def test_events_that_no_worker_has_seen_yet_go_too() -> None:
    given(view("bob", "cup"))
    advance()
    given(view("ann", "mug"), view("ann", "cup", at=1))
    erase("user:ann", asked_by="a test")
    assert advance() == [0] * len(PROJECTIONS)
    assert differing() == []


@settings(max_examples=40)
@hypothesis.given(deliveries(), st.integers(0, 3), st.integers(0, 2**16))
def test_every_table_equals_one_that_never_saw_the_person(
    delivery: Delivery, which: int, seed: int
) -> None:
    name = ("user:ann", "user:bob", "anonymous:ann", "anonymous:bob")[which]
    deliver(delivery.steps)
    gone = set(members(name))
    if not gone:
        return
    erase(name, asked_by="a test")
    assert differing() == []
    held, order = contents(), all_neighbours()
    advance()
    assert (contents(), all_neighbours()) == (held, order)

    without = [step for step in delivery.steps if not isinstance(step, list)]
    rest = [event for event in delivery.events if not concerns(event, gone)]
    random.Random(seed).shuffle(rest)
    deliver([*without, rest, None])
    assert contents() == held


@settings(max_examples=40)
@hypothesis.given(deliveries(), st.integers(0, 3), st.integers(0, 3), st.floats(0, 1))
def test_a_history_that_goes_on_after_an_erasure_never_knew_the_person(
    delivery: Delivery, which: int, other: int, part: float
) -> None:
    """Somebody is erased in the middle, is delivered again and comes back, and somebody else, or
    they again, is erased at the end."""
    names = ("user:ann", "user:bob", "anonymous:ann", "anonymous:bob")
    cut = int(part * len(delivery.steps))
    early, late = delivery.steps[:cut], delivery.steps[cut:]
    deliver(early)
    known = erased(names[which])
    first = {event.key: event for event in events_of(early)}
    then = {event.key: event for event in events_of(late) if event.key not in first}
    go_on(late)
    assert differing() == []
    rest = [e for e in first.values() if not concerns(e, known)] + list(then.values())
    gone = erased(names[other])
    assert differing() == []
    held = contents()

    deliver([*delivery.changes, [e for e in rest if not concerns(e, gone)], None])
    assert contents() == held


def erased(name: str) -> set[str]:
    """Erase whoever bears the name, if anybody does; the names that they had."""
    gone = set(members(name))
    if gone:
        erase(name, asked_by="a test")
    return gone


def events_of(steps: Sequence[Step]) -> list[Event]:
    return [event for step in steps if isinstance(step, list) for event in step]


def members(name: str) -> list[str]:
    from behavior import people

    return list(people.members([name]).values())


def concerns(event: Event, gone: set[str]) -> bool:
    return event.subject in gone or (event.detail or {}).get("person") in gone


def test_an_erasure_that_is_cut_off_changes_nothing(monkeypatch: Any) -> None:
    given(view("ann", "mug"), view("ann", "cup", at=1))
    advance()
    before = contents()
    from recommend import erase as module

    monkeypatch.setattr(module, "PROVE", "SELECT 1 / 0")
    with pytest.raises(Exception, match="division by zero"):
        erase("user:ann", asked_by="a test")
    assert contents() == before
    assert [one.NAME for one in PROJECTIONS if fold.advance(one).events] == []


def test_an_export_has_all_that_is_kept() -> None:
    item("mug", title="Blue mug")
    given(purchase("ann", "mug"))
    serve("mug", user="user:ann")
    given(view("anonymous:phone", "cup", at=1))
    given(identify("anonymous:phone", "ann", at=2))
    rows = list(dossier.told_of("anonymous:phone"))
    assert [(row["about"], row.get("name") or row.get("kind") or row.get("scenario")
             or row.get("item_id")) for row in rows] == [
        ("name", "anonymous:phone"), ("name", "user:ann"),
        ("event", "purchase"), ("event", "view_item"), ("event", "identify"),
        ("slate", "home"), ("recent events", None), ("item", "mug"), ("item", "cup"),
    ]  # fmt: skip
    assert list(dossier.told_of("user:nobody")) == []


def test_every_table_with_a_person_in_it_is_known_to_erase() -> None:
    """A new table with a column for subjects or persons must be thought of."""
    with_people = {
        table.name for table in METADATA.tables.values()
        if {"subject", "person"} & set(table.columns.keys()) and table.name not in KEPT
    }  # fmt: skip
    assert with_people == {
        "event", "person", "person_change", "rejected", "sequence_shopper", "slate", "subject_key",
        "suspect", "user_item", "user_state",
    }  # fmt: skip


def archived_month(folder: Path) -> Path:
    """Ann's and bob's views of long ago, out of the log; ann's cup of today in it."""
    early = -400 * 24 * 60.0
    given(view("ann", "mug", at=early), view("bob", "mug", at=early), view("ann", "cup"))
    month = Month((START + timedelta(minutes=early)).year, (START + timedelta(minutes=early)).month)
    with transaction.atomic():
        months.make([month])
        months.gather(month)
    return Path(archive.archive(month, folder, read=fold.read_by_all()).file)


def test_what_is_archived_is_told_too(tmp_path: Path) -> None:
    archived_month(tmp_path)
    told = list(dossier.told_of("user:ann"))
    events = [(t["about"], t["kind"], t["item_id"]) for t in told if t["about"].endswith("event")]
    assert events == [("archived event", "view_item", "mug"), ("event", "view_item", "cup")]
    assert orjson.loads(dossier.line(told[0]))["subject"] == "user:ann"


def test_who_is_told_of_is_told_where_an_archive_cannot_be_read(tmp_path: Path) -> None:
    archived_month(tmp_path).unlink()
    with pytest.raises(dossier.OutOfReach, match=r"^There is no file "):
        dossier.told_of("user:ann")
    with pytest.raises(CommandError, match=r"^There is no file "):
        call_command("export", "ann")


def test_what_is_archived_is_erased_too_and_its_file_goes(tmp_path: Path) -> None:
    file = archived_month(tmp_path)
    assert erase("user:ann", asked_by="a test").events == 2
    assert not file.exists()
    assert [row[1:] for row in logged()] == [("view_item", "user:bob", "mug")]
    advance()
    assert differing() == []


def test_a_refused_record_that_was_being_written_while_it_was_looked_for_goes_too(
    stranger: psycopg.Connection[Any],
) -> None:
    given(view("ann", "mug"))
    with stranger.transaction():
        stranger.execute(
            "INSERT INTO rejected (source, line, code, message, whole, subject, digest)"
            " VALUES ('http', 0, 'unknown_event', 'fly', true, 'user:ann', uuidv4())"
        )
        rejected.keep("later", [rejected.Refused(1, Rejection("unknown_event", "fly"), {"a": 1})])
        found = rejected.look_for(["user:ann"])
    assert found.ids == []
    assert rejected.forget_found(found, ["user:ann"]) == 1
    assert ask("SELECT source FROM rejected") == [("later",)]
