"""Pairs: which events of a person's history pair with which, and how heavily.

A person's events in order of time; each pairs with the WINDOW events before it. What was taken
back does not pair: a purchase whose next event on the item is its refund, a basket or wish list
left again, whatever came before a dismissal; nor does the second of a double click. It knows
how few histories have to be read for what came since a position, and it promises that the
pairs it adds, less those it takes away, are the difference of two rebuilds.

Parameters: `since`, a snapshot; `weights`, by signal; `double_click`, seconds.
"""

from typing import Final

from behavior.counted import MOVED, ORDERS, SHOWN, WITHIN
from behavior.events import Kind
from behavior.position import FRESH
from behavior.standing import JUDGED, STANDS, UNDOING
from behavior.user_state import KIND_LIST, RECENT

WINDOW: Final = 10
UNIT: Final = 65_536

PURCHASE: Final = Kind.PURCHASE.value

VISIT: Final = "interval '30 minutes'"
"""Purchases this near each other are one order; further apart, one led to the other."""

WEIGHTS: Final = "(CAST(:weights AS float8[]))"

# ── a history, and its pairs ───────────────────────────────────────────────────────────────

_LAGS: Final = ", ".join(
    f"lag({column}, {gap}) OVER w AS {column}_{gap}"
    for gap in range(1, WINDOW + 1) for column in ("at", "item", "signal")
)  # fmt: skip
_GAPS: Final = ", ".join(
    f"(at_{gap}, item_{gap}, signal_{gap}, {UNIT * gap**-0.5})" for gap in range(1, WINDOW + 1)
)

# One sort for all gaps: ten lags over one window are fourteen times faster than an array
# aggregated over a moving frame, and as fast as a self-join without its memory.
_PAIRS: Final = f"""
SELECT least(earlier.item, later.item) AS lo, greatest(earlier.item, later.item) AS hi,
       earlier.item < later.item AS up,
       earlier.signal <> {PURCHASE} OR later.signal <> {PURCHASE} AS is_viewed,
       earlier.signal = {PURCHASE} AND later.signal = {PURCHASE}
           AND later.at - earlier.at < {VISIT} AS is_bought,
       later.signal = {PURCHASE}
           AND (earlier.signal <> {PURCHASE} OR later.at - earlier.at >= {VISIT}) AS is_led,
       {{sign}} (earlier.gap_weight * {WEIGHTS}[earlier.signal] * {WEIGHTS}[later.signal])::int
           AS weight
FROM (SELECT at, item, signal, counts, {_LAGS}
      FROM ({{history}}) AS history
      WINDOW w AS (PARTITION BY person ORDER BY id)) AS later,
     LATERAL (VALUES {_GAPS}) AS earlier(at, item, signal, gap_weight)
WHERE later.counts AND earlier.item <> later.item
"""

# ── what was taken back ────────────────────────────────────────────────────────────────────

# The rows of a relation (person, id, at, item, signal, …) that stand, out of those that weigh.
_STANDING: Final = f"""
SELECT * FROM ({JUDGED}) AS judged
WHERE {WEIGHTS}[signal] > 0 AND {STANDS}
  AND (:double_click = 0 OR signal IN ({ORDERS}) OR coalesce(since_same > {WITHIN}, true))
"""

# ── the whole log ──────────────────────────────────────────────────────────────────────────

_EVERY: Final = f"""
SELECT CASE WHEN person.subject IS NULL THEN event.subject ELSE person.person END AS person,
       id, uuid_extract_timestamp(id) AS at, item, signal(kind, detail) AS signal
FROM event LEFT JOIN person USING (subject)
WHERE kind IN ({KIND_LIST}) AND subject IS NOT NULL AND item IS NOT NULL
  AND (person.subject IS NULL OR person.person IS NOT NULL)
"""

# Few items are ever left again, and to judge the rest would take two more sorts of the log.
_UNDONE: Final = f"""
SELECT person, item FROM ({_EVERY}) AS every WHERE signal IN ({UNDOING})
"""
_ALL_STANDING: Final = f"""
WITH undone AS MATERIALIZED ({_UNDONE})
SELECT person, id, at, item, signal, true AS counts FROM ({_EVERY}) AS every
WHERE :double_click = 0 AND {WEIGHTS}[signal] > 0
  AND NOT EXISTS (SELECT FROM undone WHERE undone.person = every.person AND undone.item = every.item)
UNION ALL
SELECT person, id, at, item, signal, true FROM (
    {
    _STANDING.format(
        rows=f'''
    SELECT * FROM ({_EVERY}) AS every
    WHERE :double_click > 0 OR EXISTS (
        SELECT FROM undone WHERE undone.person = every.person AND undone.item = every.item)'''
    )
}
) AS standing
"""
ALL: Final = _PAIRS.format(sign="", history=_ALL_STANDING)

# ── what came since ────────────────────────────────────────────────────────────────────────

