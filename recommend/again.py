"""Buy again: what the shopper buys regularly, from their own purchases.

A source over `user_item`, which moves with the log; there is nothing to fold. Frequency with
a half life of 90 days, so a habit of last spring weighs less than one of last week. Relative
to any present the order is the same, hence no clock.

When something is due again, by the shopper's own gaps, is told to the ranker (features), and no part
of this. A grocery's October and November were tried (NDCG@10 of this order alone .422 and .414): with what
is not due yet held back .407 and .397, for whoever bought yesterday buys tomorrow; with what is long
overdue held back .423 and .416.
"""

from typing import Final

from recommend.sources import AGAIN

HALF_LIFE_HOURS: Final = 90 * 24.0

HABIT: Final = 2
"""Purchases that make a habit. One is none: who bought a sofa wants no second."""

_SOURCE: Final = f"""
SELECT {AGAIN} AS source, item, score / max(score) OVER () AS share, item AS because
FROM (
    SELECT item, sum(power(2::float8, hour / {HALF_LIFE_HOURS}::float8)) AS score
    FROM {{dealt}},
         unnest(CASE WHEN 0 > ANY (bought) THEN kept(bought) ELSE bought END) AS hour
    WHERE {{bought}} IS NOT NULL AND (%(weights)s::float8[])[{AGAIN}] > 0
    GROUP BY item HAVING count(*) >= {{least}}
    ORDER BY score DESC, item LIMIT %(each)s
) AS habit
"""

# An index has the few that are habits; for the ranker all are read once, for whoever asks.
SOURCE: Final = _SOURCE.format(
    dealt="shopper JOIN user_item USING (person)", bought=f"bought[{HABIT}]", least=HABIT
)
EVERY: Final = _SOURCE.format(dealt="dealt", bought="bought", least=1)
"""All that was bought, where a ranker knows what is bought once only."""
