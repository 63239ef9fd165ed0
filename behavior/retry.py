"""Reading refused records again, with the vocabulary and the clock of now.

It promises that what is accepted now is appended and leaves the table in one transaction, so
that two people who retry the same row append it once, and that what is still refused stays,
with its new reason. What was cut or could not be read stays as it is.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.db import transaction

from behavior import log, months, rejected
from behavior.dialects import translate
from behavior.envelope import parse
from behavior.events import Event, Rejection
from behavior.history import read_row
from recsite.db import cursor

AT_ONCE: Final = 1_000
"""Rows a transaction."""


class Retried(NamedTuple):
    """What became of the rows; those that were cut, unreadable or gone are in neither number."""

    accepted: int
    refused: int


class _Row(NamedTuple):
    id: int
    source: str
    rejected_at: datetime
    payload: str


# Of two who retry the same row, the second waits here and finds it gone.
TAKE: Final = """
SELECT id, source, rejected_at, payload FROM rejected WHERE id = ANY(%s) AND whole
ORDER BY id FOR UPDATE
"""

AGAIN: Final = """
UPDATE rejected SET code = again.code, message = again.message
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS again(id, code, message)
WHERE rejected.id = again.id
"""


def retry(ids: Sequence[int], now: datetime) -> Retried:
    """Read these rows again, a thousand a transaction."""
    done = [_retry(ids[start : start + AT_ONCE], now) for start in range(0, len(ids), AT_ONCE)]
    return Retried(sum(one.accepted for one in done), sum(one.refused for one in done))


def _retry(ids: Sequence[int], now: datetime) -> Retried:
    with transaction.atomic(), cursor() as hot:
        rows = [_Row(*found) for found in hot.execute(TAKE, [list(ids)])]
        parsed = [(row, _read(row, now)) for row in rows]
        good = [(row, events) for row, events in parsed if isinstance(events, list)]
        bad = [(row.id, *_said(no)) for row, no in parsed if isinstance(no, Rejection)]
        months.make_unless_read(
            {_month(e) for row, events in good if row.source != rejected.HTTP for e in events}
        )
        log.append([event for _, events in good for event in events])
        hot.execute("DELETE FROM rejected WHERE id = ANY(%s)", [[row.id for row, _ in good]])
        if bad:
            hot.execute(AGAIN, [list(column) for column in zip(*bad, strict=True)])
    return Retried(len(good), len(bad))


def _read(row: _Row, now: datetime) -> list[Event] | Rejection:
    """As its own door would, all that the record says or nothing; a POST without a time happened
    when it came."""
    try:
        raw = rejected.from_json(row.payload)
    except RecursionError:
        return Rejection("too_deep", "The record is nested too deeply to be read again.")
    said = [_parse(each, row, now) for each in translate(raw)]
    refused = next((each for each in said if isinstance(each, Rejection)), None)
    return refused or [each for each in said if isinstance(each, Event)]


def _parse(raw: object, row: _Row, now: datetime) -> Event | Rejection:
    if row.source != rejected.HTTP or isinstance(raw, Rejection):
        return read_row(raw, now)
    is_timed = isinstance(raw, dict) and raw.get("occurred_at") is not None
    return parse(raw, now=now if is_timed else row.rejected_at)


def _month(event: Event) -> tuple[int, int]:
    return event.occurred_at.year, event.occurred_at.month


def _said(no: Rejection) -> tuple[str, str]:
    return no.code, rejected.sayable(no.message)
