"""Off: lists of the shop in RECSITE_HOME as they are served, and with one source after the other off.

    python -m bench.quality.off USERS OUT KIND…

A process of its own for each home. OUT gets `none-KIND.parquet`, and `SOURCE-KIND.parquet` of each source
that has a weight; the weights are then as they were, whatever came of it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import django

from bench.quality.ours import EXCLUDED
from recsite.boot import boot

NONE: Final = "none"


def main() -> None:
    boot()
    django.setup()
    _, users, out, *kinds = sys.argv
    write(Path(users), Path(out), kinds)


def write(users: Path, out: Path, kinds: Sequence[str]) -> None:
    """Lists of ten of each kind for all these users."""
    # Models may be read only once Django is set up.
    from catalog.models import Scenario
    from catalog.scenarios import SOURCES

    home = Scenario.objects.filter(name="home")
    stood = home.values(*SOURCES).get()
    try:
        for off in (NONE, *(source for source in SOURCES if stood[source])):
            home.update(**stood | ({} if off == NONE else {off: 0.0}))
            for kind in kinds:
                _lists(users, out / f"{off}-{kind}.parquet", kind)
    finally:
        home.update(**stood)


def _lists(users: Path, path: Path, kind: str) -> None:
    from django.core.management import call_command

    call_command("recommend", scenario="home", users=str(users), count=10,
                 exclude_seen=EXCLUDED[kind], out=str(path))  # fmt: skip


if __name__ == "__main__":
    main()
