"""Content: which text and image describe an item, and where they lie among all others.

The projection `item_passage` says which passage each item has: a function of the newest
item_changed fact. A passage is interned like a name: the same text with the same image is one row
and is encoded once, however many items share it. Encoding is done by a worker (recommend.embed),
which the fold leaves word of what has no vector yet; until then this source says nothing about such
an item.
"""

from typing import Final

from sqlalchemy import Column, Connection, Identity, Index, Integer, Table, Text, Uuid, text

from behavior.events import Kind
from behavior.position import FRESH, NOTHING
from catalog.countings import Counting
from recommend import vectors
from recommend.sources import CONTENT
from recsite.db import METADATA

NAME: Final = "content"
VERSION: Final = 2

LONGEST: Final = 1_000
"""Characters of a passage's text; an encoder may read fewer."""

passage = Table(
    "passage",
    METADATA,
    Column("passage", Integer, Identity(always=True), primary_key=True),
    Column("body", Text),
    Column("image", Text),
    Column("digest", Uuid, nullable=False, unique=True),
)
"""Interned texts, each with the address of an image, or one of the two alone. Where they lie is
vectors.embedding, once the encoder has come by."""

item_passage = Table(
    "item_passage",
    METADATA,
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("passage", Integer),
    Column("said", Integer),
    Column("as_of", Uuid, nullable=False),
    Index("item_passage_passage_idx", "passage", "item"),
)
"""The passage of each item as of its newest fact; none once it is removed, or has neither text
nor image. `said` is a digest of its text alone: items that say the same are twins, whatever they show."""

TABLES: Final = (item_passage,)

_BODY: Final = f"""
    nullif(left(concat_ws('. ', nullif(detail->>'title', ''), nullif(detail->>'category', ''),
                          nullif(detail->>'brand', ''), nullif(detail->>'description', '')), {LONGEST}), '')
"""

_IMAGE: Final = "nullif(detail->>'image', '')"

# Of a text alone it is what it was before there were images: nothing is encoded anew for them.
_DIGEST: Final = """
    CASE WHEN image IS NULL THEN md5(body) ELSE md5(concat(md5(body), md5(image))) END::uuid
"""

_SAID: Final = "('x' || left(md5(body), 8))::bit(32)::int"

# The newest fact of each item, and what it says: title, brand, category and description; image.
_NEWEST: Final = f"""
SELECT item, id, body, image, {_DIGEST} AS digest, {_SAID} AS said
FROM (SELECT DISTINCT ON (item) item, id,
             CASE WHEN kind = {Kind.ITEM_CHANGED.value} THEN {_BODY} END AS body,
             CASE WHEN kind = {Kind.ITEM_CHANGED.value} THEN {_IMAGE} END AS image
      FROM ({FRESH}) AS fresh
      WHERE kind IN ({Kind.ITEM_CHANGED.value}, {Kind.ITEM_REMOVED.value}) AND item IS NOT NULL
      ORDER BY item, id DESC) AS said
"""

INTERN: Final = f"""
INSERT INTO passage (body, image, digest)
SELECT DISTINCT body, image, digest FROM ({_NEWEST}) AS newest
WHERE digest IS NOT NULL AND NOT EXISTS (SELECT FROM passage AS known WHERE known.digest = newest.digest)
ORDER BY digest
ON CONFLICT (digest) DO NOTHING
"""

# A fact that comes late does not replace a newer one.
DESCRIBE: Final = f"""
WITH described AS (
INSERT INTO item_passage AS old (item, passage, said, as_of)
SELECT item, passage, newest.said, newest.id
FROM ({_NEWEST}) AS newest LEFT JOIN passage USING (digest)
ORDER BY item
ON CONFLICT (item) DO UPDATE SET passage = excluded.passage, said = excluded.said, as_of = excluded.as_of
WHERE old.as_of < excluded.as_of
RETURNING passage
)
INSERT INTO unencoded (passage)
SELECT DISTINCT passage FROM described
WHERE passage IS NOT NULL AND NOT EXISTS (SELECT FROM embedding WHERE embedding.passage = described.passage)
ORDER BY passage
ON CONFLICT (passage) DO NOTHING
"""


def fold(connection: Connection, since: str, counting: Counting) -> None:
    """Give each item that changed since the snapshot `since` its passage."""
    connection.execute(text(INTERN), {"since": since})
    connection.execute(text(DESCRIBE), {"since": since})


def fill(connection: Connection, counting: Counting) -> None:
    """The same from the whole log, into an empty table; known passages keep their vectors."""
    connection.execute(text(vectors.ADOPT))
    fold(connection, NOTHING, counting)


# Every passage that some fact names, also those that no item has any more.
NAMED: Final = f"""
SELECT passage FROM passage WHERE digest IN (
    SELECT {_DIGEST} FROM (SELECT {_BODY} AS body, {_IMAGE} AS image
                           FROM event WHERE kind = {Kind.ITEM_CHANGED.value}) AS said)
"""

NEAREST: Final = 40
"""Passages asked for. More would come back as 40 all the same: that is hnsw.ef_search."""

OF_A_PASSAGE: Final = 20

_STRONGEST: Final = "SELECT item FROM seed ORDER BY weight DESC, item LIMIT 1"

# Passages nearest to the mean of the strongest seeds, then their items: at most twenty of a
# text, or a thousand products of one name would be all there is. Nothing is like itself: the
# strongest seed is there because of the next, and an only one is not.
SOURCE: Final = f"""(
SELECT * FROM (
SELECT {CONTENT} AS source, item, 1 - near.distance / 2 AS share,
       coalesce(nullif(({_STRONGEST}), item), ({_STRONGEST} OFFSET 1)) AS because
FROM (SELECT passage, vector <=> (SELECT vector FROM taste) AS distance
      FROM embedding WHERE (SELECT vector FROM taste) IS NOT NULL
      ORDER BY vector <=> (SELECT vector FROM taste) LIMIT {NEAREST}) AS near,
     LATERAL (SELECT item FROM item_passage WHERE item_passage.passage = near.passage
              ORDER BY item LIMIT {OF_A_PASSAGE}) AS described
ORDER BY near.distance, item LIMIT %(each)s
) AS alike WHERE because IS NOT NULL)"""

TASTE: Final = f"""
SELECT avg(vector) AS vector
FROM (SELECT item FROM seed ORDER BY weight DESC, item LIMIT 5) AS strongest
JOIN item_passage USING (item) JOIN embedding USING (passage)
WHERE (%(weights)s::float8[])[{CONTENT}] > 0
"""
