"""Real processes on the test database: the web server and a worker, as a shop runs them.

It knows how to start them beside the tests (any free port, a home of their own, the queue on
the same Postgres), how to ask over HTTP as a shop would, and how to wait for what follows.
It promises that every wait has an end, and that what a process said is shown where a test
fails.
"""

import contextlib
import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlencode

from django.db import connection
from sqlalchemy import URL

from demo import processes
from demo.processes import HOST, Child
from recommend.projections import PROJECTIONS
from recsite import keys
from recsite.db import cursor
from recsite.models import ApiKey

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENCE: Final = 30.0
"""Seconds until a wait is given up; on an idle machine none takes a tenth of it."""

Seen = TypeVar("Seen")


# ── processes ──────────────────────────────────────────────────────────────────────────────


def database_url() -> str:
    """The test database as DATABASE_URL names it; a socket's folder goes into the query."""
    ours = connection.get_connection_params()
    host = ours.get("host") or ""
    is_socket = host.startswith(("/", "@")) or not host
    url = URL.create(
        "postgresql",
        username=ours.get("user"),
        password=ours.get("password"),
        host=None if is_socket else host,
        port=int(ours["port"]) if ours.get("port") else None,
        database=ours["dbname"],
        query={"host": host} if host and is_socket else {},
    )
    return url.render_as_string(hide_password=False)


def environment(home: Path) -> dict[str, str]:
    """What makes a process of ours work on the test database, and queue there, too."""
    return {
        "DATABASE_URL": database_url(),
        "CELERY_BROKER_URL": "",
        "RECSITE_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def web(home: Path, *, broker: str = "") -> Iterator[tuple[Child, int]]:
    """Granian with one worker process, and the port on which it answers."""
    port = _free_port()
    settings = environment(home) | {"CELERY_BROKER_URL": broker}
    with _running("web", _web(port), home, settings, processes.PATIENCE) as child:
        processes.wait_for(f"http://{HOST}:{port}/healthz", [child])
        yield child, port


@contextlib.contextmanager
def worker(home: Path) -> Iterator[Child]:
    """A Celery worker that listens; nothing asks it to work but commits, for no beat runs."""
    # It is ended at once, for an idle worker takes seven seconds over its farewell.
    with _running("worker", _worker(), home, environment(home), 0) as child:
        eventually(lambda: "ready." in child.log.read_text() or child.process.poll() is not None)
        assert child.process.poll() is None, child.log.read_text()
        yield child


def _web(port: int) -> list[str]:
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "recsite.wsgi:application",
        "--host", HOST, "--port", str(port), "--workers", "1", "--blocking-threads", "2", "--no-ws",
    ]  # fmt: skip


def _worker() -> list[str]:
    return [
        sys.executable, "-m", "celery", "-A", "recsite.worker", "worker",
        "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO",
    ]  # fmt: skip


