"""One person as the admin shows them: names, what they did, what they bought, what they saw.

It only reads, under all names that were joined, and promises an answer in about the time of
the overview's allowance: a part that took too long is None.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from behavior import links, people, suspects
from behavior.events import Kind
from recsite.dashboard import Rows, read

SHOWN: Final = 50

NAMES: Final = """
SELECT subject, name, is_hidden FROM shopper_log WHERE subject = ANY (%(members)s) ORDER BY name
"""

# MATERIALIZED, or the planner walks the whole log back from its end to find the few of one.
EVENTS: Final = f"""
WITH own AS MATERIALIZED (
    SELECT id, kind, subject, item, quantity, price, detail FROM event
    WHERE subject = ANY (%(members)s) AND kind <> {Kind.SUBJECT_QUARANTINED.value}
), newest AS (SELECT * FROM own ORDER BY id DESC LIMIT {SHOWN})
SELECT newest.id, uuid_extract_timestamp(newest.id) AS at, replace(kind_name(kind), '_', ' ') AS event,
       item.key AS item_id, coalesce(title, '') AS title, newest.quantity, newest.price,
       subject_key.key AS name, coalesce(detail->>'query', detail->>'person', '') AS said
FROM newest JOIN subject_key USING (subject)
LEFT JOIN item_key AS item USING (item) LEFT JOIN catalog_item ON catalog_item.id = newest.item
ORDER BY newest.id DESC
"""
HABITS: Final = """
SELECT item_key.key AS item_id, coalesce(title, '') AS title, cardinality(kept(bought)) AS times,
       uuid_extract_timestamp(last) AS last
FROM user_item JOIN item_key USING (item) LEFT JOIN catalog_item ON catalog_item.id = user_item.item
WHERE person = ANY (%(members)s) AND kept(bought) IS NOT NULL
ORDER BY times DESC, last DESC LIMIT 10
"""
SLATES: Final = """
WITH own AS MATERIALIZED (SELECT * FROM slate WHERE subject = ANY (%(members)s)),
newest AS (SELECT * FROM own ORDER BY id DESC LIMIT 10)
SELECT id, served_at AS at, scenario, cardinality(items) AS count, (
    SELECT string_agg(coalesce(nullif(title, ''), key), ' · ' ORDER BY place)
    FROM unnest(items[1:3]) WITH ORDINALITY AS shown(item, place) JOIN item_key USING (item)
    LEFT JOIN catalog_item ON catalog_item.id = shown.item) AS top
FROM newest ORDER BY id DESC
"""
HIDDEN: Final = f"""
SELECT DISTINCT ON (subject) uuid_extract_timestamp(id) AS at, coalesce(detail->>'because', '') AS because
FROM event WHERE kind = {Kind.SUBJECT_QUARANTINED.value} AND subject = ANY (%(members)s)
ORDER BY subject, id DESC LIMIT 1
"""
SUSPICION: Final = "SELECT score, reasons::text FROM suspect_log WHERE person = ANY (%(members)s)"
COUNTED: Final = """
SELECT (SELECT count(*) FROM event WHERE subject = ANY (%(members)s)) AS events,
       (SELECT count(*) FROM slate WHERE subject = ANY (%(members)s)) AS slates
"""

Row = dict[str, Any]


def told_of(name: str) -> Row:
    """Everything for the page."""
    members = people.members([name])
    hidden = _rows(HIDDEN, members, "at because")
    names = _rows(NAMES, members, "subject name is_hidden")
    return {
        "names": names,
        "hidden_now": any(one["is_hidden"] for one in names or ()),
        "links": links.of(members),
        "hidden": hidden[0] if hidden else None,
        "suspicion": _suspicion(members),
        "events": _rows(EVENTS, members, "id at event item_id title quantity price name said"),
        "habits": _rows(HABITS, members, "item_id title times last"),
        "slates": _rows(SLATES, members, "id at scenario count top"),
    }


def at_stake(name: str) -> Row:
    """What an erasure would take: the names, and how many events and lists."""
    members = people.members([name])
    counted = _rows(COUNTED, members, "events slates")
    return {"names": sorted(members.values()), "counted": counted[0] if counted else None}


def is_linked(name: str, link: str, target: str) -> bool:
    """Whether these two are joined, and part of the person who bears this name."""
    said = links.of(people.members([name]))
    return any(one.stands and (one.name, one.target) == (link, target) for one in said)


def _suspicion(members: Mapping[int, str]) -> Row | None:
    rows = _read(SUSPICION, members)
    if not rows:
        return None
    score, reasons = rows[0]
    return {"score": score, "reasons": suspects.sentences(orjson.loads(reasons))}


def _rows(statement: str, members: Mapping[int, str], columns: str) -> list[Row] | None:
    found = _read(statement, members)
    if found is None:
        return None
    return [dict(zip(columns.split(), row, strict=True)) for row in found]


def _read(statement: str, members: Mapping[int, str]) -> Rows | None:
    return read(statement, {"members": list(members)})
