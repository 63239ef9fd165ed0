"""Archiving: a whole month of the log goes into a file, and comes back out of it.

It promises that at any moment either the partition is there or its file and the record of it
are complete; that an archived fact is still known when it is delivered again; and that a
month that is attached again counts once in every projection. It never decides when.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg
from django.db import transaction

from behavior import coverage, month_file, months, people
from behavior.coverage import Archived
from behavior.month_file import BadFile
from behavior.months import ALONE, Month
from recsite.db import alone, cursor, one_snapshot


class Refused(Exception):
    """The month cannot be archived or attached as things are; the message says why."""


HERE: Final = """
SELECT pg_current_snapshot()::text, system_identifier::text,
       system_identifier || '/' || current_database() FROM pg_control_system()
"""

EXTENT: Final = """
SELECT count(*), min(occurred_at), max(occurred_at) FROM {partition}
"""


def due(before: Month) -> list[Month]:
    """The months before that one which can be archived: they have a partition, not an empty one."""
    with cursor() as hot:
        return [
            month for month in months.made()
            if month < before
            and hot.execute(f"SELECT exists(SELECT FROM {month.partition})").fetchone() == (True,)
        ]  # fmt: skip


def newest() -> Month | None:
    """The month of the log's newest fact: time is the log's."""
    with cursor() as hot:
        found = hot.execute("SELECT occurred_at FROM event ORDER BY id DESC LIMIT 1").fetchone()
        return Month.of(found[0]) if found else None


def archive(month: Month, folder: Path, *, read: Sequence[str]) -> Archived:
    """Write the month's file, prove it, and only then drop the partition.

    `read` are the snapshots of all projections; where one of them has not read everything,
    or something came meanwhile, nothing is changed. Raises Refused, BadFile, InUse.
    """
    with alone("archive"):
        record = _written(month, folder)
        with transaction.atomic():
            _drop(record, read)
        return record


def _written(month: Month, folder: Path) -> Archived:
    """The file, read back and compared with the partition, in one snapshot."""
    with one_snapshot(), cursor() as hot:
        if month not in months.made():
            raise Refused(f"There is no partition of {month}.")
        snapshot, cluster, owner = hot.execute(HERE).fetchone() or ("", "", "")
        rows, first, last = hot.execute(EXTENT.format(partition=month.partition)).fetchone() or ()
        if not rows:
            raise Refused(f"There is nothing in {month}.")
        file = month_file.write(month, folder, owner=owner)
        columns = month_file.stage(file)
        checksum = month_file.checksum(month)
        if month_file.staged_checksum(columns) != checksum:
            raise BadFile(f"{file} does not hold what was written. The month stays in the log.")
    return Archived(
        month,
        rows,
        checksum,
        str(file.resolve()),
        file.stat().st_size,
        first,
        last,
        cluster,
        snapshot,
    )


RECORD: Final = """
INSERT INTO archived_month (year, month, rows, checksum, file, format, bytes, first_at, last_at,
                            cluster, snapshot, lacking, subjects)
SELECT %s, %s, %s, %s, %s, {format}, %s, %s, %s, %s, %s, '{{}}',
       coalesce(array_agg(subject ORDER BY subject), '{{}}')
FROM (SELECT DISTINCT subject FROM {partition} WHERE subject IS NOT NULL) AS those
"""

# A hundred a row: the array stays in the page.
KEEP_IDS: Final = """
INSERT INTO archived_ids (low, ids)
SELECT min_id, ids FROM (
    SELECT (array_agg(id ORDER BY id))[1] AS min_id, array_agg(id ORDER BY id) AS ids
    FROM (SELECT id, row_number() OVER (ORDER BY id) / 100 AS chunk FROM {partition}) AS numbered
    GROUP BY chunk) AS chunks
"""

LOCK: Final = "LOCK TABLE ONLY event IN ACCESS EXCLUSIVE MODE"

UNREAD: Final = """
SELECT exists(SELECT FROM {partition} WHERE xid >= pg_snapshot_xmin(%(since)s::pg_snapshot)
              AND NOT pg_visible_in_snapshot(xid, %(since)s::pg_snapshot))
