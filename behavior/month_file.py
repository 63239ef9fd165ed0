"""A month of the log as a Parquet file that can be read alone.

It knows the file's columns: all that the log stores of a fact, with the shop's own names of
shoppers and items beside the interned ids. It promises that a file stands under its name only
when it is complete and on the disk, and that another database's is never overwritten.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as pc
import pyarrow.parquet as pq

from behavior.events import Kind
from behavior.months import Month
from recsite.db import cursor

SCHEMA: Final = pa.schema([
    ("id", pa.string()), ("xid", pa.uint64()), ("kind", pa.int16()), ("subject", pa.int32()),
    ("item", pa.int32()), ("subject_key", pa.string()), ("item_key", pa.string()),
    ("quantity", pa.int32()), ("price", pa.string()), ("slate", pa.string()),
    ("detail", pa.string()), ("order_id", pa.string()),
    ("occurred_at", pa.timestamp("ms", "UTC")),
])  # fmt: skip
"""Prices are text: Postgres' numerics have as many digits as they were given."""

STORED: Final = tuple(name for name in SCHEMA.names if name != "occurred_at")
"""All columns but the time, which the id holds."""

ADDED: Final = frozenset({"order_id"})
"""Columns that files of the first format lack; those are read without."""

FORMAT: Final = 2
BLOCK: Final = 16 * 1024 * 1024
BATCH: Final = 50_000


class BadFile(Exception):
    """The file is missing, broken, or not what it should be; the message says which."""


FACTS: Final = """
SELECT id, xid, kind, subject, item, subject_key.key AS subject_key, item_key.key AS item_key,
       quantity, price, slate, detail, order_id{more}
FROM {partition} LEFT JOIN subject_key USING (subject) LEFT JOIN item_key USING (item)
"""

CREATE_STAGE: Final = """
CREATE TEMP TABLE archived_event (
    id uuid, xid xid8, kind smallint, subject int, item int, subject_key text, item_key text,
    quantity int, price numeric, slate uuid, detail jsonb, order_id text
) ON COMMIT DROP
"""

# Rows and a sum that does not care for their order. md5, for Postgres' own hashes may be others
# in its next version, and files are kept for years.
CHECKSUM: Final = """
SELECT count(*) || ':' || coalesce(sum(('x' || left(md5(facts::text), 15))::bit(60)::bigint), 0)
FROM ({facts}) AS facts
"""


def checksum(month: Month) -> str:
    """The checksum of the month's partition."""
    return _checksum(FACTS.format(more="", partition=month.partition))


def staged_checksum(columns: Sequence[str]) -> str:
    """The checksum of what `stage` read, from the columns that it found."""
    return _checksum(f"SELECT {', '.join(columns)} FROM archived_event")


def _checksum(facts: str) -> str:
    with cursor() as hot:
        (found,) = hot.execute(CHECKSUM.format(facts=facts)).fetchone() or ("",)
        return str(found)


def path_of(month: Month, folder: Path) -> Path:
    """Where a month's file stands in a folder."""
    return folder / f"{month.partition}.parquet"


def write(month: Month, folder: Path, *, owner: str) -> Path:
    """Write the month's facts as this transaction sees them; returns the file, which is on disk.

    Only its owner may read it: it says what shoppers did. Raises BadFile.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = path_of(month, folder)
    _refuse_anothers(file, owner)
    half = file.with_suffix(".part")
    try:
        _write(month, half, owner)
        half.replace(file)
        _sync(folder)
    finally:
        half.unlink(missing_ok=True)
    return file


def _write(month: Month, half: Path, owner: str) -> None:
    said = {"format": FORMAT, "month": str(month), "owner": owner,
            "kinds": {str(kind.value): kind.label for kind in Kind}}  # fmt: skip
    schema = SCHEMA.with_metadata({"recsite": orjson.dumps(said).decode()})
    half.unlink(missing_ok=True)
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
        with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            for batch in _facts(month):
                writer.write_batch(batch)
        sink.flush()
        os.fsync(sink.fileno())


def _sync(folder: Path) -> None:
    """A new name is on the disk only once its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Copied:
    """What COPY sends, as a file to read from."""

    closed = False

    def __init__(self, copy: psycopg.Copy) -> None:
        self._copy, self._left = copy, bytearray()

    def read(self, size: int) -> bytes:
        # It comes row by row; to join bytes anew with each would take minutes for a million.
        while len(self._left) < size and (more := self._copy.read()):
            self._left += more
        chunk = bytes(self._left[:size])
        del self._left[:size]
        return chunk