@contextlib.contextmanager
def _running(
    name: str, command: list[str], home: Path, settings: dict[str, str], patience: float
) -> Iterator[Child]:
    child = processes.start(name, command, log=home / f"{name}.log", environment=settings)
    try:
        yield child
    finally:
        processes.stop([child], patience=patience)
        # pytest shows it where the test failed.
        print(f"── {name}\n{child.log.read_text(errors='replace')[-4_000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def descendants(process: int) -> list[int]:
    """The ids of a process's children and theirs, from /proc."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


# ── waiting ────────────────────────────────────────────────────────────────────────────────


def eventually(
    look: Callable[[], Seen], wanted: Callable[[Seen], bool] = bool, *, seconds: float = PATIENCE
) -> Seen:
    """What `look` sees once it is as `wanted`; AssertionError with the last sight otherwise."""
    end = time.monotonic() + seconds
    while not wanted(seen := look()):
        assert time.monotonic() < end, f"still {seen!r} after {seconds} s"
        time.sleep(0.02)
    return seen


def allow_waking() -> None:
    """Let the next commit ask for a worker; tests start with one asked for already."""
    with cursor() as hot:
        hot.execute("UPDATE wakeup SET asked = false")


# Sessions of ours that are in the middle of something, this one aside.
BUSY: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'recsite' AND state <> 'idle'
  AND pid <> pg_backend_pid()
"""

# Projections that have read all that this transaction sees.
UP_TO_DATE: Final = """
SELECT count(*) FROM projection
WHERE NOT EXISTS (SELECT FROM event WHERE NOT pg_visible_in_snapshot(xid, snapshot::pg_snapshot))
"""


def wait_for_the_worker() -> None:
    """Until every projection has read every fact that has committed."""

    def count() -> int:
        with cursor() as hot:
            (count,) = hot.execute(UP_TO_DATE).fetchone() or (0,)
            return int(count)

    eventually(count, lambda count: count == len(PROJECTIONS))


def busy() -> int:
    """Sessions of our processes that are in the middle of something."""
    with cursor() as hot:
        (count,) = hot.execute(BUSY).fetchone() or (0,)
        return int(count)


# ── a shop that talks to them ──────────────────────────────────────────────────────────────


class Answer(NamedTuple):
    """What came back: the body is parsed JSON."""

    status: int
    body: Any


@dataclass
class Shop:
    """A shop's page and server: both keys, and each call on a connection of its own."""

    port: int
    public: str = field(default_factory=lambda: keys.create("page", "publishable"))
    secret: str = field(default_factory=lambda: keys.create("server", "secret"))

    def call(self, method: str, path: str, body: Any = None, *, key: str) -> Answer:
        """One request; any status."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)) as line:
            line.request(method, path, sent, headers)
            got = line.getresponse()
            text = got.read()
        return Answer(got.status, json.loads(text) if text else None)

    def stock(self, *items: dict[str, Any]) -> None:
        """Put these items with the secret key; all of them are new or changed."""
        answer = self.call("POST", "/v1/items", list(items), key=self.secret)
        assert answer == (200, {"changed": len(items), "unchanged": 0, "rejected": []})

    def change(self, item_id: str, **fields: Any) -> None:
        """Patch an item with the secret key."""
        assert self.call("PATCH", f"/v1/items/{item_id}", fields, key=self.secret).status == 200

    def tell(self, *events: dict[str, Any]) -> None:
        """Report events with the publishable key, each when it happens; all are new."""
        for event in events:
            answer = self.call("POST", "/v1/events", event, key=self.public)
            assert answer.status == 202, answer
            assert answer.body | {"position": ""} == {
                "accepted": 1, "duplicates": 0, "rejected": [], "position": "",
            }  # fmt: skip

    def ask(self, scenario: str, **given: Any) -> dict[str, Any]:
        """A list, with the publishable key."""
        query = f"?{urlencode(given, doseq=True)}" if given else ""
        answer = self.call("GET", f"/v1/recommend/{scenario}{query}", key=self.public)
        assert answer.status == 200, answer
        body: dict[str, Any] = answer.body
        return body

    def shown(self, scenario: str, **given: Any) -> list[str]:
        """The ids of a list, the best first."""
        return ids(self.ask(scenario, **given))

    def leave(self) -> None:
        """Forget both keys."""
        ApiKey.objects.filter(digest__in=map(keys.digest, (self.public, self.secret))).delete()


def ids(answer: dict[str, Any]) -> list[str]:
    """The items of an answer, the best first."""
    return [shown["item_id"] for shown in answer["items"]]


def reasons(answer: dict[str, Any], item_id: str) -> list[dict[str, str]]:
    """The reasons that an answer gives for an item."""
    (found,) = [shown["reasons"] for shown in answer["items"] if shown["item_id"] == item_id]
    return list(found)


@contextlib.contextmanager
def serving(home: Path) -> Iterator[int]:
    """Web and worker; the port of the web."""
    with web(home) as (_, port), worker(home):
        yield port


@contextlib.contextmanager
def shop(port: int) -> Iterator[Shop]:
    """A shop whose commits wake the worker; at the end nobody works any more."""
    allow_waking()
    open_shop = Shop(port)
    try:
        yield open_shop
    finally:
        open_shop.leave()
        settle()


def settle() -> None:
    """Wait until no process of ours works, so that the tables can be emptied."""
    with cursor() as hot:
        hot.execute("UPDATE wakeup SET asked = true")
    eventually(busy, lambda count: count == 0)
