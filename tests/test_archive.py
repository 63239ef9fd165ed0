"""Months that are archived: nothing is lost, nothing counts twice, and nothing is claimed.

The months are of 2018, which no other test has; each test begins without a partition of them.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, Final

import hypothesis
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st

from behavior import archive, coverage, month_file, months, tasks
from behavior.coverage import MonthsArchived
from behavior.events import Event, Kind, Line
from behavior.months import Month
from recommend import fold, proof, travel
from recommend.projections import PROJECTIONS
from recommend.tasks import advance as advance_task
from recsite import dashboard
from recsite.db import alone, cursor
from tests import oracle
from tests.conftest import wipe
from tests.given import (
    START,
    advance,
    ask,
    contents,
    days,
    did,
    differing,
    given,
    identify,
    logged,
    purchase,
    quarantine,
    serve,
    view,
)  # fmt: skip
from tests.servers import ROOT, environment
from tests.test_concurrency import everyone

pytestmark = pytest.mark.usefixtures("committed", "no_months")

JAN, FEB, MAR = Month(2018, 1), Month(2018, 2), Month(2018, 3)
NAMES: Final = [one.NAME for one in PROJECTIONS]


def forget_months() -> None:
    """Drop the partitions of 2018."""
    for month in months.made():
        if month.year == 2018:
            with cursor() as hot:
                hot.execute(f"ALTER TABLE rec.event DETACH PARTITION rec.{month.partition}")
                hot.execute(f"DROP TABLE rec.{month.partition}")


@pytest.fixture
def no_months(committed: None) -> Iterator[None]:
    wipe()
    forget_months()
    yield
    wipe()
    forget_months()


def at(month: int, day: int = 1, hour: float = 0) -> float:
    """Minutes from START to this time in 2018."""
    moment = datetime(2018, month, day, tzinfo=UTC) + timedelta(hours=hour)
    return (moment - START) / timedelta(minutes=1)


def make(*those: Month) -> None:
    with transaction.atomic():
        months.make(those)


def put_away(month: Month, folder: Path) -> coverage.Archived:
    return archive.archive(month, folder, read=fold.read_by_all())


def attach(month: Month, **where: Any) -> coverage.Archived:
    return archive.attach(month, readers=NAMES, **where)


def say(*arguments: str) -> str:
    said = StringIO()
    call_command(*arguments, stdout=said, stderr=said)
    return said.getvalue()


def run(sql: str, *values: Any) -> None:
    with cursor() as hot:
        hot.execute(sql, values)


def places() -> list[tuple[str, int]]:
    """(partition, facts in it), of those that have any."""
    return [
        (name, count)
        for name, count in ask(
            "SELECT tableoid::regclass::text, count(*) FROM event GROUP BY 1 ORDER BY 1"
        )
    ]


def rows() -> list[tuple[Any, ...]]:
    """All that is stored of every fact."""
    return ask(f"SELECT {months.COLUMNS.replace('xid', 'xid::text')} FROM event ORDER BY id")


def a_winter() -> list[Event]:
    """Three shoppers in January, February and March, in partitions of their own."""
    make(JAN, FEB, MAR)
    events = [
        view("ann", "a", at=at(1, 5), key="1"),
        view("ann", "b", at=at(1, 5, 1), key="2"),
        purchase("bob", "a", "b", at=at(1, 20), key="3", quantity=2, price=Decimal("7.50")),
        view("ann", "c", at=at(2, 1), key="4"),
        view("cyd", "a", at=at(2, 2), key="5"),
        view("ann", "a", at=at(3, 1), key="6"),
    ]
    given(*events)
    return events


# ── there and back ─────────────────────────────────────────────────────────────────────────


def test_an_archived_month_is_in_its_file_and_no_longer_in_the_log(tmp_path: Path) -> None:
    a_winter()
    before = contents()
    advance()
    counted = contents()
    record = put_away(JAN, tmp_path)

    assert (record.month, record.rows) == (JAN, 4)
    assert places() == [("event_2018_02", 2), ("event_2018_03", 1)]
    assert (record.first_at, record.last_at) == (
        datetime(2018, 1, 5, tzinfo=UTC), datetime(2018, 1, 20, tzinfo=UTC),
    )  # fmt: skip
    assert (tmp_path / "event_2018_01.parquet").stat().st_size == record.bytes
    assert (tmp_path / "event_2018_01.parquet").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["event_2018_01.parquet"]
    assert contents() == counted != before


def test_the_file_can_be_read_alone(tmp_path: Path) -> None:
    a_winter()
    xids = ask(
        "SELECT xid::text::bigint FROM event WHERE tableoid = 'event_2018_01'::regclass ORDER BY id"
    )
    put_away(JAN, tmp_path)
    table = pq.read_table(tmp_path / "event_2018_01.parquet")
    assert table.schema.field("xid").type == pa.uint64()
    assert [(x,) for x in table["xid"].to_pylist()] == xids
    assert table.select(["subject_key", "item_key", "quantity", "price", "kind"]).to_pylist() == [
        {"subject_key": who, "item_key": what, "quantity": n, "price": price, "kind": kind}
        for who, what, n, price, kind in (
            ("user:ann", "a", None, None, 1), ("user:ann", "b", None, None, 1),
            ("user:bob", "a", 2, "7.50", 8), ("user:bob", "b", 2, "7.50", 8),
        )
    ]  # fmt: skip
    assert table["occurred_at"].to_pylist()[0] == datetime(2018, 1, 5, tzinfo=UTC)


def test_an_attached_month_is_what_it_was_and_counts_once(tmp_path: Path) -> None:
    a_winter()
    advance()
    before, counted = rows(), contents()
    put_away(JAN, tmp_path)
    attach(JAN)

    assert rows() == before
    assert places() == [("event_2018_01", 4), ("event_2018_02", 2), ("event_2018_03", 1)]
    assert coverage.archived() == []
    assert ask("SELECT count(*) FROM archived_ids") == [(0,)]
    assert (tmp_path / "event_2018_01.parquet").exists()
    assert advance() == [0, 0, 0, 0]
    assert contents() == counted
    assert differing() == []


def odd(key: str, month: int = 1) -> Event:
    """A fact with everything that a CSV could get wrong."""
    return Event(
        Kind.PURCHASE, START + timedelta(minutes=at(month, 3)), 'user:"O\'Neil", Ü\n\\N ',
        (Line("", 1, Decimal("0.000100")), Line(" x,\t\\n", 2, Decimal("1E+3")), Line("NULL")),
        key=key, slate=uuid.UUID(int=7),
        detail={"query": 'a "b"\r\nc, \\ d', "empty": "", "none": None, "n": 1.50},
    )  # fmt: skip


def test_names_prices_and_details_come_back_to_the_letter(tmp_path: Path) -> None:
    make(JAN)
    given(odd("1"), did(Kind.SEARCH, "ann", at=at(1, 4)))
    before, facts = rows(), logged()
    put_away(JAN, tmp_path)
    assert rows() == []
    attach(JAN)
    assert (rows(), logged()) == (before, facts)


def test_a_month_can_go_and_come_back_again_and_again(tmp_path: Path) -> None:
    a_winter()
    advance()
    before = rows()
    for _ in range(3):
        put_away(JAN, tmp_path)
        put_away(FEB, tmp_path)
        attach(JAN)
        attach(FEB)
    assert rows() == before
    advance()
    assert differing() == []


def test_names_that_were_forgotten_are_interned_again(tmp_path: Path) -> None:
    make(JAN)
    given(view("ann", "a", at=at(1, 2)), view("bob", "b", at=at(1, 3)))
    facts = logged()
    put_away(JAN, tmp_path)
    run("DELETE FROM subject_key WHERE key = 'user:ann'")
    run("DELETE FROM item_key WHERE key = 'a'")
    attach(JAN)
    assert logged() == facts
    assert ask("SELECT subject, item FROM event ORDER BY id") == [(3, 3), (2, 2)]


# ── late ones, and repeated ones ───────────────────────────────────────────────────────────


def test_a_late_event_of_an_archived_month_counts_and_moves_into_it_when_it_is_back(
    tmp_path: Path,
) -> None:
    events = a_winter()
    put_away(JAN, tmp_path)
    late = view("bob", "c", at=at(1, 21), key="late")
    given(late)
    assert places() == [("event_2018_02", 2), ("event_2018_03", 1), ("event_late", 1)]
    assert advance() == [1, 1, 1, 1]
    facts = oracle.facts([*events, late])
    assert days() == oracle.days(facts)

    attach(JAN)
    assert places() == [("event_2018_01", 5), ("event_2018_02", 2), ("event_2018_03", 1)]
    advance()
    assert differing() == []
    assert contents(["covisit"])["covisit"] == oracle.pairs(facts)


def test_a_late_event_that_nobody_has_folded_is_folded_after_it_moved(tmp_path: Path) -> None:
    a_winter()
    put_away(JAN, tmp_path)
    given(view("dan", "c", at=at(1, 21)))  # nobody's history in the file
    attach(JAN)
    assert advance() == [1, 1, 1, 1]
    assert differing() == []


def test_a_repeated_delivery_of_an_archived_fact_is_still_a_no_op(tmp_path: Path) -> None:
    events = a_winter()
    put_away(JAN, tmp_path)
    put_away(FEB, tmp_path)
    done = given(events, *events)
    assert [(one.accepted, one.duplicates) for one in done] == [(0, 6)] + [(0, 1)] * 6
    assert places() == [("event_2018_03", 1)]
    assert advance() == [0, 0, 0, 0]


def test_more_facts_than_one_row_of_ids_holds_are_all_known(tmp_path: Path) -> None:
    make(JAN)
    events = [view("ann", "a", at=at(1, 1) + n, key=f"k{n}") for n in range(350)]
    given(events)
    put_away(JAN, tmp_path)
    assert ask("SELECT count(*), sum(cardinality(ids)) FROM archived_ids") == [(4, 350)]
    (done,) = given(events)
    assert (done.accepted, done.duplicates) == (0, 350)


def test_an_archived_month_is_not_made_again(tmp_path: Path) -> None:
    a_winter()
    put_away(JAN, tmp_path)
    make(JAN)
    assert JAN not in months.made()
    given(view("dan", "c", at=at(1, 21)))
    assert months.late() == {}
    assert months.gather(JAN) == 0


# ── what stops it ──────────────────────────────────────────────────────────────────────────


def untouched(before: list[tuple[Any, ...]]) -> None:
    assert rows() == before
    assert coverage.archived() == []
    assert ask("SELECT count(*) FROM archived_ids") == [(0,)]


def test_what_somebody_has_not_read_is_not_archived(tmp_path: Path) -> None:
    a_winter()
    read = fold.read_by_all()
    given(view("dan", "a", at=at(1, 30)))
    before = rows()
    with pytest.raises(archive.Refused, match="Events of 2018-01 came meanwhile"):
        archive.archive(JAN, tmp_path, read=read)
    untouched(before)


def test_what_comes_while_the_file_is_written_is_not_lost(
    tmp_path: Path, stranger: psycopg.Connection[Any]
) -> None:
    """An event commits between the file and the drop: it waits for nobody, and is seen."""
    a_winter()
    record = archive._written(JAN, tmp_path)
    given(view("dan", "a", at=at(1, 30)))
    before, read = rows(), fold.read_by_all()
    with pytest.raises(archive.Refused, match="came meanwhile"), transaction.atomic():
        archive._drop(record, read)
    untouched(before)


def test_what_is_erased_while_the_file_is_written_does_not_stay_in_it(tmp_path: Path) -> None:
    a_winter()
    record = archive._written(JAN, tmp_path)
    with transaction.atomic(), months.erasing():
        run("DELETE FROM event WHERE subject = 2")
    read = fold.read_by_all()
    with pytest.raises(archive.Refused, match="erased meanwhile"), transaction.atomic():
        archive._drop(record, read)
    assert coverage.archived() == []


class Crash(Exception):
    """The power fails here."""


@pytest.mark.parametrize("where", ["month_file.stage", "months.lock", "_refuse_changes"])
def test_a_crash_on_the_way_out_leaves_the_month_in_the_log(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_winter()
    before = rows()

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as broken:
        broken.setattr(f"behavior.archive.{where}", crash)
        with pytest.raises(Crash):
            put_away(JAN, tmp_path)
    untouched(before)
    put_away(JAN, tmp_path)
    attach(JAN)
    assert rows() == before


@pytest.mark.parametrize("where", ["_owe", "_join", "months.fetch_late"])
def test_a_crash_on_the_way_back_leaves_the_month_archived(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_winter()
    before = rows()
    put_away(JAN, tmp_path)
    given(view("dan", "a", at=at(1, 30)))

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as broken:
        broken.setattr(f"behavior.archive.{where}", crash)
        with pytest.raises(Crash):
            attach(JAN)
    assert [record.month for record in coverage.archived()] == [JAN]
    assert places() == [("event_2018_02", 2), ("event_2018_03", 1), ("event_late", 1)]
    attach(JAN)
    assert len(rows()) == len(before) + 1


ARCHIVER: Final = """
from recsite.boot import boot
boot()
import sys
from pathlib import Path
import django
django.setup()
from behavior import archive, coverage
from behavior.months import Month
from recommend import fold, travel
from recommend.projections import PROJECTIONS
names = [one.NAME for one in PROJECTIONS]
print("ready", flush=True)
while True:
    for month in (Month(2018, 1), Month(2018, 2)):
        if coverage.record_of(month):
            archive.attach(month, readers=names)
        else:
            archive.archive(month, Path(sys.argv[1]), read=fold.read_by_all())
