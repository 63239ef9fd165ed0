"""A dossier: all that is kept about a person, for the person.

It promises every row that bears one of their names, in the shop's own words. It never leaves
out what was derived: state and slates are theirs, too.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from behavior import people, rejected
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
ITEMS: Final = """
SELECT 'item' AS about, key AS item_id, kinds, last AS last_event, bought AS hours_bought
FROM user_item JOIN item_key USING (item) WHERE person = ANY (%s) ORDER BY item
"""


def told_of(name: str) -> Iterator[dict[str, Any]]:
    """Row by row; nothing where nobody has this name."""
    members = people.members([name])
    by_number, by_name = list(members), sorted({*members.values(), name})
    for statement, whom in (
        (NAMES, by_number), (EVENTS, by_name), (SLATES, by_name), (STATE, by_number),
        (ITEMS, by_number),
    ):  # fmt: skip
        yield from _rows(statement, whom)
    for row in rejected.told_of(by_name):
        yield {"about": "rejected record"} | row


def line(row: dict[str, Any]) -> bytes:
    """A row as a line of JSONL, without its end."""
    return orjson.dumps(row, default=str)


def _rows(statement: str, whom: Sequence[object]) -> Iterator[dict[str, Any]]:
    with cursor() as hot:
        hot.execute(statement, [list(whom)])
        columns = [column.name for column in hot.description or ()]
        for row in hot:
            yield {n: v for n, v in zip(columns, row, strict=True) if v is not None}
