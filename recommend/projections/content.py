"""Content: which text describes an item, and where that text lies among all texts.

The projection `item_passage` says which passage each item has: a function of the newest
item_changed fact. A passage is interned like a name: the same text is one row and is encoded
once, for ever, however many items share it. Encoding is done by a worker (recommend.tasks);
until then an item simply has no vector and this source says nothing about it.
"""

from typing import Final

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import Column, Connection, Identity, Index, Integer, Table, Text, Uuid, text

from behavior.events import Kind
from behavior.position import FRESH, NOTHING
from catalog.countings import Counting
from recommend.sources import CONTENT
from recsite.db import METADATA, Xid8

NAME: Final = "content"
VERSION: Final = 1

DIMENSIONS: Final = 384
LONGEST: Final = 1_000
"""Characters of a passage; the encoder reads about the first 256 tokens."""

passage = Table(
    "passage",
    METADATA,
    Column("passage", Integer, Identity(always=True), primary_key=True),
    Column("body", Text, nullable=False),
    Column("digest", Uuid, nullable=False, unique=True),
    Column("vector", HALFVEC(DIMENSIONS)),
    Column("encoded_xid", Xid8),
    Index("passage_vector_idx", "vector", postgresql_using="hnsw",
          postgresql_ops={"vector": "halfvec_cosine_ops"}),
    Index("passage_waiting_idx", "passage", postgresql_where=text("vector IS NULL")),
)  # fmt: skip
"""Interned texts with their vectors; NULL until the encoder has come by. `encoded_xid` is the
transaction that brought the vector, so that a replay sees only those there were."""

item_passage = Table(
    "item_passage",
    METADATA,
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("passage", Integer),
    Column("as_of", Uuid, nullable=False),
    Index("item_passage_passage_idx", "passage", "item"),
)
"""The passage of each item as of its newest fact; none once it is removed or has no text."""

TABLES: Final = (item_passage,)

_BODY: Final = f"""
    nullif(left(concat_ws('. ', nullif(detail->>'title', ''), nullif(detail->>'category', ''),
                          nullif(detail->>'brand', ''), nullif(detail->>'description', '')), {LONGEST}), '')
"""

# The newest fact of each item, and its text: title, brand, category and description.
_NEWEST: Final = f"""
SELECT DISTINCT ON (item) item, id, CASE WHEN kind = {Kind.ITEM_CHANGED.value} THEN {_BODY} END AS body
FROM ({FRESH}) AS fresh
WHERE kind IN ({Kind.ITEM_CHANGED.value}, {Kind.ITEM_REMOVED.value}) AND item IS NOT NULL
ORDER BY item, id DESC
"""

INTERN: Final = f"""
INSERT INTO passage (body, digest)
SELECT DISTINCT body, md5(body)::uuid FROM ({_NEWEST}) AS newest
WHERE body IS NOT NULL
  AND NOT EXISTS (SELECT FROM passage AS known WHERE known.digest = md5(newest.body)::uuid)
ORDER BY 2
ON CONFLICT (digest) DO NOTHING
"""

# A fact that comes late does not replace a newer one.
DESCRIBE: Final = f"""
INSERT INTO item_passage AS old (item, passage, as_of)
SELECT item, passage, newest.id
FROM ({_NEWEST}) AS newest LEFT JOIN passage ON passage.digest = md5(newest.body)::uuid
ORDER BY item
ON CONFLICT (item) DO UPDATE SET passage = excluded.passage, as_of = excluded.as_of
WHERE old.as_of < excluded.as_of
"""


def fold(connection: Connection, since: str, counting: Counting) -> None:
    """Give each item that changed since the snapshot `since` its passage."""
    connection.execute(text(INTERN), {"since": since})
    connection.execute(text(DESCRIBE), {"since": since})


# After a dump was restored into another cluster, whose transaction ids these are not; a no-op
# everywhere else.
ADOPT: Final = """
UPDATE passage SET encoded_xid = NULL WHERE NOT pg_visible_in_snapshot(encoded_xid, pg_current_snapshot())
"""


def fill(connection: Connection, counting: Counting) -> None:
    """The same from the whole log, into an empty table; known passages keep their vectors."""
    connection.execute(text(ADOPT))
    fold(connection, NOTHING, counting)


# Every passage that some fact names, also those that no item has any more.
NAMED: Final = f"""
SELECT passage FROM passage WHERE digest IN (
    SELECT md5({_BODY})::uuid FROM event WHERE kind = {Kind.ITEM_CHANGED.value})
"""

# The oldest passages that wait for a vector.
WAITING: Final = """
SELECT passage, body FROM passage WHERE vector IS NULL ORDER BY passage LIMIT :limit
"""
ENCODED: Final = """
UPDATE passage SET vector = given.vector::halfvec, encoded_xid = pg_current_xact_id()
FROM unnest(CAST(:passages AS int[]), CAST(:vectors AS text[])) AS given(id, vector)
WHERE passage.passage = given.id AND passage.vector IS NULL
"""

NEAREST: Final = 40
"""Passages asked for. More would come back as 40 all the same: that is hnsw.ef_search."""

OF_A_PASSAGE: Final = 20

_STRONGEST: Final = "SELECT item FROM seed ORDER BY weight DESC, item LIMIT 1"

# Passages nearest to the mean of the strongest seeds, then their items: at most twenty of a
# text, or a thousand products of one name would be all there is. Nothing is like itself: the
# strongest seed is there because of the next, or of none.
SOURCE: Final = f"""(
SELECT {CONTENT} AS source, item, 1 - near.distance / 2 AS share,
       coalesce(nullif(({_STRONGEST}), item), ({_STRONGEST} OFFSET 1)) AS because
FROM (SELECT passage, vector <=> (SELECT vector FROM taste) AS distance
      FROM passage WHERE (SELECT vector FROM taste) IS NOT NULL AND vector IS NOT NULL
      ORDER BY vector <=> (SELECT vector FROM taste) LIMIT {NEAREST}) AS near,
     LATERAL (SELECT item FROM item_passage WHERE item_passage.passage = near.passage
              ORDER BY item LIMIT {OF_A_PASSAGE}) AS described
ORDER BY near.distance, item LIMIT %(pool)s
)"""

TASTE: Final = f"""
SELECT avg(vector) AS vector
FROM (SELECT item FROM seed ORDER BY weight DESC, item LIMIT 5) AS strongest
JOIN item_passage USING (item) JOIN passage USING (passage)
WHERE (%(weights)s::float8[])[{CONTENT}] > 0
"""
