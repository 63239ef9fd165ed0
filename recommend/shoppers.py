"""Similar shoppers: what those did lately who dealt with the same items (user-based CF).

A source over the shoppers' own state, which moves with the log; there is nothing to fold, and a
click counts at once on both sides. Whoever dealt last with one of the shopper's last items is a
peer, the nearer the more items they share and the fewer know them, and of equals the one who came
last; the nearest few then say what they did, each deed a voice of the peer's weight. Sums are
integers, the same whatever way the rows come. It is the session neighbourhood of Jannach & Ludewig
(RecSys 2017), over persons.
"""

from typing import Final

from recommend.familiar import IS_STRANGE
from recommend.sources import SHOPPERS

ITEMS: Final = 30
"""The shopper's last items that are looked through."""

KNOWN_BY: Final = 30
"""Those who dealt last with an item; of a milk that all buy they stand for the rest. Of a hundred the
lists of three shops were the same (NDCG@10 of new items .1786, .0671, .0372; of thirty .1787, .0671,
.0370), and the source cost a fifth more."""

PEERS: Final = 50
"""The nearest; twice as many cost half as much again (measured beside other load: 5 ms, 6.5 ms)."""

DEEDS: Final = 20
"""What each of them did last. With all fifty the source cost half as much again, for the same lists."""

UNIT: Final = 65_536

# A famous item tells little of who likes it. The cast matters: sums of bigints are numerics, and
# would make this a fifth slower. OFFSET 0, for a look-up each: the newest of
# an item are at the index's end.
SOURCE: Final = f"""(
SELECT {SHOPPERS} AS source, item, score::float8 / max(score) OVER () AS share, NULL::int AS because
FROM (
    SELECT item, sum(likeness) AS score
    FROM (
        SELECT likeness, unnest(items[:{DEEDS}]) AS item, unnest(signals[:{DEEDS}]) AS signal
        FROM (
            SELECT person, sum(tells)::int AS likeness
            FROM (
                SELECT item, ({UNIT} / ln(exp(1::float8) + greatest(seen, 0) / {UNIT}::float8))::int AS tells
                FROM (SELECT item FROM dealt WHERE (%(weights)s::float8[])[{SHOPPERS}] > 0
                      ORDER BY last DESC LIMIT {ITEMS}) AS own
                JOIN item_count USING (item)) AS told,
                LATERAL (SELECT person, last FROM user_item WHERE user_item.item = told.item
                         ORDER BY last DESC LIMIT {KNOWN_BY} OFFSET 0) AS other
            WHERE person <> (SELECT person FROM shopper)
            GROUP BY person ORDER BY likeness DESC, max(hour_of(last)) DESC, person LIMIT {PEERS}
        ) AS peer JOIN user_state USING (person)
    ) AS did
    WHERE (%(strengths)s::float8[])[signal] > 0 AND {IS_STRANGE}
    GROUP BY item ORDER BY score DESC, item LIMIT %(each)s
) AS liked)"""
