"""The log: how fast a history file goes in, and what an event weighs there.

The append is measured on empty tables, as a shop's first import is, and divided by the least
that it could cost: the same rows, finished, into the same table by COPY.
"""

import time
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from behavior import history
from bench.figures import Figure, at_least, at_most
from bench.ground import hush
from bench.sizes import Size
from bench.traffic import Shop
from recsite.db import cursor
from recsite.files import read_rows

COLUMNS: Final = "id, kind, subject, item, quantity, price, slate, detail, order_id"
OUT: Final = f"COPY (SELECT {COLUMNS} FROM event) TO STDOUT"
INTO: Final = f"COPY event ({COLUMNS}) FROM STDIN"

# A replica's role skips the triggers that refuse it. Not in the transaction of the COPY:
# Postgres would then write no WAL for it.
EMPTY: Final = (
    "SET session_replication_role = replica",
    "TRUNCATE event",
    "SET session_replication_role = origin",
)

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
    weight = weigh()
    raw = _copied()
    return [
        Figure("import_events, Parquet", imported, "rows/s", at_least(50_000),
               imported / raw, "raw COPY"),
        Figure("import_events ÷ raw COPY", imported / raw, "times", at_least(0.4)),
        Figure("raw COPY of the same rows into the same table", raw, "rows/s"),
        Figure("a line of an order in the log, with its indexes", weight, "bytes", at_most(150)),
    ]  # fmt: skip


def measure_size() -> list[Figure]:
    """What the shop's log weighs, indexes and all."""
    return [
        Figure("a fact in the log, the catalogue's too, with its indexes", weigh(), "bytes"),
        Figure("an event, with everything that follows from it", _number(DATABASE_BYTES), "bytes"),
    ]


def weigh() -> float:
    """Bytes an event of the log, with its indexes."""
    return _number(LOG_BYTES)


def _copied() -> float:
    """Rows a second of COPY alone: the log's own rows into the log itself, emptied before, with
    its months, its indexes and its default for xid."""
    with cursor() as hot:
        with hot.copy(OUT) as out:
            finished = b"".join(out)
        for statement in EMPTY:
            hot.execute(statement)
    seconds = _copy(finished)
    return _number("SELECT count(*) FROM event") / seconds


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
