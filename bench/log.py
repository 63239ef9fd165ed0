"""The log: how fast a history file goes in, and what an event weighs there.

The append is measured on empty tables, as a shop's first import is, and divided by the least
that it could cost: the same rows, finished, into one table of the same shape by COPY.
"""

import time
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from behavior import history
from bench.figures import Figure, at_least
from bench.ground import hush
from bench.sizes import Size
from bench.traffic import Shop
from recsite.db import cursor
from recsite.files import read_rows

COLUMNS: Final = "id, kind, subject, item, quantity, price, slate, detail"
OUT: Final = f"COPY (SELECT {COLUMNS} FROM event) TO STDOUT"
INTO: Final = f"COPY raw_event ({COLUMNS}) FROM STDIN"

# Not in the transaction of the COPY: Postgres would then write no WAL for it.
CREATE_RAW: Final = """
CREATE TABLE raw_event (LIKE event INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING INDEXES)
"""
DROP_RAW: Final = "DROP TABLE IF EXISTS raw_event"

LOG_BYTES: Final = """
SELECT sum(pg_total_relation_size(relid)) / greatest((SELECT count(*) FROM event), 1)
FROM pg_partition_tree('event')
"""
DATABASE_BYTES: Final = """
SELECT pg_database_size(current_database()) / greatest((SELECT count(*) FROM event), 1)
"""


def measure_append(shop: Shop, size: Size, folder: Path) -> list[Figure]:
    """import_events of the history's first lines, on the empty tables of this database."""
    hush()
    file = folder / "import.parquet"
    pq.write_table(pq.read_table(shop.history).slice(0, size.import_rows), file)
    began = time.perf_counter()
    rows = sum(batch.rows for batch in history.import_rows(read_rows(file)))
    imported = rows / (time.perf_counter() - began)
    raw = _copied()
    return [
        Figure("import_events, Parquet", imported, "rows/s", at_least(30_000),
               imported / raw, "raw COPY"),
        Figure("raw COPY of the same rows", raw, "rows/s"),
    ]  # fmt: skip


def measure_size() -> list[Figure]:
    """What the shop's log weighs, indexes and all."""
    return [
        Figure("an event in the log, with its indexes", _number(LOG_BYTES), "bytes"),
        Figure("an event, with everything that follows from it", _number(DATABASE_BYTES), "bytes"),
    ]


def _copied() -> float:
    """Rows a second of COPY alone: the log's own rows into a table like it."""
    with cursor() as hot:
        with hot.copy(OUT) as out:
            finished = b"".join(out)
        hot.execute(DROP_RAW)
        hot.execute(CREATE_RAW)
        seconds = _copy(finished)
        rows = _number("SELECT count(*) FROM raw_event")
        hot.execute(DROP_RAW)
    return rows / seconds


def _copy(finished: bytes) -> float:
    """Seconds; in one piece, so that Python's part is small."""
    began = time.perf_counter()
    with cursor() as hot, hot.copy(INTO) as into:
        into.write(finished)
    return time.perf_counter() - began


def _number(statement: str) -> float:
    with cursor() as hot:
        (value,) = hot.execute(statement).fetchone() or (0,)
        return float(value)
