"""Sequence: what comes next after what a shopper did, in its order.

A small transformer (see network) makes one vector of a shopper's last deeds; the items nearest to it
are proposed. A worker keeps the vectors (see shoppers): serving reads one and computes nothing.
"""

from typing import Final

from recommend.familiar import IS_STRANGE
from recommend.sources import SEQUENCE

NEAREST: Final = 40
"""More would come back as 40 all the same: that is hnsw.ef_search. (With 100 lists were no better.)"""

WARMTH: Final = 0.1
"""The softmax's temperature, over cosines: the model is taught with it (see training)."""

# The best one's share is 1, another's how likely the model holds it beside that.
SOURCE: Final = f"""(
SELECT {SEQUENCE} AS source, item, exp((score - max(score) OVER ()) / {WARMTH}) AS share, NULL::int AS because
FROM (SELECT item, -(vector <#> (SELECT vector FROM ahead)) AS score
      FROM sequence_item WHERE (SELECT vector FROM ahead) IS NOT NULL
        AND {IS_STRANGE}
      ORDER BY vector <#> (SELECT vector FROM ahead) LIMIT {NEAREST}) AS near)"""

AHEAD: Final = f"""
SELECT vector FROM shopper JOIN sequence_shopper USING (person)
WHERE (%(weights)s::float8[])[{SEQUENCE}] > 0
"""
