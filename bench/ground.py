"""The ground that is measured on: the demo's shop in a cluster of the bench's own.

It knows RECSITE_HOME of the bench, where the shop is imported and folded once and kept, until
another schema is migrated to. It promises that every run measures on a fresh copy of that
database, which it drops again, so that the second run finds what the first one found. It never
touches another cluster: what DATABASE_URL names is not looked at.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import django
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.core.management import call_command
from django.db import connection

from bench.sizes import Size
from demo import memory, shop

ROOT: Final = Path(__file__).resolve().parent.parent
SCHEMA: Final = "schema.txt"

COPY: Final = "bench_run"
EMPTY: Final = "bench_empty"

TEMPLATE: Final = 'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'
# As if a worker were on its way: writers then ask for none.
HUSH: Final = "UPDATE wakeup SET asked = true"
WHICH_CLUSTER: Final = "SELECT system_identifier::text FROM pg_control_system()"


class InUse(Exception):
    """Another bench runs in this folder; the message says so."""


def say(step: str) -> None:
    """What happens now, for whoever waits for the table."""
    print(f"• {step}", flush=True)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Two benches at once would measure each other."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with open(home.with_suffix(".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"another bench already runs in {home}.") from None
        yield


def boot(home: Path, *, fresh: bool) -> None:
    """Have the bench's own Postgres running, and Django on it; `fresh` makes it anew."""
    keep_or_clear(home, fresh=fresh)
    for name in ("DATABASE_URL", "CELERY_BROKER_URL"):
        os.environ.pop(name, None)
    os.environ["RECSITE_HOME"] = str(home)
    from recsite.boot import boot as start_database

    start_database()
    django.setup()


def keep_or_clear(home: Path, *, fresh: bool) -> None:
    """Keep the shop that is there only where it is of this very schema: one that was migrated lacks
    what a new one has, and a worker would encode its texts while others are measured."""
    said = home / SCHEMA
    if fresh or not said.exists() or said.read_text() != _migrations():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        said.write_text(_migrations())


def _migrations() -> str:
    """The names of all migrations, a line each."""
    found = (ROOT.glob(pattern) for pattern in ("*/migrations/*.py", "migrations/versions/*.py"))
    return "\n".join(sorted(str(file.relative_to(ROOT)) for each in found for file in each))


def prepare(home: Path, size: Size) -> Path:
    """Import and fold the shop, where no earlier run has; returns the folder of its files."""
    call_command("migrate", verbosity=0)
    hush()
    remembered = memory.recall(home / "bench.json", database=_cluster())
    folder = home / "shop"
    if not shop.is_written(folder):
        say("The demo's shop as files")
        shop.write(folder, now=datetime.now(UTC))
        _cut(folder, size.history)
    for name, (title, work) in _steps(folder).items():
        if not remembered.has_done(name):
            say(title)
            work()
            remembered.keep(name)
    return folder


def _cut(folder: Path, rows: int) -> None:
    """Keep the newest `rows` of the history, and the items that they name."""
    history = pq.read_table(folder / "events.parquet")
    if rows < history.num_rows:
        newest = history.slice(history.num_rows - rows)
        pq.write_table(newest, folder / "events.parquet")
        items = pq.read_table(folder / "catalogue.parquet")
        named = items.filter(pc.is_in(items["item_id"], newest["item_id"].combine_chunks()))
        pq.write_table(named, folder / "catalogue.parquet")


def _steps(folder: Path) -> dict[str, tuple[str, Callable[[], object]]]:
    catalogue, events = str(folder / "catalogue.parquet"), str(folder / "events.parquet")
    return {
        "catalogue": ("Its catalogue", lambda: call_command("import_catalog", catalogue)),
        "events": ("Its history", lambda: call_command("import_events", events)),
        "refresh": (
            "Its projections and texts",
            lambda: call_command("refresh", "--without-ranker"),
        ),
        "spaces": ("What its shoppers' deeds teach", _teach),
        # A shop that has run for a minute has been vacuumed by Postgres itself.
        "vacuum": ("Its tables vacuumed", lambda: _execute("VACUUM ANALYZE")),
    }


def _teach() -> None:
    """Both spaces, which no bench judges: they are measured as they serve."""
    from recommend.spaces.learning import Course, Judged
    from recommend.spaces.store import KINDS

    course = Course()
    for kind in KINDS:
        course.renew(kind, Judged(0, 0.0, 0.0), datetime.now(UTC))


def hush() -> None:
    """Have writers wake no worker: none runs yet, and the broker would keep a session open."""
    _execute(HUSH)


def _cluster() -> str:
    with connection.cursor() as cursor:
        cursor.execute(WHICH_CLUSTER)
        return str(cursor.fetchone()[0])


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def copied() -> Iterator[None]:
    """Inside the block Django is on a copy of the shop's database, which then goes away."""
    original = str(connection.settings_dict["NAME"])
    with _elsewhere(COPY, original):
        yield


@contextmanager
def empty() -> Iterator[None]:
    """Inside the block Django is on a database with all tables and no rows."""
    with _elsewhere(EMPTY, "template0"):
        call_command("migrate", verbosity=0)
        yield


@contextmanager
def _elsewhere(name: str, template: str) -> Iterator[None]:
    before = str(connection.settings_dict["NAME"])
    _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
                TEMPLATE.format(name=name, template=template))  # fmt: skip
    _use(name)
    try:
        yield
    finally:
        _use(before)
        _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _administer(*statements: str) -> None:
    """From another database: nobody may be connected to one that is copied or dropped."""
    before = str(connection.settings_dict["NAME"])
    _use("postgres")
    try:
        for statement in statements:
            _execute(statement)
    finally:
        _use(before)


def _use(database: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = database
