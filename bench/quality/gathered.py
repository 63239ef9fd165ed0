"""Gathered: the candidates that the serving path has for each who is judged, written to a file.

    python -m bench.quality.gathered USERS EXCLUDED LISTS REST

Of the shop in RECSITE_HOME, a process of its own for each home. It promises the candidates of
recommend.evaluation, in the order in which they would be shown, and in REST what any list goes on with:
all that is popular.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import django
import pyarrow as pa
import pyarrow.parquet as pq

from recsite.boot import boot

NAMES: Final = "SELECT item, key FROM item_key"


def main() -> None:
    boot()
    django.setup()
    users, excluded, lists, rest = sys.argv[1:]
    asked = pq.read_table(users)["user_id"].to_pylist()
    write(Path(lists), asked, _found(asked, excluded))
    pq.write_table(pa.table({"item_id": _rest()}), rest)


def _found(users: Sequence[str], excluded: str) -> list[list[str]]:
    # Models may be read only once Django is set up.
    from recommend.evaluation.answers import gather
    from recommend.pipeline import Ask

    now, names = datetime.now(UTC), _names()
    asks = [Ask("home", f"user:{user}", exclude_seen=excluded) for user in users]
    return [[names[item] for item in gather(ask, now)] for ask in asks]


def _rest() -> list[str]:
    from recommend.evaluation.answers import gather
    from recommend.pipeline import Ask

    names = _names()
    ask = Ask("popular", exclude_seen="none")
    return [names[item] for item in gather(ask, datetime.now(UTC), depth=len(names))]


def _names() -> dict[int, str]:
    from recsite.db import cursor

    with cursor() as hot:
        return dict(hot.execute(NAMES).fetchall())


def write(path: Path, users: Sequence[str], found: Sequence[Sequence[str]]) -> None:
    """A row a candidate, the best first: the form of every list."""
    rows = [
        (user, rank, item)
        for user, items in zip(users, found, strict=True)
        for rank, item in enumerate(items, 1)
    ]
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    names = ("user_id", "rank", "item_id")
    pq.write_table(pa.table({n: list(c) for n, c in zip(names, columns, strict=True)}), path)


if __name__ == "__main__":
    main()
