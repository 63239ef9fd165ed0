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
    for command in (
        ("migrate", "-v0"),
        ("import_catalog", str(kept.folder / "catalogue.parquet")),
        ("import_events", str(kept.folder / "events.parquet")),
    ):
        manage(home, *command)
    began = time.monotonic()
    manage(home, "refresh")
    took = time.monotonic() - began
    for kind in kept.lists:
        lists(kept, home, out / f"{kind}.parquet", EXCLUDED[kind])
    return took


def lists(kept: Kept, home: Path, path: Path, excluded: str) -> None:
    """Lists of ten for everybody who is judged."""
    users = str(kept.folder / "users.parquet")
    manage(home, "recommend", "--scenario", "home", "--users", users, "--count", "10",
           "--exclude-seen", excluded, "--out", str(path))  # fmt: skip


def manage(home: Path, *command: str) -> str:
    """What a command of manage.py says. Raises Failed."""
    given = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "CELERY_BROKER_URL")}
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, capture_output=True, text=True,
        env=given | {"RECSITE_HOME": str(home)}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"manage.py {command[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout
