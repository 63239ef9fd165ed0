"""A dossier: all that is kept about a person, for the person.

It promises every row that bears one of their names, in the shop's own words, out of archived
months, too. It never leaves out what was derived: state and slates are theirs, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from psycopg import adapters

from behavior import coverage, people, rejected
from recsite.db import cursor

NAMES: Final = """
SELECT 'name' AS about, name.key AS name, links.key AS linked_to, hidden, hidden_person.key AS person
FROM subject_key AS name LEFT JOIN person USING (subject)
LEFT JOIN subject_key AS links ON links.subject = person.link
LEFT JOIN subject_key AS hidden_person ON hidden_person.subject = person.person
WHERE name.subject = ANY (%s) ORDER BY name.key
"""
EVENTS: Final = """
SELECT 'event' AS about, event_log.* FROM event_log WHERE subject = ANY (%s) ORDER BY id
"""
SLATES: Final = """
SELECT 'slate' AS about, slate_log.* FROM slate_log WHERE subject = ANY (%s) ORDER BY id
"""
STATE: Final = """
SELECT 'recent events' AS about, ids AS events FROM user_state WHERE person = ANY (%s)
"""
SUSPECT: Final = """
SELECT 'suspicion' AS about, score, reasons, seen_at FROM suspect WHERE person = ANY (%s)
"""
FOLLOWED: Final = """
SELECT 'followed list' AS about, attribution.* FROM attribution
WHERE slate IN (SELECT id FROM slate WHERE subject = ANY (%s))
"""
JSON: Final = {adapters.types[name].oid for name in ("json", "jsonb")}
"""Django's connection hands these over as text."""

ITEMS: Final = """
SELECT 'item' AS about, key AS item_id, kinds, last AS last_event, bought AS hours_bought
FROM user_item JOIN item_key USING (item) WHERE person = ANY (%s) ORDER BY item
"""


class OutOfReach(Exception):
    """An archived month holds facts about the person and cannot be read; the message says why."""


Row = dict[str, Any]


def told_of(name: str) -> Iterator[Row]:
    """Row by row; nothing where nobody has this name. Raises OutOfReach, before the first row."""
    members = people.members([name])
    return _told(members, name, _archived(list(members)))


def _archived(subjects: list[int]) -> list[Row]:
    due = coverage.months_with(subjects)
    if not due:
        return []
    # Only here: reading Parquet takes 60 MB, and a web process hardly ever has to.
    from behavior import month_file

    files = [Path(one.file) for one in coverage.archived() if one.month in due]
    try:
        return [row for file in files for row in month_file.facts_of(file, subjects)]
    except month_file.BadFile as error:
        raise OutOfReach(str(error)) from None


def _told(members: Mapping[int, str], name: str, archived: Sequence[Row]) -> Iterator[Row]:
    by_number, by_name = list(members), sorted({*members.values(), name})
    for row in archived:
        yield {"about": "archived event"} | {n: v for n, v in row.items() if v is not None}
    for statement, whom in (
        (NAMES, by_number), (EVENTS, by_name), (SLATES, by_name), (STATE, by_number),
        (ITEMS, by_number), (SUSPECT, by_number), (FOLLOWED, by_number),
    ):  # fmt: skip
        yield from _rows(statement, whom)
    for row in rejected.told_of(by_name):
        yield {"about": "rejected record"} | row


def line(row: Row) -> bytes:
    """A row as a line of JSONL, without its end."""
    return orjson.dumps(row, default=str)


def _rows(statement: str, whom: Sequence[object]) -> Iterator[Row]:
    with cursor() as hot:
        hot.execute(statement, [list(whom)])
        columns = [(c.name, c.type_code in JSON) for c in hot.description or ()]
        for row in hot:
            yield {
                name: orjson.loads(value) if is_json else value
                for (name, is_json), value in zip(columns, row, strict=True)
                if value is not None
            }