def _facts(month: Month) -> Iterator[pa.RecordBatch]:
    """The month in batches: as CSV through Arrow, several times faster than row by row."""
    facts = FACTS.format(more=", occurred_at", partition=month.partition)
    with cursor() as hot, hot.copy(f"COPY ({facts} ORDER BY id) TO STDOUT (FORMAT csv)") as copy:
        yield from pc.open_csv(
            pa.PythonFile(_Copied(copy), mode="r"),
            pc.ReadOptions(column_names=SCHEMA.names, block_size=BLOCK, use_threads=False),
            pc.ParseOptions(newlines_in_values=True),
            pc.ConvertOptions(column_types=SCHEMA, strings_can_be_null=True, null_values=[""],
                              quoted_strings_can_be_null=False),
        )  # fmt: skip


def stage(file: Path) -> list[str]:
    """Read the whole file into the temporary table archived_event; returns the columns that it has.
    Raises BadFile."""
    with _opened(file) as opened, cursor() as hot:
        held = set(opened.schema_arrow.names)
        if not set(SCHEMA.names) - ADDED <= held <= set(SCHEMA.names):
            raise BadFile(f"{file} is not an archived month: its columns are others.")
        columns = [name for name in STORED if name in held]
        hot.execute(CREATE_STAGE)
        try:
            _copy(hot, opened, columns)
        except (pa.ArrowException, OSError, psycopg.DataError) as error:
            raise BadFile(f"{file} is broken: {_first_line(error)}") from None
        hot.execute("ANALYZE archived_event")
        return columns


def _copy(hot: psycopg.Cursor[tuple[Any, ...]], opened: Any, columns: list[str]) -> None:
    into = f"COPY archived_event ({', '.join(columns)}) FROM STDIN (FORMAT csv)"
    with hot.copy(into) as copy:
        for batch in opened.iter_batches(BATCH, columns=columns):
            copy.write(_as_csv(batch))


def facts_of(file: Path, subjects: Sequence[int]) -> list[dict[str, Any]]:
    """What a file holds about these subjects, as event_log words it. Raises BadFile."""
    wanted = pa.array(subjects, pa.int32())
    with _opened(file) as opened:
        try:
            found = [
                row
                for batch in opened.iter_batches(BATCH)
                for row in batch.filter(compute.is_in(batch["subject"], wanted)).to_pylist()
            ]
        except (pa.ArrowException, OSError) as error:
            raise BadFile(f"{file} is broken: {_first_line(error)}") from None
    return [_worded(row) for row in found]


def _worded(row: dict[str, Any]) -> dict[str, Any]:
    detail = orjson.loads(row["detail"]) if row["detail"] else {}
    if row.get("order_id") is not None:
        detail["order_id"] = row["order_id"]
    return {
        "id": row["id"], "occurred_at": row["occurred_at"], "kind": Kind(row["kind"]).label,
        "subject": row["subject_key"], "item_id": row["item_key"], "quantity": row["quantity"],
        "price": row["price"], "recommendation_id": row["slate"],
        "detail": detail or None,
    }  # fmt: skip


def _as_csv(batch: pa.RecordBatch) -> memoryview:
    sink = pa.BufferOutputStream()
    pc.write_csv(batch, sink, pc.WriteOptions(include_header=False))
    return memoryview(sink.getvalue())


def _opened(file: Path) -> Any:
    try:
        opened = pq.ParquetFile(file)
    except FileNotFoundError:
        raise BadFile(f"There is no file {file}.") from None
    except (pa.ArrowException, OSError) as error:
        raise BadFile(f"{file} is not a Parquet file: {_first_line(error)}") from None
    if _said(opened).get("format", FORMAT) > FORMAT:
        raise BadFile(f"{file} was made by a newer release, which has columns that this one lacks.")
    return opened


def _said(opened: Any) -> dict[str, Any]:
    """What the file says of itself."""
    said: dict[str, Any] = orjson.loads((opened.schema_arrow.metadata or {}).get(b"recsite", b"{}"))
    return said


def _refuse_anothers(file: Path, owner: str) -> None:
    if not file.exists():
        return
    with _opened(file) as opened:
        said = _said(opened)
    if said.get("owner") != owner:
        raise BadFile(
            f"{file} is another database's. Move it away, or archive --to another folder."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