"""


def _drop(record: Archived, read: Sequence[str]) -> None:
    """Record the month and drop its partition.

    The log is locked only for the last steps, and before the partition is: a writer that
    holds the log and waits for the partition would dead-lock with us the other way round.
    """
    month = record.month
    with cursor() as hot:
        hot.execute(ALONE)
        if month not in months.made():
            raise Refused(f"{month} was archived meanwhile.")
        hot.execute(RECORD.format(partition=month.partition, format=month_file.FORMAT), [
            *month, record.rows, record.checksum, record.file, record.bytes, record.first_at,
            record.last_at, record.cluster, record.snapshot,
        ])  # fmt: skip
        hot.execute(KEEP_IDS.format(partition=month.partition))
        months.lock(LOCK)
        _refuse_changes(hot, record, read)
        hot.execute(f"ALTER TABLE rec.event DETACH PARTITION rec.{month.partition}")
        hot.execute(f"DROP TABLE rec.{month.partition}")


def _refuse_changes(
    hot: psycopg.Cursor[tuple[object, ...]], record: Archived, read: Sequence[str]
) -> None:
    partition = record.month.partition
    for since in (record.snapshot, *read):
        if hot.execute(UNREAD.format(partition=partition), {"since": since}).fetchone() != (False,):
            raise Refused(f"Events of {record.month} came meanwhile; archive it again.")
    if hot.execute(f"SELECT count(*) FROM {partition}").fetchone() != (record.rows,):
        raise Refused(f"Events of {record.month} were erased meanwhile; archive it again.")


def attach(month: Month, *, readers: Sequence[str], folder: Path | None = None) -> Archived:
    """Make the month's partition again from its file; what came late meanwhile moves into it.

    `readers` are the names of all projections. `folder` is where the file stands now, if it
    was moved. Raises Refused, BadFile, InUse; then nothing is changed.
    """
    with alone("archive"), transaction.atomic():
        record = coverage.record_of(month)
        if record is None:
            raise Refused(f"{month} is not archived.")
        file = Path(record.file) if folder is None else folder / Path(record.file).name
        xid = _xid(record, readers)
        columns = month_file.stage(file)
        if (found := month_file.staged_checksum(columns)) != record.checksum:
            raise BadFile(
                f"{file} is not the file that was archived: "
                f"it sums to {found}, the record says {record.checksum}."
            )
        _owe(record, readers)
        _join(record, xid)
        if not coverage.archived():
            people.refill_whoever_moved()
        return record


# Transaction ids are kept, so that whoever counted a fact does not count it again. Those of
# another cluster become the first id there is, in the past of every snapshot (position.ADOPT).
# Where projections were rebuilt without the month it is new to all of them.
KEPT: Final = "archived_event.xid"
ADOPTED: Final = "'3'::xid8"
NEW: Final = "pg_current_xact_id()"


def _xid(record: Archived, readers: Sequence[str]) -> str:
    if not record.lacking:
        return KEPT if record.cluster == _cluster() else ADOPTED
    holding = [name for name in readers if name not in record.lacking]
    if holding:
        raise Refused(
            f"{', '.join(record.lacking)} was rebuilt without {record.month}, but "
            f"{', '.join(holding)} still counts it: run `refresh --rebuild --without-archived` first."
        )
    return NEW


def _cluster() -> str:
    with cursor() as hot:
        _, cluster, _ = hot.execute(HERE).fetchone() or ("", "", "")
        return str(cluster)


INTERN: Final = """
INSERT INTO {table} (key) SELECT DISTINCT {table} FROM archived_event
WHERE {table} IS NOT NULL AND NOT EXISTS (SELECT FROM {table} known WHERE known.key = {table})
ORDER BY 1 ON CONFLICT (key) DO NOTHING
"""

RESTORE: Final = """
INSERT INTO {partition} ({columns})
SELECT id, {xid}, kind, coalesce(subject_key.subject, archived_event.subject),
       coalesce(item_key.item, archived_event.item), quantity, price, slate, detail, order_id
FROM archived_event LEFT JOIN subject_key ON subject_key.key = archived_event.subject_key
                    LEFT JOIN item_key ON item_key.key = archived_event.item_key
ORDER BY id
"""

FORGET_IDS: Final = """
DELETE FROM archived_ids
WHERE low >= month_start(%(year)s, %(month)s) AND low < month_start(%(year)s, %(month)s + 1)
"""

FORGET: Final = "DELETE FROM archived_month WHERE year = %(year)s AND month = %(month)s"


def _join(record: Archived, xid: str) -> None:
    month = record.month
    with cursor() as hot:
        hot.execute(ALONE)
        for table in ("subject_key", "item_key"):
            hot.execute(INTERN.format(table=table))
        hot.execute(FORGET, month._asdict())
        hot.execute("SELECT empty_month(%s, %s)", month)
        hot.execute(RESTORE.format(partition=month.partition, columns=months.COLUMNS, xid=xid))
        months.fetch_late(month)
        hot.execute(FORGET_IDS, month._asdict())
        hot.execute("SELECT join_month(%s, %s)", month)


# A fold may read a shopper's history (covisit does for late events); whoever folded something
# of these shoppers while a part of theirs was archived is not exact. Kinds above 22 are facts
# about shoppers, not of one.
OWE: Final = """
INSERT INTO owed_rebuild (name) SELECT unnest(%(readers)s::text[])
WHERE EXISTS (
    SELECT FROM event
    WHERE xid >= pg_snapshot_xmin(%(since)s::pg_snapshot)
      AND NOT pg_visible_in_snapshot(xid, %(since)s::pg_snapshot)
      AND (kind > 22 OR subject IN (
          SELECT unnest(subjects) FROM archived_month WHERE year = %(year)s AND month = %(month)s)))
ON CONFLICT (name) DO NOTHING
"""


def _owe(record: Archived, readers: Sequence[str]) -> None:
    if record.lacking or record.cluster != _cluster():
        return  # they count the month anew, or are rebuilt for the cluster's sake
    with cursor() as hot:
        values = {"readers": list(readers), "since": record.snapshot} | record.month._asdict()
        hot.execute(OWE, values)
