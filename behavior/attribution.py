"""Attribution: what a shopper did after a slate, tied to it by its recommendation_id.

A projection of the log: one row for each event that names a slate and an item which that
slate showed, and was not taken back (behavior.standing). It never guesses; an event without a
recommendation_id is not attributed.
"""

from typing import Final

from sqlalchemy import Column, Connection, Index, Integer, SmallInteger, Table, Uuid, text

from behavior.counted import MOVED, SIGNED, signed
from behavior.position import NOTHING
from behavior.standing import JUDGED, STANDS, UNDOING, UNDOING_MASK
from behavior.user_state import KIND_LIST
from recsite.db import METADATA

NAME: Final = "attribution"
VERSION: Final = 2

attribution = Table(
    "attribution",
    METADATA,
    Column("event", Uuid, primary_key=True),
    Column("slate", Uuid, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("item", Integer, nullable=False),
    Column("place", SmallInteger, nullable=False),
    Index("attribution_slate_idx", "slate"),
    # What became of an item, in the newest lists first, without a look at the rows.
    Index("attribution_item_idx", "item", "slate", "kind"),
)
"""`place` is where the item stood in the slate, 1 at the top."""

TABLES: Final = (attribution,)

# Events that name a slate, where the slate really showed their item.
TIE: Final = """
INSERT INTO attribution (event, slate, kind, item, place)
SELECT tied.id, slate.id, tied.kind, tied.item, array_position(slate.items, tied.item)
FROM ({tied}) AS tied JOIN slate ON slate.id = tied.slate
WHERE tied.slate IS NOT NULL AND tied.item = ANY(slate.items)
ON CONFLICT (event) DO NOTHING
"""
_DID: Final = f"SELECT * FROM ({{signed}}) AS signed WHERE sign > 0 AND kind NOT IN ({UNDOING})"
UNTIE_HIDDEN: Final = f"""
DELETE FROM attribution USING ({SIGNED}) AS signed WHERE attribution.event = signed.id AND sign < 0
"""

# Dealings in which something was taken back, of which a fact is new or whose person is another.
# Few are, and the shopper's own state knows them without a look at the log.
DOUBTFUL: Final = f"""
moved AS MATERIALIZED ({MOVED}), turned(person, other) AS MATERIALIZED (
    SELECT DISTINCT before, coalesce(after, before) FROM moved WHERE before IS NOT NULL
    UNION SELECT DISTINCT after, coalesce(before, after) FROM moved WHERE after IS NOT NULL
), fresh(person, item) AS MATERIALIZED (
    SELECT DISTINCT CASE WHEN person.subject IS NULL THEN signed.subject ELSE person.person END, item
    FROM ({SIGNED}) AS signed LEFT JOIN person USING (subject)
), doubtful AS MATERIALIZED (
    SELECT person, item FROM fresh JOIN user_item USING (person, item) WHERE kinds & {UNDOING_MASK} <> 0
    UNION
    SELECT turned.person, item FROM turned JOIN user_item ON user_item.person IN (turned.person, turned.other)
    WHERE kinds & {UNDOING_MASK} <> 0
)
"""
EVERY_DOUBTFUL: Final = f"""
doubtful AS MATERIALIZED (
    SELECT DISTINCT CASE WHEN person.subject IS NULL THEN event.subject ELSE person.person END AS person, item
    FROM event LEFT JOIN person USING (subject)
    WHERE kind IN ({UNDOING}) AND subject IS NOT NULL AND item IS NOT NULL
)
"""

# LATERAL and OFFSET 0: a history is found by its subjects, whatever the planner thinks of how
# many are doubtful.
_DEALT: Final = f"""
SELECT doubtful.person, past.* FROM doubtful JOIN (
    SELECT subject, person FROM person UNION ALL
    SELECT DISTINCT person, person FROM doubtful
    WHERE NOT EXISTS (SELECT FROM person WHERE person.subject = doubtful.person)
) AS member USING (person), LATERAL (
    SELECT id, kind, uuid_extract_timestamp(id) AS at, item, signal(kind, detail) AS signal, slate
    FROM event WHERE event.subject = member.subject AND event.item = doubtful.item
      AND kind IN ({KIND_LIST}) OFFSET 0) AS past
"""
# Tied rows that stand no more go, those that stand again come; neither touches the other's.
JUDGE: Final = f"""
WITH {{doubtful}}, judged AS MATERIALIZED ({JUDGED.format(rows=_DEALT)}), untied AS (
    DELETE FROM attribution WHERE event = ANY (ARRAY(SELECT id FROM judged WHERE NOT ({STANDS})))
)
{TIE.format(tied=f"SELECT * FROM judged WHERE {STANDS} AND kind NOT IN ({UNDOING})")}
"""


def fold(connection: Connection, since: str, counting: object) -> None:
    """Tie the events that came since the snapshot `since` to their slates; untie those of
    shoppers who were hidden, and what was taken back."""
    did = TIE.format(tied=_DID.format(signed=SIGNED))
    for statement in (UNTIE_HIDDEN, did, JUDGE.format(doubtful=DOUBTFUL)):
        connection.execute(text(statement), {"since": since})


def fill(connection: Connection, counting: object) -> None:
    """The same from the whole log, into an empty table."""
    did = _DID.format(signed=signed(double_click=0, everything=True))
    connection.execute(text(TIE.format(tied=did)), {"since": NOTHING})
    connection.execute(text(JUDGE.format(doubtful=EVERY_DOUBTFUL)))
