"""Ours: the lists of this project for a set, by the commands that the README gives.

Each set has a home of its own, empty before; the processes see nothing but the set's files.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.quality.sets import Kept

ROOT: Final = Path(__file__).resolve().parent.parent.parent
EXCLUDED: Final = {"any": "none", "new": "interacted"}


class Failed(Exception):
    """A command ended with an error; the message has its last words."""


def run(kept: Kept, home: Path, out: Path) -> float:
    """Import, refresh, and write the lists of each kind; the seconds of the refresh, which learns."""
    fill(kept, home)
    began = time.monotonic()
    manage(home, "refresh")
    took = time.monotonic() - began
    for kind in kept.lists:
        lists(kept, home, out / f"{kind}.parquet", EXCLUDED[kind])
    return took


def fill(kept: Kept, home: Path) -> None:
    """Import the set's facts into a home that is empty."""
    for command in (
        ("migrate", "-v0"),
        ("import_catalog", str(kept.folder / "catalogue.parquet")),
        ("import_events", str(kept.folder / "events.parquet")),
    ):
        manage(home, *command)


def lists(kept: Kept, home: Path, path: Path, excluded: str) -> None:
    """Lists of ten for everybody who is judged."""
    users = str(kept.folder / "users.parquet")
    manage(home, "recommend", "--scenario", "home", "--users", users, "--count", "10",
           "--exclude-seen", excluded, "--out", str(path))  # fmt: skip


def manage(home: Path, *command: str) -> str:
    """What a command of manage.py says. Raises Failed."""
    return run_in(home, "manage.py", *command)


def run_in(home: Path, *command: str) -> str:
    """What our Python says of it, in the shop that this home has. Raises Failed."""
    given = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "CELERY_BROKER_URL")}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True,
        env=given | {"RECSITE_HOME": str(home)}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"{' '.join(command[:2])}: {done.stderr.strip()[-500:]}")
    return done.stdout
