"""Links: which items the whole of a shopper's choices speaks for (EASE, see ease).

A source of its own, where a ranker serves: what neighbours near in time cannot say, for they see a
shopper's last items only. Learned together with each ranker and kept under its name, so that what is
served, and what is made again later, is what the ranker learned with. They are sums over all at once,
from which nobody can be taken out: after an erasure they are learned anew (store.settle_links).
"""

from typing import Final

import numpy as np
from sqlalchemy import ARRAY, Column, Connection, Integer, Table, Text, text

from recommend.familiar import IS_STRANGE
from recommend.goals import CHOSEN
from recommend.ranker.ease import Choices, Whole, neighbours
from recommend.sources import LINKED
from recsite.db import METADATA, copied, cursor, keep_in_line

item_link = Table(
    "item_link",
    METADATA,
    Column("ranker", Text, primary_key=True),
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("items", ARRAY(Integer), nullable=False),
    Column("weights", ARRAY(Integer), nullable=False),
)
"""The items that an item speaks for, heaviest first, in units of 2^-16: what serving reads."""

keep_in_line(item_link, "items", "weights")

LINKS: Final = 50
"""Kept of an item. Of twenty the order by links alone is as good, but a ranker is told of fewer
candidates: 6% less NDCG@10 in a shop of ratings. A hundred were no better."""

HEARD: Final = 100
"""The shopper's last items that are heard. Three hundred were better by 3% in a grocery and all of them
worse by 8% in a shop of ratings."""

ITEMS: Final = 5_000
"""The best known ones are linked, for which 400 MB and three seconds are enough; of the others the rest
of the sources speak. Tried in a grocery whose 5,000 are two thirds of all choices and half of what is
new to a shopper: 15,000 more, each by ridge regression on the 5,000 and pair by pair beside them (a sparse
inverse), made NDCG@10 of links alone .216 and .045 (any items, new ones) of .217 and .046, and recall@500
of new ones .192 of .190, for ten times the work."""

SHOPPERS: Final = 100_000
"""Those who came last; it bounds what a large shop costs."""

LEAST_KNOWN: Final = 3
"""Shoppers who chose an item that is linked."""

# Numbers from 0 on, densely; the order of items is that of how well they are known.
KNOWN: Final = f"""
CREATE TEMP TABLE linked ON COMMIT DROP AS
SELECT item, (row_number() OVER (ORDER BY count(*) DESC, item))::int - 1 AS place
FROM user_item WHERE {CHOSEN}
GROUP BY item HAVING count(*) >= {LEAST_KNOWN} ORDER BY count(*) DESC, item LIMIT {ITEMS}
"""
CHOICES: Final = f"""
SELECT came.place, linked.place
FROM (SELECT person, (row_number() OVER (ORDER BY ids[1] DESC))::int - 1 AS place
      FROM user_state ORDER BY ids[1] DESC LIMIT {SHOPPERS}) AS came
JOIN user_item USING (person) JOIN linked USING (item) WHERE {CHOSEN}
"""

ROW: Final = np.dtype(
    [("fields", ">i2"), ("a", ">i4"), ("shopper", ">i4"), ("b", ">i4"), ("item", ">i4")]
)

IS_THERE: Final = "SELECT EXISTS (SELECT FROM item_link WHERE ranker = :ranker)"
KEEP: Final = "COPY item_link (ranker, item, items, weights) FROM STDIN"


def fill(inside: Connection, ranker: str) -> None:
    """Learn from the state that is in front, for this ranker; one that has links keeps them."""
    if inside.scalar(text(IS_THERE), {"ranker": ranker}):
        return
    inside.execute(text("DROP TABLE IF EXISTS linked"))
    inside.execute(text(KNOWN))
    items = list(inside.scalars(text("SELECT item FROM linked ORDER BY place")))
    if items:
        _keep(ranker, np.array(items), *neighbours(_choices(), len(items), LINKS))


def _choices() -> Choices:
    """As numbers, without an object a row: a shop has millions."""
    rows = np.frombuffer(copied(CHOICES), dtype=ROW)
    return np.stack([rows["shopper"], rows["item"]], axis=1).astype(np.int32)


def _keep(ranker: str, items: Whole, places: Whole, weights: Whole) -> None:
    """A row of each item that speaks for any."""
    with cursor() as hot, hot.copy(KEEP) as into:
        for item, there, heavy in zip(items.tolist(), places, weights, strict=True):
            if known := int((heavy > 0).sum()):
                into.write_row(
                    (ranker, item, items[there[:known]].tolist(), heavy[:known].tolist())
                )


# What all the shopper's last items speak for. `because` is the item that speaks loudest.
SPOKEN_FOR: Final = f"""
SELECT item, sum(weight) AS score, (max((weight::bigint << 32) + speaking) & 4294967295)::int AS because
FROM (
    SELECT own.item AS speaking, unnest(items) AS item, unnest(weights) AS weight
    FROM (SELECT item FROM dealt WHERE {CHOSEN} AND (%(weights)s::float8[])[{LINKED}] > 0
          ORDER BY last DESC LIMIT {HEARD}) AS own
    JOIN item_link AS known ON known.ranker = %(ranker)s AND known.item = own.item
) AS linked
WHERE {IS_STRANGE}
GROUP BY item
"""
# Their best, and whatever another source proposes, of which a ranker knows more for it (without: 9%
# less NDCG@10 in a shop of ratings). Two sets and no join: planned for all parameters at once, a join
# would be a loop in a loop, 100 × 1,000 rows.
SOURCE: Final = f"""
SELECT {LINKED} AS source, item, score::float8 / (SELECT max(score) FROM spoken_for) AS share, because
FROM spoken_for
WHERE item IN (SELECT item FROM unlinked)
   OR item IN (SELECT item FROM spoken_for ORDER BY score DESC, item LIMIT %(each)s)
"""
