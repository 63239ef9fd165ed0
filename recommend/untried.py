"""The untried: items that few have been shown so far, and what became of it.

SQL for the statement that gathers a list, which has its `best` candidates: those just behind the
list and the newest of the same categories, each with its trials. What was tried is read from
attribution: a slate in which the item was seen counts once, and as chosen where the shopper then
dealt with it. It says nothing of an item that was tried often enough.
"""

from typing import Final

from behavior.events import Kind

LEARNED: Final = 50
"""Lists in which an item was seen, after which there is little left to find out."""

BEHIND: Final = 20
"""Candidates behind the list that are looked at."""

NEAR: Final = 10
NEWEST_OF_EACH: Final = 5
NEWEST_OF_ALL: Final = 50
"""The categories of so many of the best are near, and so many of the newest of each are looked at;
of a list without any, so many of the shop's newest. What was heard of last has the highest id."""

CHOSEN: Final = ", ".join(
    str(kind.value)
    for kind in (
        Kind.VIEW_ITEM,
        Kind.SELECT_ITEM,
        Kind.ADD_TO_CART,
        Kind.PURCHASE,
        Kind.ADD_TO_WISHLIST,
    )
)

# As candidates are, of which no source has said anything. OFFSET 0, for a look-up each: of a small
# catalogue all would be read.
NEWEST: Final = f"""
SELECT catalog_item.id AS item, catalog_item.item_id, 0.0::float8 AS score, ARRAY[]::int[] AS sources,
       ARRAY[]::float8[] AS shares, ARRAY[]::int[] AS becauses, lineage, brand, seller,
       NULL::bigint AS fame, item_passage.said,
       CASE WHEN %(attributes)s THEN attributes::text END AS attributes
FROM (
    SELECT fresh.id
    FROM (SELECT lineage[cardinality(lineage)] AS category
          FROM (SELECT lineage FROM best LIMIT {NEAR}) AS first
          UNION SELECT %(category)s::int) AS near,
         LATERAL (SELECT id FROM catalog_item WHERE category_id = near.category
                  ORDER BY id DESC LIMIT {NEWEST_OF_EACH}) AS fresh
    UNION
    SELECT id FROM (SELECT id FROM catalog_item ORDER BY id DESC LIMIT {NEWEST_OF_ALL}) AS fresh
    WHERE NOT EXISTS (SELECT FROM best WHERE lineage IS NOT NULL)
) AS newest
JOIN LATERAL (SELECT * FROM catalog_item WHERE id = newest.id OFFSET 0) AS catalog_item ON true
LEFT JOIN catalog_category ON catalog_category.id = catalog_item.category_id
LEFT JOIN item_passage ON item_passage.item = catalog_item.id
WHERE {{may_be_shown}} AND catalog_item.id NOT IN (SELECT item FROM best)
"""

# A look at the newest slates of each is enough: of more than LEARNED nothing is asked.
TRIALS: Final = f"""
SELECT json_object_agg(item, json_build_array(shown, chosen))
FROM ((SELECT item FROM best OFFSET %(listed)s LIMIT {BEHIND})
      UNION ALL SELECT item FROM newest) AS untried,
     LATERAL (
         SELECT count(*) AS shown, count(*) FILTER (WHERE is_chosen) AS chosen
         FROM (SELECT bool_or(kind IN ({CHOSEN})) AS is_chosen
               FROM (SELECT slate, kind FROM attribution WHERE attribution.item = untried.item
                     ORDER BY slate DESC LIMIT {2 * LEARNED}) AS latest
               GROUP BY slate) AS by_slate) AS trial
WHERE shown < {LEARNED}
"""
