"""The loop over the log: where a projection stands, when it is rebuilt, what proves it."""

import re
import types
from io import StringIO
from typing import Any, Final

import psycopg
import pytest
from django.core.management import CommandError, call_command

from catalog.countings import SHIPPED
from recommend import fold
from recommend.projections import PROJECTIONS, popularity
from recsite.db import cursor, one_snapshot
from tests.given import (
    Row,
    advance,
    all_neighbours,
    ask,
    contents,
    days,
    differing,
    given,
    item,
    view,
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("committed")

NAMES: Final = ["popularity", "covisit", "content", "attribution"]


def standing(name: str) -> Row:
    """(events of the last run, version, epoch, snapshot)."""
    ((*row,),) = ask(
        "SELECT events, version, epoch, snapshot FROM projection WHERE name = %s", name
    )
    return tuple(row)


def run(sql: str) -> None:
    with cursor() as hot:
        hot.execute(sql)


def test_the_projections_are_these() -> None:
    assert [one.NAME for one in fold.named(None)] == NAMES
    assert [one.NAME for one in fold.named("content")] == ["content"]


def test_an_unknown_projection_is_told_the_known_ones() -> None:
    with pytest.raises(fold.UnknownProjection, match=r"no projection 'x'. Known: popularity, cov"):
        fold.named("x")


def test_an_empty_log_moves_nothing() -> None:
    assert advance() == [0, 0, 0, 0]
    assert ask("SELECT name FROM projection") == []
    assert differing() == []


def test_a_run_reads_what_came_since_the_last_and_stands_where_it_ended() -> None:
    given(view("ann", "a"), view("ann", "b", at=1))
    assert advance("covisit") == [2]
    before = standing("covisit")
    given(view("ann", "c", at=2))
    assert advance("covisit") == [1]
    after = standing("covisit")
    assert (before[0], after[0]) == (2, 1)
    assert before[1:3] == after[1:3]
    assert int(after[3].split(":")[1]) > int(before[3].split(":")[1])


def test_each_projection_stands_where_it_was_advanced_to() -> None:
    given(view("ann", "a"))
    advance("covisit")
    given(view("ann", "b", at=1))
    assert advance("popularity") == [2]
    assert advance("covisit") == [1]
    assert advance() == [0, 0, 2, 2]


# ── when it is rebuilt ─────────────────────────────────────────────────────────────────────


def test_another_version_of_the_code_rebuilds_and_then_goes_on() -> None:
    given(view("ann", "a"), view("ann", "a", at=1))
    advance("popularity")
    run("UPDATE popularity_day SET weight = 1")  # as the old code had counted
    newer: Any = types.SimpleNamespace(**vars(popularity) | {"VERSION": popularity.VERSION + 1})
    assert fold.advance(newer).events == 2
    assert days() == {("a", 0): 2 * popularity.UNIT}
    assert standing("popularity")[1] == popularity.VERSION + 1
    assert fold.advance(newer).events == 0
    given(view("ann", "a", at=2))
    assert fold.advance(newer).events == 1
    assert days() == {("a", 0): 3 * popularity.UNIT}


def test_a_position_of_another_cluster_is_not_believed() -> None:
    given(view("ann", "a"))
    advance("popularity")
    (_, _, epoch, _) = standing("popularity")
    run("UPDATE projection SET epoch = 'another', snapshot = '9999999:9999999:'")
    given(view("ann", "a", at=1))
    assert advance("popularity") == [2]
    assert days() == {("a", 0): 2 * popularity.UNIT}
    assert standing("popularity")[2] == epoch


def described(table: str) -> dict[str, list[Row]]:
    """How the database describes a table: its columns, constraints, indexes and settings."""
    of = f"'rec.{table}'::regclass"
    return {
        "columns": ask(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull, attstorage,"
            f" attidentity FROM pg_attribute WHERE attrelid = {of} AND attnum > 0 ORDER BY attnum"
        ),
        "constraints": ask(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            f" WHERE conrelid = {of} ORDER BY 1"
        ),
        "indexes": ask(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'rec'"
            f" AND tablename = '{table}' ORDER BY 1"
        ),
        "settings": ask(f"SELECT reloptions, relkind FROM pg_class WHERE oid = {of}"),
    }


@pytest.mark.parametrize("one", PROJECTIONS, ids=lambda one: one.NAME)
def test_a_rebuilt_table_is_the_table_that_the_migration_made(one: Any) -> None:
    before = {table.name: described(table.name) for table in one.TABLES}
    given(view("ann", "a"))
    fold.rebuild(one)
    fold.rebuild(one)
    assert {table.name: described(table.name) for table in one.TABLES} == before


def test_neighbour_arrays_are_never_compressed_not_even_after_a_rebuild() -> None:
    (covisit,) = fold.named("covisit")
    fold.rebuild(covisit)
    storage = [(column, stored) for column, _, _, stored, _ in described("neighbours")["columns"]]
    assert storage == [
        ("item", "p"),
        ("channel", "p"),
        ("items", "p"),
        ("weights", "p"),
    ]


def test_readers_see_the_old_rows_while_the_new_ones_are_built(
    stranger: psycopg.Connection[Any],
) -> None:
    given(view("ann", "a"), view("ann", "b", at=1))
    advance("covisit")
    rows = "SELECT item, channel, items, weights FROM neighbours ORDER BY 1, 2"
    before = stranger.execute(rows).fetchall()
    (covisit,) = fold.named("covisit")
    with one_snapshot() as inside, fold.beside(inside, covisit.TABLES):
        covisit.fill(inside, SHIPPED["covisit"])
        assert stranger.execute(rows).fetchall() == before
    assert len(before) == 2


def test_a_rebuild_does_not_lose_what_comes_next() -> None:
    given(view("ann", "a"), view("ann", "b", at=1))
    for one in PROJECTIONS:
        fold.rebuild(one)
    given(view("ann", "c", at=2))
    assert advance() == [1, 1, 1, 1]
    assert ("c", "viewed") in all_neighbours()
    assert differing() == []


# ── the proof ──────────────────────────────────────────────────────────────────────────────

BROKEN: Final = {
    "covisit": "UPDATE covisit SET viewed_up = viewed_up + 1",
    "item_count": "DELETE FROM item_count WHERE item = 1",
    "neighbours": "UPDATE neighbours SET weights[1] = 7 WHERE item = 1",
    "popularity_day": "INSERT INTO popularity_day VALUES (1, 1, 1)",
    "popularity": "UPDATE popularity SET score = score + 1",
    "item_passage": "UPDATE item_passage SET passage = NULL",
    "attribution": "INSERT INTO attribution VALUES (uuidv7(), uuidv7(), 1, 1, 1)",
    "user_state": "UPDATE user_state SET items[1] = 1",
    "user_item": "UPDATE user_item SET kinds = kinds + 1 WHERE item = 1",
}


@pytest.mark.parametrize("table", BROKEN)
def test_the_proof_finds_a_row_that_is_not_what_the_log_says(table: str) -> None:
    item("a", title="A")
    given(view("ann", "a"), view("ann", "b", at=1))
    advance()
    assert differing() == []
    run(BROKEN[table])
    assert differing() == [table]


def test_the_proof_leaves_no_trace_but_an_advance() -> None:
    given(view("ann", "a"), view("ann", "b", at=1))
    advance()
    before = contents(), standing("covisit")
    differing()
    assert (contents(), standing("covisit")) == before
    assert ask("SELECT to_regnamespace('rec_scratch')") == [(None,)]


def test_a_rebuild_mends_what_is_broken() -> None:
    given(view("ann", "a"), view("ann", "b", at=1))
    advance()
    before = contents()
    for table in ("covisit", "item_count", "neighbours", "popularity_day"):
        run(BROKEN[table])
    for one in PROJECTIONS:
        fold.rebuild(one)
    assert contents() == before
    assert differing() == []


# ── the commands ───────────────────────────────────────────────────────────────────────────


def say(command: str, *arguments: str) -> str:
    said = StringIO()
    call_command(command, *arguments, stdout=said, stderr=said)
    return said.getvalue()


def test_verify_says_of_each_table_that_it_is_equal() -> None:
    given(view("ann", "a"), view("ann", "b", at=1))
    log, *proofs = say("verify").splitlines()
    assert log == "log: 2026-03, 2 events"
    assert [line.split(" (")[0] for line in proofs] == [
        f"{name}: equal"
        for name in (
            "popularity_day", "popularity", "covisit", "item_count", "neighbours", "item_passage",
            "attribution", "person", "user_state", "user_item",
        )
    ]  # fmt: skip
    assert len(say("verify", "--only", "covisit").splitlines()) == 1 + 3


def test_verify_fails_where_a_table_differs() -> None:
    given(view("ann", "a"))
    advance()
    run("UPDATE item_count SET seen = 1")
    with pytest.raises(CommandError, match="differs from its rebuild"):
        say("verify")


def test_refresh_brings_one_projection_or_all_to_the_logs_end() -> None:
    given(view("ann", "a"))
    assert say("refresh", "--only", "covisit").startswith("covisit: 1 event in ")
    lines = say("refresh").splitlines()
    assert [line.split(" event")[0] for line in lines if " in " in line] == [
        "popularity: 1",
        "covisit: 0",
        "content: 1",
        "attribution: 1",
    ]
    assert say("refresh", "--only", "covisit", "--rebuild").startswith("covisit: 1 event in ")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--only", "ranker", "--without-ranker"), "--only ranker --without-ranker leaves nothing"),
        (("--only", "ranker", "--rebuild"), "--rebuild is for projections"),
        (("--only", "ranker", "--without-archived"), "--without-archived goes with --rebuild"),
        (("--only", "x"), "attribution. Or say ranker."),
    ],
)
def test_refresh_refuses_what_makes_no_sense_of_the_ranker(
    options: tuple[str, ...], says: str
) -> None:
    given(view("ann", "a"))
    with pytest.raises(CommandError, match=re.escape(says)):
        say("refresh", *options)
    assert ask("SELECT FROM projection UNION ALL SELECT FROM ranker") == []


@pytest.mark.parametrize("command", ["refresh", "verify"])
def test_a_command_on_an_unknown_projection_is_a_sentence(command: str) -> None:
    with pytest.raises(CommandError, match="There is no projection 'x'"):
        say(command, "--only", "x")
