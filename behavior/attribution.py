"""Attribution: what a shopper did after a slate, tied to it by its recommendation_id.

A projection of the log: one row for each event that names a slate and an item which that
slate showed. It never guesses; an event without a recommendation_id is not attributed.
"""

from typing import Final

from sqlalchemy import Column, Connection, Index, Integer, SmallInteger, Table, Uuid, text

from behavior.position import FRESH, NOTHING
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
ATTRIBUTE: Final = f"""
INSERT INTO attribution (event, slate, kind, item, place)
SELECT fresh.id, slate.id, fresh.kind, fresh.item, array_position(slate.items, fresh.item)
FROM ({FRESH}) AS fresh JOIN slate ON slate.id = fresh.slate
WHERE fresh.slate IS NOT NULL AND fresh.item = ANY(slate.items)
ON CONFLICT (event) DO NOTHING
"""


def fold(connection: Connection, since: str) -> None:
    """Tie the events that came since the snapshot `since` to their slates."""
    connection.execute(text(ATTRIBUTE), {"since": since})


def fill(connection: Connection) -> None:
    """The same from the whole log, into an empty table."""
    fold(connection, NOTHING)