"""


def test_a_process_that_is_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    make(JAN, FEB)
    given([view(f"u{n % 9}", f"i{n % 50}", at=at(1) + n, key=f"k{n}") for n in range(1_500)])
    given([view(f"u{n % 9}", f"i{n % 50}", at=at(2) + n, key=f"l{n}") for n in range(1_500)])
    advance()
    before, counted, chance = rows(), contents(), random.Random(3)
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", ARCHIVER, str(tmp_path / "files")],
            env=os.environ | environment(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.random() * 0.8)
            process.kill()
        with alone("archive"):  # its session in Postgres has ended, or is done
            pass
        facts = sum(record.rows for record in coverage.archived())
        assert facts + len(rows()) == 3_000
        for record in coverage.archived():
            assert Path(record.file).stat().st_size == record.bytes
    for record in coverage.archived():
        attach(record.month)
    assert rows() == before
    assert advance() == [0, 0, 0, 0]
    assert contents() == counted


def test_a_missing_file_a_broken_one_and_another_are_each_a_sentence(tmp_path: Path) -> None:
    a_winter()
    put_away(JAN, tmp_path)
    put_away(FEB, tmp_path)
    january, february = (month_file.path_of(m, tmp_path) for m in (JAN, FEB))
    good, before = january.read_bytes(), rows()

    def refused(match: str) -> None:
        with pytest.raises(month_file.BadFile, match=match):
            attach(JAN)
        assert rows() == before
        assert [record.month for record in coverage.archived()] == [JAN, FEB]

    january.unlink()
    refused("There is no file")
    january.write_text("hello")
    refused("is not a Parquet file")
    january.write_bytes(good[: len(good) // 2])
    refused("is not a Parquet file")
    middle = len(good) // 4
    january.write_bytes(good[:middle] + bytes(64) + good[middle + 64 :])
    refused("is broken|is not a Parquet file|is not the file")
    january.write_bytes(february.read_bytes())
    refused("is not the file that was archived")
    pq.write_table(pa.table({"a": [1]}), january)
    refused("its columns are others")
    january.write_bytes(good)
    attach(JAN)
    attach(FEB)
    assert len(rows()) == 7


def test_a_file_of_before_orders_had_a_column_is_told_of_and_attached(tmp_path: Path) -> None:
    make(JAN)
    given(purchase("bob", "a", at=at(1, 20), key="1"))
    with transaction.atomic():
        # As that code left it in the log. (A replica's role skips what refuses changes.)
        run("SET LOCAL session_replication_role = replica")
        run("""UPDATE event SET detail = '{"order_id": "9001"}'""")
    before = rows()
    file = Path(put_away(JAN, tmp_path).file)
    pq.write_table(pq.read_table(file).drop_columns(["order_id"]), file)
    with transaction.atomic():
        sum_of_then = month_file.staged_checksum(month_file.stage(file))
        run("UPDATE archived_month SET checksum = %s", sum_of_then)
    subjects = [subject for (subject,) in ask("SELECT subject FROM subject_key")]
    (told,) = month_file.facts_of(file, subjects)
    assert told["detail"] == {"order_id": "9001"}
    attach(JAN)
    assert rows() == before


def test_older_code_which_would_lose_orders_can_neither_make_nor_archive_a_month(
    tmp_path: Path,
) -> None:
    make(FEB)
    with pytest.raises(psycopg.errors.RaiseException, match="older than the log"):
        run("SELECT new_month(%s, %s)", *JAN)
    run("SELECT make_month(%s, %s)", *JAN)
    assert JAN in months.made()
    record = RECORD_OF_OLDER_CODE.format(partition=FEB.partition)
    with pytest.raises(psycopg.errors.NotNullViolation, match="format"):
        run(record, *FEB, 1, "1:1", "a file", 1, START, START, "here", "1:1:")


# Its INSERT of a month that it has archived; its own transaction drops the partition behind it.
RECORD_OF_OLDER_CODE: Final = """
INSERT INTO archived_month (year, month, rows, checksum, file, bytes, first_at, last_at, cluster,
                            snapshot, lacking, subjects)
SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '{{}}', coalesce(array_agg(subject ORDER BY subject), '{{}}')
FROM (SELECT DISTINCT subject FROM {partition} WHERE subject IS NOT NULL) AS those
"""


def test_a_file_of_a_newer_release_is_refused_by_name(tmp_path: Path) -> None:
    a_winter()
    file = Path(put_away(JAN, tmp_path).file)
    table = pq.read_table(file)
    said = json.loads(table.schema.metadata[b"recsite"]) | {"format": month_file.FORMAT + 1}
    pq.write_table(table.replace_schema_metadata({"recsite": json.dumps(said)}), file)
    with pytest.raises(month_file.BadFile, match="made by a newer release"):
        attach(JAN)
    with pytest.raises(month_file.BadFile, match="made by a newer release"):
        month_file.facts_of(file, [1])


def test_another_databases_file_is_not_overwritten(tmp_path: Path) -> None:
    a_winter()
    before = rows()
    file = month_file.path_of(JAN, tmp_path)
    pq.write_table(pa.table({"id": ["theirs"]}), file)
    with pytest.raises(month_file.BadFile, match="another database's"):
        put_away(JAN, tmp_path)
    assert pq.read_table(file).to_pydict() == {"id": ["theirs"]}
    untouched(before)


def test_a_month_without_a_partition_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(archive.Refused, match="There is no partition of 2018-01"):
        archive.archive(JAN, tmp_path, read=[])
    with pytest.raises(archive.Refused, match="2018-01 is not archived"):
        attach(JAN)


# ── another cluster ────────────────────────────────────────────────────────────────────────


def test_in_another_cluster_everything_is_rebuilt_once_the_month_is_back(tmp_path: Path) -> None:
    a_winter()
    advance()
    counted = contents()
    put_away(JAN, tmp_path)
    run("UPDATE archived_month SET cluster = 'the old one'")
    run("UPDATE projection SET epoch = 'the old one', snapshot = '9000000000001:9000000000001:'")

    with pytest.raises(MonthsArchived):
        advance()
    attach(JAN)
    january = "SELECT DISTINCT xid::text FROM event WHERE tableoid = 'event_2018_01'::regclass"
    assert ask(january) == [("3",)]
    assert advance() == [7, 7, 7, 7]
    assert contents() == counted
    assert differing() == []


# ── what the log covers ────────────────────────────────────────────────────────────────────


def test_verify_says_what_the_log_covers_and_what_it_cannot_prove(tmp_path: Path) -> None:
    a_winter()
    assert say("verify").splitlines()[0] == "log: 2018-01 to 2018-03, 7 events"
    put_away(JAN, tmp_path)
    put_away(FEB, tmp_path)
    said = StringIO()
    with pytest.raises(CommandError, match="attach the archived months first"):
        call_command("verify", stdout=said)
    first, *tables = said.getvalue().splitlines()
    assert first == "log: 2018-03, 1 events; archived: 2018-01 to 2018-02 (6 events)"
    assert len(tables) == 9
    assert tables[0] == (
        "popularity_day: not comparable: it counted 2 archived months; attach them first"
    )


def test_the_overview_says_what_is_archived(tmp_path: Path) -> None:
    a_winter()
    put_away(JAN, tmp_path)
    put_away(FEB, tmp_path)
    assert dashboard._cards([])[0]["note"] == (
        "0 in the log's last 24 hours; 6 archived (2018-01 to 2018-02)"
    )


def test_an_empty_log_says_so() -> None:
    assert coverage.said() == "log: empty"


def test_months_in_order_are_named_by_their_ends() -> None:
    assert coverage.spans([Month(2023, 12), Month(2024, 1), Month(2024, 2), Month(2024, 4)]) == (
        "2023-12 to 2024-02, 2024-04"
    )


def test_a_rebuild_that_would_lose_counts_is_refused(tmp_path: Path) -> None:
    a_winter()
    put_away(JAN, tmp_path)
    counted = contents()
    with pytest.raises(CommandError, match=r"holds counts of 1 archived months \(2018-01\)"):
        say("refresh", "--rebuild")
    for change in ("version = 0", "epoch = 'another'"):
        run(f"UPDATE projection SET {change}")
        with pytest.raises(MonthsArchived, match="archive --attach 2018-01"):
            advance()
    assert contents() == counted


def test_a_worker_says_that_a_projection_stands_still_and_goes_on_with_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a_winter()
    put_away(JAN, tmp_path)
    run("UPDATE projection SET version = 0 WHERE name = 'popularity'")
    given(view("dan", "a", at=at(3, 2)))
    advance_task()
    assert [record.getMessage().split(".")[0] for record in caplog.records] == [
        "popularity is not rebuilt, and stands still"
    ]
    assert advance("covisit") == [0]


def test_without_archived_counts_the_log_alone_and_can_be_proven(tmp_path: Path) -> None:
    events = a_winter()
    put_away(JAN, tmp_path)
    say("refresh", "--rebuild", "--without-archived")
    assert days() == oracle.days(oracle.facts(events[3:]))
    for one in PROJECTIONS:
        assert {live == built for live, built in proof.verify(one).values()} == {True}
    assert say("archive", "--list").rstrip().endswith(
        "not counted by popularity, covisit, content, attribution"
    )  # fmt: skip
    say("refresh", "--rebuild")  # nothing more to lose


def test_a_month_that_projections_let_go_of_is_counted_when_it_is_back(tmp_path: Path) -> None:
    events = a_winter()
    put_away(JAN, tmp_path)
    say("refresh", "--rebuild", "--without-archived")
    attach(JAN)
    assert advance() == [4, 4, 4, 4]
    assert differing() == []
    assert days() == oracle.days(oracle.facts(events))


def test_a_month_that_some_let_go_of_and_others_did_not_is_refused_until_all_have(
    tmp_path: Path,
) -> None:
    a_winter()
    put_away(JAN, tmp_path)
    say("refresh", "--only", "popularity", "--rebuild", "--without-archived")
    with pytest.raises(archive.Refused, match="covisit, content, attribution still counts it"):
        attach(JAN)
    say("refresh", "--rebuild", "--without-archived")
    attach(JAN)
    advance()
    assert differing() == []


def test_without_archived_is_said_with_rebuild_only() -> None:
    with pytest.raises(CommandError, match="goes with --rebuild"):
        say("refresh", "--without-archived")


def test_a_projection_that_never_folded_does_not_begin_without_the_archived_months(
    tmp_path: Path,
) -> None:
    a_winter()
    put_away(JAN, tmp_path)
    run("DELETE FROM projection WHERE name = 'attribution'")
    with pytest.raises(MonthsArchived):
        advance("attribution")


def test_a_long_history_that_was_folded_without_its_archived_part_is_put_right(
    tmp_path: Path,
) -> None:
    """A late event of somebody with more than user_state holds is counted from the log."""
    make(JAN, FEB)
    walk = [view("ann", f"i{n % 7}", at=at(1, 31, 12) + n * 15, key=f"k{n}") for n in range(120)]
    given(walk)
    put_away(JAN, tmp_path)
    late = [view("ann", "late", at=at(1, 31, 13) + 1, key="late")]
    given(late)
    advance()
    attach(JAN)
    assert advance() == [121, 121, 121, 121]
    assert differing() == []
    assert contents(["covisit"])["covisit"] == oracle.pairs(oracle.facts(walk + late))


def test_while_another_month_is_archived_what_is_owed_waits(tmp_path: Path) -> None:
    events = a_winter()
    put_away(JAN, tmp_path)
    put_away(FEB, tmp_path)
    late = view("ann", "z", at=at(1, 5, 2), key="late")
    given(late)
    advance()
    attach(JAN)
    assert advance() == [0, 0, 0, 0]
    attach(FEB)
    assert advance() == [8, 8, 8, 8]
    assert advance() == [0, 0, 0, 0]
    assert differing() == []
    assert days() == oracle.days(oracle.facts([*events, late]))


def test_the_months_of_a_shopper(tmp_path: Path) -> None:
    a_winter()
    for month in (JAN, FEB):
        put_away(month, tmp_path)
    subject = {key: number for number, key in ask("SELECT subject, key FROM subject_key")}
    of = {key: coverage.months_with([number]) for key, number in subject.items()}
    assert of == {"user:ann": [JAN, FEB], "user:bob": [JAN], "user:cyd": [FEB]}
    assert coverage.months_with([subject["user:bob"], subject["user:cyd"]]) == [JAN, FEB]
    assert coverage.months_with([]) == []


# ── the command ────────────────────────────────────────────────────────────────────────────


def test_the_command_archives_lists_and_attaches(tmp_path: Path) -> None:
    a_winter()
    folder = tmp_path / "archive"
    assert say("archive", "--before", "2018-03", "--to", str(folder)) == (
        f"2018-01: 4 events to {folder}/event_2018_01.parquet\n"
        f"2018-02: 2 events to {folder}/event_2018_02.parquet\n"
    )
    assert say("archive", "--before", "2018-03", "--to", str(folder)) == "Nothing to archive.\n"
    size = (folder / "event_2018_01.parquet").stat().st_size
    assert say("archive", "--list").splitlines()[0] == (
        f"2018-01: 4 events, {size:,} bytes, {folder}/event_2018_01.parquet"
    )
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(CommandError, match="There is no file"):
        say("archive", "--attach", "2018-01")
    assert say("archive", "--attach", "2018-01", "--from", str(moved)) == (
        "2018-01: 4 events back in the log\n"
    )
    say("archive", "--attach", "2018-02", "--from", str(moved))
    assert say("archive", "--list") == "No month is archived.\n"
    assert differing() == []


def test_months_are_kept_counting_from_the_newest_event(tmp_path: Path) -> None:
    a_winter()
    assert say("archive", "--keep", "3", "--to", str(tmp_path)) == "Nothing to archive.\n"
    say("archive", "--keep", "2", "--to", str(tmp_path))
    assert [record.month for record in coverage.archived()] == [JAN]


def test_a_month_that_is_not_over_stays(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    current, after = months.ahead(now, 1)
    given(view("ann", "a", at=at(1, 1)))
    given(did(Kind.VIEW_ITEM, "ann", "b", at=(now - START) / timedelta(minutes=1)))
    make(JAN)
    advance()
    for wanted in (("--before", str(after)), ("--before", "9998-12")):
        told = say("archive", *wanted, "--to", str(tmp_path)).splitlines()
        assert told[0] == f"{current} is not over yet: it stays in the log."
    assert current not in [record.month for record in coverage.archived()]


def test_what_lies_late_is_gathered_before_it_is_archived(tmp_path: Path) -> None:
    given(view("ann", "a", at=at(1, 1)), view("ann", "b", at=at(2, 1)))
    say("archive", "--before", "2018-02", "--to", str(tmp_path))
    assert [(record.month, record.rows) for record in coverage.archived()] == [(JAN, 1)]
    assert places() == [("event_late", 1)]


@pytest.mark.parametrize(
    "wrong", [["--before", "2018-13"], ["--before", "2018"], ["--keep", "0"], ["--keep", "x"], []]
)
def test_what_is_no_month_is_a_sentence(wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        say("archive", *wrong)


# ── the late partition ─────────────────────────────────────────────────────────────────────


def test_gathering_moves_a_months_late_facts_and_nothing_else() -> None:
    given(view("ann", "a", at=at(1, 1)), view("ann", "b", at=at(1, 31, 23.99)))
    given(view("ann", "c", at=at(2, 1)))
    advance()
    before = rows()
    assert months.late() == {JAN: 2, FEB: 1}
    assert months.gather(JAN) == 2
    assert places() == [("event_2018_01", 2), ("event_late", 1)]
    assert months.gather(JAN) == 0
    assert rows() == before
    assert advance() == [0, 0, 0, 0]
    assert differing() == []
    with pytest.raises(psycopg.errors.RestrictViolation):
        run("DELETE FROM event WHERE tableoid = 'event_2018_01'::regclass")
    with pytest.raises(psycopg.errors.RestrictViolation):
        run("TRUNCATE event_2018_01")


def test_a_gathered_month_has_the_logs_indexes() -> None:
    make(FEB)
    given(view("ann", "a", at=at(1, 1)))
    months.gather(JAN)
    indexed = (
        "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
        " WHERE indrelid = %s::regclass"
    )
    assert [ask(indexed, month.partition) for month in (JAN, FEB)] == [[(6,)], [(6,)]]


def test_the_clock_gathers_months_of_which_much_came_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MANY", 1)
    given(
        view("ann", "a", at=at(1, 1)), view("ann", "b", at=at(1, 2)), view("ann", "c", at=at(2, 1))
    )
    tasks.make_months()
    assert places() == [("event_2018_01", 2), ("event_late", 1)]


def test_a_month_that_is_being_read_is_gathered_later(
    monkeypatch: pytest.MonkeyPatch, stranger: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(tasks, "MANY", 0)
    monkeypatch.setattr(months, "PATIENCE", 0.0)
    given(view("ann", "a", at=at(1, 1)))
    with stranger.transaction():
        stranger.execute("SELECT count(*) FROM event")
        tasks.make_months()
    assert places() == [("event_late", 1)]
    assert "2018-01 stays in the late partition for now" in caplog.text


def test_nobody_waits_for_a_month_while_the_log_is_read(
    monkeypatch: pytest.MonkeyPatch, stranger: psycopg.Connection[Any], tmp_path: Path
) -> None:
    monkeypatch.setattr(months, "PATIENCE", 0.0)
    row = {"event": "view_item", "user_id": "ann", "item_id": "mug"}
    file = tmp_path / "old.jsonl"
    file.write_text(json.dumps(row | {"occurred_at": "2018-01-01T00:00:00Z"}))
    with stranger.transaction():
        stranger.execute("SELECT count(*) FROM event")
        assert "1 accepted" in say("import_events", str(file))
        with pytest.raises(months.InUse):
            make(FEB)
    assert places() == [("event_late", 1)]
    tasks.make_months()
    make(FEB)
    assert FEB in months.made()


def test_a_reader_with_an_older_snapshot_sees_each_fact_once(
    stranger: psycopg.Connection[Any],
) -> None:
    given(view("ann", "a", at=at(1, 1)), view("ann", "b", at=at(2, 1)))
    with stranger.transaction():
        stranger.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        stranger.execute("SELECT pg_current_snapshot()")
        months.gather(JAN)
        given(view("ann", "c", at=at(1, 2)))
        assert stranger.execute("SELECT count(*) FROM event").fetchone() == (2,)
    assert stranger.execute("SELECT count(*) FROM event").fetchone() == (3,)


def test_no_month_is_archived_under_a_reader_that_has_its_snapshot(tmp_path: Path) -> None:
    """one_snapshot locks the log before it looks, so the archive waits for it."""
    from recsite.db import one_snapshot

    a_winter()
    fold.read_by_all()
    begun, may_end = threading.Event(), threading.Event()
    counted: list[int] = []

    def reads() -> None:
        with one_snapshot():
            ask("SELECT 1")
            begun.set()
            assert not may_end.wait(1.5)  # the archive is waiting by then
            ((count,),) = ask("SELECT count(*) FROM event")
            counted.append(count)

    def archives() -> None:
        assert begun.wait(10)
        put_away(JAN, tmp_path)
        may_end.set()

    everyone(reads, archives)
    assert counted == [7]
    assert places() == [("event_2018_02", 2), ("event_2018_03", 1)]


# ── everybody at once ──────────────────────────────────────────────────────────────────────


def drawn(number: int) -> list[Event]:
    chance = random.Random(number)
    kinds = (Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.PURCHASE, Kind.REFUND)
    return [
        did(chance.choice(kinds), f"u{chance.randrange(6)}", chance.choice("abcdef"),
            at=at(1 + chance.randrange(3), 1 + chance.randrange(28)) + chance.randrange(1_000),
            key=f"{number}-{n}")
        for n in range(120)
    ]  # fmt: skip


def test_gathering_archiving_and_attaching_lose_nothing_while_others_write_and_fold(
    tmp_path: Path,
) -> None:
    histories = [drawn(number) for number in range(4)]
    everything = [event for history in histories for event in history]
    written = threading.Event()
    said: set[str] = set()
    left = [len(histories)]
    count = threading.Lock()

    def writer(number: int) -> None:
        own = histories[number]
        try:
            for start in range(0, len(own), 3):
                given(own[start : start + 3])
                given(histories[(number + 1) % 4][start : start + 3], own[start])
        finally:
            with count:
                left[0] -= 1
                if not left[0]:
                    written.set()

    def folds() -> None:
        while not written.is_set():
            advance()

    def keeps() -> None:
        chance = random.Random(5)
        while not written.is_set():
            month = chance.choice((JAN, FEB, MAR))
            try:
                if coverage.record_of(month):
                    attach(month)
                elif month in months.made():
                    put_away(month, tmp_path)
                else:
                    months.gather(month)
            except archive.Refused as refused:
                said.add(str(refused).split(";")[0].replace(str(month), "it"))

    everyone(*[lambda n=n: writer(n) for n in range(4)], folds, keeps)
    assert said <= {"Events of it came meanwhile"}
    for record in coverage.archived():
        attach(record.month)
    for month in months.late():
        months.gather(month)
    advance()
    facts = oracle.facts(everything)
    assert [row[0] for row in ask("SELECT id FROM event ORDER BY id")] == [f.id for f in facts]
    assert differing() == []
    assert contents(["covisit", "user_state"]) | {"neighbours": None} == {
        "covisit": oracle.pairs(facts), "item_count": oracle.counts(facts), "neighbours": None,
        "user_state": oracle.states(facts), "user_item": oracle.dealings(facts),
        "person": {},
    }  # fmt: skip


# ── any history ────────────────────────────────────────────────────────────────────────────

moments = st.tuples(st.integers(1, 4), st.integers(1, 28), st.integers(0, 23)).map(lambda t: at(*t))


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    kinds = st.sampled_from((Kind.VIEW_ITEM, Kind.PURCHASE, Kind.REFUND, Kind.ADD_TO_CART))
    one = st.tuples(kinds, st.sampled_from(("ann", "bob")), st.sampled_from("abcde"), moments)
    drawn = draw(st.lists(one, min_size=4, max_size=90))
    return [
        did(kind, user, item, at=when, key=f"k{n}", slate=None)
        for n, (kind, user, item, when) in enumerate(drawn)
    ]


does = st.sampled_from(("append", "append", "advance", "archive", "attach", "gather", "let go"))


@settings(max_examples=40)
@hypothesis.given(
    histories(), st.lists(st.tuples(does, st.integers(1, 4)), max_size=14), st.booleans()
)
def test_whatever_goes_and_comes_back_the_tables_hold_what_the_set_of_facts_says(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[Event],
    steps: list[tuple[str, int]],
    is_made: bool,
) -> None:
    wipe()
    forget_months()
    folder = tmp_path_factory.mktemp("archive")
    slate = serve("a", "b")
    history = [e._replace(slate=slate if n % 5 == 0 else None) for n, e in enumerate(history)]
    if is_made:
        make(JAN, FEB, MAR)
    rest = iter([history[n::6] for n in range(6)])
    given(next(rest))
    for step, number in steps:
        month = Month(2018, number)
        match step:
            case "append":
                given(next(rest, history[:5]))
            case "advance":
                advance()
            case "gather":
                months.gather(month)
            case "archive" if month in archive.due(Month(2018, 5)):
                put_away(month, folder)
            case "attach" if coverage.record_of(month):
                attach(month)
            case "let go" if number == 1:
                advance()
                for one in PROJECTIONS:
                    fold.rebuild_without_archived(one)
    given(*rest)
    for record in coverage.archived():
        attach(record.month)
    advance()
    given(history)

    assert advance() == [0, 0, 0, 0]
    facts = oracle.facts(history)
    held = contents(["covisit", "popularity", "attribution", "user_state"])
    del held["neighbours"], held["popularity"]
    assert held == {
        "covisit": oracle.pairs(facts), "item_count": oracle.counts(facts),
        "popularity_day": oracle.days(facts),
        "attribution": oracle.attributed(facts, {slate: ("a", "b")}),
        "user_state": oracle.states(facts), "user_item": oracle.dealings(facts),
        "person": {},
    }  # fmt: skip
    assert differing() == []


# ── people ─────────────────────────────────────────────────────────────────────────────────


def people() -> dict[str, tuple[str | None, bool]]:
    """Each name → who they are one person with, and whether they are hidden."""
    return {
        name: (person, hidden)
        for name, person, hidden in ask(
            "SELECT one.key, other.key, hidden FROM person JOIN subject_key AS one USING (subject)"
            " LEFT JOIN subject_key AS other ON other.subject = person.person"
        )
    }


def people_of_january(folder: Path) -> None:
    """A tab and a phone that are ann, and a bot, as January says; then January is archived."""
    make(JAN)
    given(view("anonymous:tab", "mug", at=at(1)), view("anonymous:bot", "mug", at=at(1)))
    given(identify("anonymous:tab", "ann", at=at(1, 2)), quarantine("anonymous:bot", at=at(1, 2)))
    put_away(JAN, folder)


def test_what_archived_months_said_of_people_stands_when_more_is_said(tmp_path: Path) -> None:
    people_of_january(tmp_path)
    given(identify("anonymous:bot", "eve"), identify("anonymous:phone", "ann"))
    given(quarantine("anonymous:tab"), quarantine("anonymous:tab", undo=True, at=1))
    assert people()["anonymous:bot"] == (None, True)
    assert people()["anonymous:tab"] == ("user:ann", False)
    assert people()["anonymous:phone"] == ("user:ann", False)


def test_what_archived_months_said_of_people_can_be_taken_back(tmp_path: Path) -> None:
    people_of_january(tmp_path)
    given(identify("anonymous:tab", "ann", undo=True), quarantine("anonymous:bot", undo=True))
    assert people()["anonymous:tab"] == ("anonymous:tab", False)
    assert people()["anonymous:bot"] == ("anonymous:bot", False)
    given(identify("anonymous:tab", "bob", at=1))
    assert people()["anonymous:tab"] == ("user:bob", False)


def test_who_moved_while_months_were_archived_has_all_of_their_state_once_the_last_is_back(
    tmp_path: Path,
) -> None:
    make(JAN, FEB)
    for month in (1, 2):
        given(*(view(who, f"{who}{month}", at=at(month, 5))
                for who in ("anonymous:tab", "ann", "bob", "anonymous:bot", "anonymous:pad")))  # fmt: skip
    given(identify("anonymous:pad", "bob"))
    put_away(JAN, tmp_path)
    put_away(FEB, tmp_path)
    given(identify("anonymous:tab", "ann"), identify("anonymous:pad", "bob", undo=True, at=1))
    given(quarantine("anonymous:bot", at=2), quarantine("anonymous:bot", undo=True, at=3))
    attach(JAN)
    attach(FEB)
    assert {live == built for live, built in proof.verify_user_state().values()} == {True}


def test_nobody_travels_to_a_time_of_which_months_are_archived(tmp_path: Path) -> None:
    people_of_january(tmp_path)
    lacks = r"^The log of before 2026-03-02 lacks archived months \(2018-01\)\. Attach them first"
    with pytest.raises(CommandError, match=lacks):
        say("refresh", "--rebuild", "--as-of", "2026-03-02", "--into", "then")
    with pytest.raises(travel.Unusable, match=lacks), travel.back_at(START):
        pass
