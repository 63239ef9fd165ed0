"""The stack under measure: the web server and the worker, started and stopped as processes.

It runs them on whatever database Django is on in this process, on a loopback port that is
free, with the settings of the demo. It promises that none of them outlives its block.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.db import connection

from demo import processes
from demo.processes import HOST, Child

WEB_WORKERS = 2


def database_url() -> str:
    """Django's database as DATABASE_URL: what makes the children use the same one."""
    given = connection.settings_dict
    login, password, name, host = (
        quote(given[part], safe="") for part in ("USER", "PASSWORD", "NAME", "HOST")
    )
    login += f":{password}" if password else ""
    if given["HOST"].startswith(("/", "@")):  # the folder of a Unix socket
        return f"postgresql://{login}@/{name}?host={host}"
    port = f":{given['PORT']}" if given["PORT"] else ""
    return f"postgresql://{login}@{host}{port}/{name}"


@contextmanager
def web(logs: Path) -> Iterator[tuple[Child, int]]:
    """A web server that answers; the child and its port."""
    port = _free_port()
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "recsite.wsgi:application",
        "--host", HOST, "--port", str(port), "--workers", str(WEB_WORKERS),
        "--blocking-threads", "4", "--no-ws",
    ]  # fmt: skip
    with _running("web", command, logs) as child:
        processes.wait_for(f"http://{HOST}:{port}/healthz", [child])
        yield child, port


@contextmanager
def worker(logs: Path) -> Iterator[Child]:
    """A Celery worker on its way up; the first fold says that it is there."""
    command = [
        sys.executable, "-m", "celery", "-A", "recsite.worker", "worker",
        "--without-gossip", "--without-mingle", "--without-heartbeat",
        "--loglevel", "INFO",
    ]  # fmt: skip
    with _running("worker", command, logs) as child:
        yield child


@contextmanager
def _running(name: str, command: list[str], logs: Path) -> Iterator[Child]:
    child = processes.start(
        name, command, log=logs / f"{name}.log", environment={"DATABASE_URL": database_url()}
    )
    try:
        yield child
    finally:
        processes.stop([child])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
