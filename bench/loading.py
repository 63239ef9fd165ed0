"""The short road into the log, for histories that are too long for the import's.

pyarrow writes rows as CSV, COPY stages a million of them, and one statement gives them ids by
the schema's own event_id and puts them into the log; the shoppers' state is filled once, at
the end. It promises the rows that import_events would append, but for the random part of an
id and the number of transactions, and that the log was empty before.
"""

import io
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import pyarrow as pa
import pyarrow.csv as csv
from django.db import transaction

from behavior import months, user_state
from behavior.events import BY_NAME, subject_key
from behavior.names import intern
from bench.invented import SPAN, Invention, tables
from recsite.db import connection, cursor

STAGE: Final = """
CREATE TEMP TABLE invented (
    event text, occurred_at timestamptz, user_id text, item_id text, quantity int, price numeric,
    order_id text, line bigint GENERATED ALWAYS AS IDENTITY)
"""
COPY: Final = """
COPY invented (event, occurred_at, user_id, item_id, quantity, price, order_id)
FROM STDIN (FORMAT csv)
"""

# What log.APPEND says, without what a repeated delivery, a batch's own state and people need.
APPEND: Final = """
INSERT INTO event (id, kind, subject, item, quantity, price, order_id)
SELECT event_id(occurred_at, 0, 'invented-' || line), kinds.kind, subject, item, quantity, price,
       order_id
FROM invented JOIN (VALUES {kinds}) AS kinds (name, kind) ON name = event
JOIN subject_key ON subject_key.key = 'user:' || user_id
JOIN item_key ON item_key.key = item_id
ORDER BY 1
""".format(kinds=", ".join(f"('{name}', {kind.value}::smallint)" for name, kind in BY_NAME.items()))

VACUUM: Final = "VACUUM ANALYZE"


def load(*wanted: Invention) -> None:
    """Put inventions into this database, whose log is empty, in the order of time; and vacuum it."""
    with transaction.atomic():
        for each in wanted:
            with cursor() as hot:
                intern(hot, "subject_key", [subject_key(user, None) for user in each.users()])
                intern(hot, "item_key", list(each.items()))
            months.make(_months(each))
    _append(tables(*wanted))
    with transaction.atomic(), connection() as inside:
        user_state.fill(inside)
    with cursor() as hot:
        hot.execute(VACUUM)


def _append(history: Iterable[pa.Table]) -> None:
    with cursor() as hot:
        hot.execute(STAGE)
        for rows in history:
            with transaction.atomic():
                _copy(rows)
                hot.execute(APPEND)
                hot.execute("TRUNCATE invented")
        hot.execute("DROP TABLE invented")


def _copy(rows: pa.Table) -> None:
    written = io.BytesIO()
    csv.write_csv(rows, written, csv.WriteOptions(include_header=False))
    with cursor() as hot, hot.copy(COPY) as into:
        into.write(written.getbuffer())


def _months(wanted: Invention) -> list[tuple[int, int]]:
    began = wanted.until - SPAN
    days = (began + timedelta(days=n) for n in range(SPAN.days + 1))
    return sorted({(day.year, day.month) for day in days})
