"""What counts: facts about shoppers and items as a projection adds them up.

It gives what came since a reader's position as signed rows: of everyone who is not hidden,
plus the whole past of those who were hidden since (sign -1: to be taken back) or are shown
again. Where a projection asks for it, a click repeated within seconds counts once; then a
late fact can also take back what followed it. It never says what a fact is worth.

Parameters: `since`, a snapshot; `double_click`, seconds.
"""

from typing import Final

from behavior.events import Kind

SHOWN: Final = """
NOT EXISTS (SELECT FROM person WHERE person.subject = {of}.subject AND person IS NULL)
"""

_IS_NEW: Final = """
xid >= pg_snapshot_xmin(CAST(:since AS pg_snapshot))
AND NOT pg_visible_in_snapshot(xid, CAST(:since AS pg_snapshot))
"""

# Subjects who are another person now than when the reader last looked, none where hidden.
MOVED: Final = f"""
SELECT subject, before, person AS after
FROM (SELECT DISTINCT ON (subject) subject, before FROM person_change
      WHERE {_IS_NEW} ORDER BY subject, seq) AS changed JOIN person USING (subject)
WHERE before IS DISTINCT FROM person
"""

# LATERAL and OFFSET 0, for a past is found by its subject, whatever the planner thinks of how
# many were hidden.
_PAST: Final = f"""
SELECT past.id, kind, signal(kind, detail) AS signal, turned.subject, item, slate,
       CASE WHEN after IS NULL THEN -1 ELSE 1 END AS sign
FROM ({MOVED}) AS turned,
     LATERAL (SELECT * FROM event
              WHERE event.subject = turned.subject AND item IS NOT NULL
                AND pg_visible_in_snapshot(xid, CAST(:since AS pg_snapshot)) OFFSET 0) AS past
WHERE (before IS NULL) <> (after IS NULL)
"""
_FRESH: Final = f"""
SELECT id, kind, signal(kind, detail) AS signal, subject, item, slate, 1 AS sign
FROM (SELECT * FROM event WHERE {_IS_NEW}) AS fresh
WHERE subject IS NOT NULL AND item IS NOT NULL AND {SHOWN.format(of="fresh")}
"""

SIGNED: Final = f"{_FRESH} UNION ALL {_PAST}"
"""(id, kind, signal, subject, item, slate, sign); a signal is a kind with a rating's stars."""

# ── a double click counts once ─────────────────────────────────────────────────────────────

ORDERS: Final = f"{Kind.PURCHASE.value}, {Kind.REFUND.value}"
"""Kinds of which two in a second are two."""

WITHIN: Final = "make_interval(secs => CAST(:double_click AS float8))"

_SAME: Final = "PARTITION BY subject, item, signal ORDER BY id"

# The surroundings of each new fact, twice as wide as it takes to judge whom it follows and
# who follows it; what changes is the difference of two judgements, with the new and without.
_SURROUNDINGS: Final = f"""
SELECT DISTINCT around.id, around.kind, around.signal, fresh.subject, fresh.item, around.slate,
       around.at, around.is_new
FROM ({_FRESH}) AS fresh, LATERAL (
    SELECT id, kind, signal(kind, detail) AS signal, slate, occurred_at AS at, ({_IS_NEW}) AS is_new
    FROM event
    WHERE event.subject = fresh.subject AND event.item = fresh.item
      AND event.id >= first_id(uuid_extract_timestamp(fresh.id) - 2 * {WITHIN})
      AND event.id < first_id(uuid_extract_timestamp(fresh.id) + 2 * {WITHIN} + interval '1 ms')
    OFFSET 0) AS around
"""
_JUDGED: Final = f"""
SELECT id, kind, signal, subject, item, slate,
       (kind IN ({ORDERS}) OR coalesce(at - last > {WITHIN}, true))::int
       - (NOT is_new AND (kind IN ({ORDERS}) OR coalesce(at - last_old > {WITHIN}, true)))::int AS sign
FROM (SELECT *, lag(at) OVER ({_SAME}) AS last,
             max(at) FILTER (WHERE NOT is_new)
                 OVER ({_SAME} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_old
      FROM ({_SURROUNDINGS}) AS surroundings) AS followed
"""
_PAST_ONCE: Final = f"""
SELECT id, kind, signal, subject, item, slate, sign
FROM (SELECT *, uuid_extract_timestamp(id) - lag(uuid_extract_timestamp(id)) OVER ({_SAME}) AS gap
      FROM ({_PAST}) AS past) AS followed
WHERE kind IN ({ORDERS}) OR coalesce(gap > {WITHIN}, true)
"""
SIGNED_ONCE: Final = f"""
SELECT * FROM ({_JUDGED}) AS judged WHERE sign <> 0 UNION ALL {_PAST_ONCE}
"""

# For a reader that has read nothing there is no past to judge against.
_ALL_ONCE: Final = f"""
SELECT id, kind, signal, subject, item, slate, sign
FROM (SELECT *, uuid_extract_timestamp(id) - lag(uuid_extract_timestamp(id)) OVER ({_SAME}) AS gap
      FROM ({_FRESH}) AS fresh) AS followed
WHERE kind IN ({ORDERS}) OR coalesce(gap > {WITHIN}, true)
"""


def signed(*, double_click: float, everything: bool) -> str:
    """The rows to add up; `everything` for a reader that has read nothing."""
    if not double_click:
        return _FRESH if everything else SIGNED
    return _ALL_ONCE if everything else SIGNED_ONCE
