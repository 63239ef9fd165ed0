"""Unread images: which could not be read, why, and when it was last tried.

Their items lie where their texts alone put them, or nowhere without one. Each is tried again a day
later, and by every `refresh`: a file may be put there, a host may answer again.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Column, Connection, DateTime, Integer, Table, Text, text

from recommend import images
from recommend.vectors import LIVE
from recsite.db import METADATA, cursor

unread_image = Table(
    "unread_image",
    METADATA,
    Column("passage", Integer, primary_key=True, autoincrement=False),
    Column("encoder", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("tried_at", DateTime(timezone=True), nullable=False),
)
"""By encoder, for one is tried for the vectors that serve and one for those that are made beside."""

PAUSE: Final = "1 day"

QUEUE: Final = f"""
INSERT INTO unencoded (passage)
SELECT passage FROM unread_image AS unread
WHERE encoder = {LIVE} AND tried_at < clock_timestamp() - CAST(:pause AS interval)
  AND EXISTS (SELECT FROM item_passage WHERE item_passage.passage = unread.passage)
ORDER BY passage
ON CONFLICT (passage) DO NOTHING
"""

READ: Final = "DELETE FROM unread_image WHERE encoder = :encoder AND passage = ANY(:passages)"
NOTE: Final = """
INSERT INTO unread_image (passage, encoder, reason, tried_at)
SELECT passage, :encoder, reason, clock_timestamp()
FROM unnest(CAST(:passages AS int[]), CAST(:reasons AS text[])) AS given(passage, reason)
ON CONFLICT (passage, encoder) DO UPDATE SET reason = excluded.reason, tried_at = excluded.tried_at
"""

KEEP: Final = "DELETE FROM unread_image WHERE encoder <> :encoder"

# Of items that there are, with an example each.
REASONS: Final = f"""
SELECT reason, count(*), min(image)
FROM unread_image AS unread JOIN passage USING (passage)
WHERE encoder = {LIVE}
  AND EXISTS (SELECT FROM item_passage WHERE item_passage.passage = unread.passage)
GROUP BY reason ORDER BY count(*) DESC, reason
"""

SEEN: Final = f"""
SELECT count(DISTINCT passage) AS named, count(DISTINCT passage) FILTER (
    WHERE EXISTS (SELECT FROM embedding AS made WHERE made.passage = item_passage.passage)
      AND NOT EXISTS (SELECT FROM unread_image AS unread
                      WHERE unread.passage = item_passage.passage AND unread.encoder = {LIVE})) AS read
FROM item_passage JOIN passage USING (passage) WHERE image IS NOT NULL
"""

MOST_REASONS: Final = 3
LONGEST: Final = 60
"""Characters of an example."""


def queue(inside: Connection, pause: str = PAUSE) -> None:
    """Have those tried again that were last tried before the pause."""
    inside.execute(text(QUEUE), {"pause": pause})


def settle(inside: Connection, encoder: str, tried: Mapping[int, str | None]) -> None:
    """Keep what came of passages with an image: why it could not be read, or None."""
    read = [passage for passage, reason in tried.items() if reason is None]
    unread = {passage: reason for passage, reason in tried.items() if reason is not None}
    if read:
        inside.execute(text(READ), {"encoder": encoder, "passages": read})
    if unread:
        given = {"passages": [*unread], "reasons": [*unread.values()]}
        inside.execute(text(NOTE), {"encoder": encoder} | given)


def keep(inside: Connection, encoder: str) -> None:
    """Forget what was tried for any encoder but this one, whose vectors serve."""
    inside.execute(text(KEEP), {"encoder": encoder})


def sentence() -> str | None:
    """What became of the images; None where no item has one."""
    with cursor() as hot:
        named, read = hot.execute(SEEN).fetchone() or (0, 0)
    if not named:
        return None
    if not images.are_wanted():
        return (
            f"{named:,} are not read: neither RECSITE_IMAGES nor RECSITE_IMAGE_HOSTS names a place"
        )
    if package := images.missing():
        return f"{named:,} are not read: the package {package} is missing. Run `make setup`."
    return f"{read:,} read" + (f"; {why}" if (why := trouble()) else "")


def trouble() -> str | None:
    """How many could not be read, and why; None where all could."""
    with cursor() as hot:
        reasons = hot.execute(REASONS).fetchall()
    if not reasons:
        return None
    shown = [f"{why} ({n:,}, as {example[:LONGEST]})" for why, n, example in reasons[:MOST_REASONS]]
    more = ", and more" if len(reasons) > MOST_REASONS else ""
    count = sum(n for _, n, _ in reasons)
    return (
        f"{count:,} could not be read, and only texts tell of their items: {', '.join(shown)}{more}"
    )
