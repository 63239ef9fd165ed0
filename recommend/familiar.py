"""Familiar: what a shopper ever dealt with, and what of it a list is to leave out.

Sources ask before they say their best: of who knows all of the best they would say nothing
otherwise, and the more somebody does in a shop the less would be found for them. It is the mask
exclude_seen that tells, as it does for what is gathered in the end.
"""

from typing import Final

from behavior.events import Kind

PURCHASED: Final = 1 << Kind.PURCHASE
"""The mask of exclude_seen for what was bought, and not given back."""

# Read once for all who ask: a reading for each source, and one for each candidate, cost a tenth of the
# statement that gathers.
DEALT: Final = """
SELECT item, kinds, last, bought FROM user_item WHERE person = (SELECT person FROM shopper)
"""
FAMILIAR: Final = f"""
SELECT item FROM dealt
WHERE %(seen)s::int <> 0 AND kinds & %(seen)s <> 0
  AND (%(seen)s <> {PURCHASED} OR kinds & {1 << Kind.REFUND} = 0 OR kept(bought) IS NOT NULL)
"""
IS_STRANGE: Final = "item NOT IN (SELECT item FROM familiar)"
"""Of a row with an `item`."""
