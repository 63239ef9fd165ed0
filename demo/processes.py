"""The demo's children: web, worker and beat, started, watched and stopped together.

Each is the leader of a session of its own, so that Ctrl-C at the terminal reaches only the
demo, which then ends them in order. It promises that none outlives `stop`, whatever it
started itself, and never ends a process that it did not start.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds between the request to end and the end."""

LAST_LINES = 15


class Failed(Exception):
    """A child ended by itself or never answered; the message has the end of its log."""


@dataclass(frozen=True)
class Child:
    """A started process and the file that holds what it says."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path


def commands(port: int) -> dict[str, list[str]]:
    """Name: what a shop runs, the web server on that port."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "recsite.worker"]
    # Workers need not hear of each other, and pgmq has no topics for what they would say.
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return {
        "web": [
            python, "-m", "granian", "--interface", "wsgi", "recsite.wsgi:application",
            "--host", HOST, "--port", str(port), "--workers", "2",
            "--blocking-threads", "4", "--no-ws",
        ],
        "worker": [*celery, "worker", *alone, "--loglevel", "INFO"],
        "beat": [*celery, "beat", "--loglevel", "INFO"],
    }  # fmt: skip


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def start(name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Child:
    """Run `command` in a session of its own, saying everything into `log`."""
    with open(log, "wb") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    return Child(name, process, log)


def wait_for(url: str, children: Sequence[Child], *, seconds: float = 60) -> None:
    """Return once `url` answers 200. Raises Failed when a child ends first, or time is up."""
    end = time.monotonic() + seconds
    while not _answers(url):
        check(children)
        if time.monotonic() > end:
            raise Failed(f"{url} does not answer.\n{_last_lines(children[0].log)}")
        time.sleep(0.1)


def watch(children: Sequence[Child]) -> None:
    """Wait until a child ends by itself, and raise Failed for it."""
    while True:
        check(children)
        time.sleep(0.5)


def check(children: Sequence[Child]) -> None:
    """Raise Failed for a child that has ended."""
    for child in children:
        if (code := child.process.poll()) is not None:
            raise Failed(f"{child.name} ended with code {code}.\n{_last_lines(child.log)}")


def stop(children: Sequence[Child], *, patience: float = PATIENCE) -> None:
    """Ask every leader to end; after `patience` end whatever is left of their sessions.

    Only leaders are asked: a worker's own children die of SIGTERM in the middle of a task,
    while their leader lets them finish it.
    """
    # Twice: granian forgets a SIGTERM that comes in the first second of its start.
    for seconds in (patience / 4, patience * 3 / 4):
        for child in _alive(children):
            child.process.terminate()
        _wait(children, seconds)
    for child in children:
        _kill_session(child.process)


def _alive(children: Sequence[Child]) -> list[Child]:
    return [child for child in children if child.process.poll() is None]


def _wait(children: Sequence[Child], seconds: float) -> None:
    end = time.monotonic() + seconds
    while _alive(children) and time.monotonic() < end:
        time.sleep(0.05)


def _kill_session(leader: "subprocess.Popen[bytes]") -> None:
    """Return when no member of the leader's group runs, for each holds the embedded Postgres."""
    end = time.monotonic() + 2
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(leader.pid, signal.SIGKILL)
            leader.poll()
            time.sleep(0.05)


def _answers(url: str) -> bool:
    # No proxy that the shell is set to may stand between the demo and its own port.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join([f"The end of {log}:", *(f"  {line}" for line in lines)])
