"""Attribution: what a shopper did after a slate, tied to it by its recommendation_id.

A projection of the log: one row for each event that names a slate and an item which that
slate showed. It never guesses; an event without a recommendation_id is not attributed.
"""

from typing import Final

from sqlalchemy import Column, Connection, Index, Integer, SmallInteger, Table, Uuid, text

from behavior.counted import SIGNED, signed
from behavior.position import NOTHING
from recsite.db import METADATA

NAME: Final = "attribution"
VERSION: Final = 1

attribution = Table(
    "attribution",
    METADATA,
    Column("event", Uuid, primary_key=True),
    Column("slate", Uuid, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("item", Integer, nullable=False),
    Column("place", SmallInteger, nullable=False),
    Index("attribution_slate_idx", "slate"),
)
"""`place` is where the item stood in the slate, 1 at the top."""

TABLES: Final = (attribution,)

# Events that name a slate, where the slate really showed their item.
ATTRIBUTE: Final = """
INSERT INTO attribution (event, slate, kind, item, place)
SELECT signed.id, slate.id, signed.kind, signed.item, array_position(slate.items, signed.item)
FROM ({signed}) AS signed JOIN slate ON slate.id = signed.slate
WHERE signed.slate IS NOT NULL AND signed.sign > 0 AND signed.item = ANY(slate.items)
ON CONFLICT (event) DO NOTHING
"""
TAKE_BACK: Final = f"""
DELETE FROM attribution USING ({SIGNED}) AS signed WHERE attribution.event = signed.id AND sign < 0
"""


def fold(connection: Connection, since: str, counting: object) -> None:
    """Tie the events that came since the snapshot `since` to their slates; untie those of
    shoppers who were hidden."""
    connection.execute(text(TAKE_BACK), {"since": since})
    connection.execute(text(ATTRIBUTE.format(signed=SIGNED)), {"since": since})


def fill(connection: Connection, counting: object) -> None:
    """The same from the whole log, into an empty table."""
    connection.execute(text(ATTRIBUTE.format(signed=signed(double_click=0, everything=True))),
                       {"since": NOTHING})  # fmt: skip
