"""The category tree: made on demand, from the paths that items name.

It promises that a path has one id for ever, that its ancestors are there with it, and that
writers who make the same category at once get the same one. It never moves or deletes one.
"""

from collections.abc import Iterable
from typing import Final

from catalog.feed import LEVEL
from recsite.db import cursor

FIND: Final = "SELECT path, id FROM catalog_category WHERE path = ANY(%s)"

# One level at a time, for a child needs its parent's lineage. The anti-join burns no ids on
# what is there; the conflict clause settles the race between two writers; the order keeps
# them from dead-locking.
MAKE_LEVEL: Final = """
INSERT INTO catalog_category (id, path, name, parent_id, lineage)
SELECT id, path, name, parent_id, lineage || id
FROM (SELECT nextval(pg_get_serial_sequence('catalog_category', 'id'))::int AS id,
             given.path, given.name, up.id AS parent_id, coalesce(up.lineage, '{}') AS lineage
      FROM unnest(%s::text[], %s::text[], %s::text[]) AS given(path, name, parent)
      LEFT JOIN catalog_category up ON up.path = given.parent
      WHERE NOT EXISTS (SELECT FROM catalog_category known WHERE known.path = given.path)
      ORDER BY given.path) AS fresh
ON CONFLICT (path) DO NOTHING
"""


def grow(paths: Iterable[str]) -> dict[str, int]:
    """The id of every path; the missing ones are made, with all of their ancestors."""
    wanted = {path for path in paths if path}
    found = _find(wanted)
    missing = wanted - found.keys()
    if not missing:
        return found
    for level in _levels(missing):
        with cursor() as hot:
            hot.execute(MAKE_LEVEL, list(map(list, zip(*sorted(level), strict=True))))
    return found | _find(missing)


def _find(paths: set[str]) -> dict[str, int]:
    if not paths:
        return {}
    with cursor() as hot:
        return dict(hot.execute(FIND, [list(paths)]).fetchall())


def _levels(paths: set[str]) -> list[set[tuple[str, str, str]]]:
    """(path, name, parent's path) of these categories and their ancestors, top level first."""
    levels: dict[int, set[tuple[str, str, str]]] = {}
    for path in paths:
        names = path.split(LEVEL)
        for depth, name in enumerate(names):
            row = (LEVEL.join(names[: depth + 1]), name, LEVEL.join(names[:depth]))
            levels.setdefault(depth, set()).add(row)
    return [levels[depth] for depth in sorted(levels)]