# Everyone with new events, by how much of their history has to be read:
# near   user_state reaches back WINDOW events before the first new one, and nothing in it was
#        taken back: the usual case, whose cost does not grow with the log
# dirty  the same, but something was, so that each event must be judged
# far    all of it, from the log, counted anew: whoever is another person now, takes back, comes
#        late into a history in which something was taken back, or did very much at once
_REACH: Final = f"""
fresh AS MATERIALIZED (
    SELECT id, kind, CASE WHEN person.subject IS NULL THEN news.subject ELSE person.person END AS person
    FROM ({FRESH}) AS news LEFT JOIN person USING (subject)
    WHERE kind IN ({KIND_LIST}) AND subject IS NOT NULL AND item IS NOT NULL
      AND {SHOWN.format(of="news")}
), moved AS MATERIALIZED ({MOVED}),
first AS MATERIALIZED (
    SELECT person, (array_agg(id ORDER BY id))[1] AS id, count(*) AS count,
           bool_or(kind IN ({UNDOING})) AS undoes
    FROM fresh GROUP BY person
), reach AS MATERIALIZED (
    SELECT person, first.id AS first_id, ids, items, signals, older.cut, newer.count > first.count AS late,
           cardinality(ids) < {RECENT} AS whole,
           CASE WHEN undoes OR person IN (SELECT before FROM moved UNION ALL SELECT after FROM moved)
                     OR NOT (cardinality(ids) < {RECENT} OR ids[{RECENT}] < first.id) THEN 'far'
                WHEN signals && ARRAY[{UNDOING}]::smallint[] OR :double_click > 0
                    THEN CASE WHEN newer.count > first.count THEN 'far' ELSE 'dirty' END
                WHEN cardinality(ids) < {RECENT} OR older.count = {WINDOW} THEN 'near'
                ELSE 'far' END AS reach
    FROM first JOIN user_state USING (person),
         LATERAL (SELECT count(*), coalesce(max(age)::int, {RECENT}) AS cut FROM (
             SELECT age FROM unnest(ids, signals) WITH ORDINALITY AS recent(id, signal, age)
             WHERE recent.id < first.id AND {WEIGHTS}[signal] > 0
             ORDER BY age LIMIT {WINDOW}) AS nearest) AS older,
         LATERAL (SELECT count(*) FROM unnest(ids) AS recent(id) WHERE recent.id >= first.id) AS newer
), dirty AS MATERIALIZED (
    {
    _STANDING.format(
        rows='''
    SELECT person, first_id, whole, recent.id, uuid_extract_timestamp(recent.id) AS at, item, signal,
           uuid_extract_timestamp(ids[cardinality(ids)]) AS begins
    FROM reach, unnest(ids, items, signals) AS recent(id, item, signal) WHERE reach = 'dirty' '''
    )
}
), far(person) AS MATERIALIZED (
    SELECT person FROM reach WHERE reach = 'far'
    UNION SELECT before FROM moved WHERE before IS NOT NULL
    UNION SELECT after FROM moved WHERE after IS NOT NULL
    UNION SELECT person FROM dirty GROUP BY person
    HAVING NOT bool_or(whole)
       AND count(*) FILTER (WHERE id < first_id AND at > begins + {WITHIN}) < {WINDOW}
)
"""

# `cut` is RECENT where fewer than WINDOW came before; near then means that there are no more.
_NEAR: Final = f"""
SELECT person, recent.id, uuid_extract_timestamp(recent.id) AS at, item, signal,
       recent.id >= first_id AS counts
FROM reach, unnest(ids[1:cut], items[1:cut], signals[1:cut]) AS recent(id, item, signal)
WHERE reach = 'near' AND {WEIGHTS}[signal] > 0
"""

_OF_MEMBER: Final = f"""
SELECT person, past.* FROM ({{members}}) AS member,
LATERAL (SELECT id, uuid_extract_timestamp(id) AS at, item, signal(kind, detail) AS signal FROM event
         WHERE event.subject = member.subject AND kind IN ({KIND_LIST}) AND item IS NOT NULL
           {{seen}} OFFSET 0) AS past
"""
_ALONE: Final = """
SELECT person AS subject, person FROM far
WHERE NOT EXISTS (SELECT FROM person WHERE person.subject = far.person)
"""
_FAR_NOW: Final = _OF_MEMBER.format(
    members=f"SELECT subject, person FROM person WHERE person IN (SELECT person FROM far)"
    f" UNION ALL {_ALONE}",
    seen="",
)
_FAR_BEFORE: Final = _OF_MEMBER.format(
    members=f"""
    SELECT subject, before AS person FROM moved WHERE before IN (SELECT person FROM far)
    UNION ALL SELECT subject, person FROM person
    WHERE person IN (SELECT person FROM far) AND subject NOT IN (SELECT subject FROM moved)
    UNION ALL {_ALONE}""",
    seen="AND pg_visible_in_snapshot(xid, CAST(:since AS pg_snapshot))",
)

CHANGED: Final = f"""
WITH {_REACH}, near AS MATERIALIZED ({_NEAR})"""
"""The relations that NOW and BEFORE read."""

NOW: Final = _PAIRS.format(
    sign="",
    history=f"""
    SELECT person, id, at, item, signal, counts FROM near
    UNION ALL
    SELECT person, id, at, item, signal, id >= first_id FROM dirty
    WHERE person NOT IN (SELECT person FROM far)
    UNION ALL
    SELECT person, id, at, item, signal, true FROM ({_STANDING.format(rows=_FAR_NOW)}) AS now""",
)

# Of a near person pairs had been counted that now are not only where an older fact follows a
# new one.
BEFORE: Final = _PAIRS.format(
    sign="-",
    history=f"""
    SELECT person, id, at, item, signal, counts FROM near
    WHERE person IN (SELECT person FROM reach WHERE late)
      AND NOT EXISTS (SELECT FROM fresh WHERE fresh.id = near.id)
    UNION ALL
    SELECT person, id, at, item, signal, true FROM ({_STANDING.format(rows=_FAR_BEFORE)}) AS before""",
)
