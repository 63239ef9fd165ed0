"""The house that is set on fire: web, worker, beat and a Postgres of its own, in one folder.

It knows how each is started, killed with SIGKILL and started again, as a service manager
would. The cluster is a real one: it waits for the disk at every commit. It promises that
nothing of it outlives its block, whatever happened inside.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

from demo import processes
from demo.processes import HOST, Child, Failed
from recsite import postgres

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PATIENCE: Final = 60.0
"""Seconds until something that was started must be there."""

# Checkpoints come often, so that some kills meet one.
SETTINGS: Final = {"shared_buffers": "64MB", "checkpoint_timeout": "30s", "fsync": "on",
                   "full_page_writes": "on"}  # fmt: skip

PARTS: Final = ("web", "worker", "beat")
POSTGRES: Final = "postgres"


class House:
    """The processes, by name; use `standing` to have one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _free_port()
        self._children: dict[str, Child] = {}
        self._starts = 0

    def start(self, name: str) -> None:
        """Have the part running (or on its way: only Postgres is waited for)."""
        if name == POSTGRES:
            postgres.start(self.home, SETTINGS)
            return
        self._starts += 1
        log = self.home / f"{name}-{self._starts}.log"
        command = processes.commands(self.port)[name]
        self._children[name] = processes.start(name, command, log=log, environment=self._told())

    def kill(self, name: str) -> None:
        """SIGKILL: of Postgres the postmaster, whose children find out; of another part all."""
        if name == POSTGRES:
            self._kill_postgres()
            return
        child = self._children[name]
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait(PATIENCE)

    def _kill_postgres(self) -> None:
        pid = int((self.home / "pgdata" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while postgres.is_running(self.home) and time.monotonic() < end:
            time.sleep(0.01)
        postgres.stop(self.home)  # to be started again, it must be let go of

    def said(self, name: str) -> str:
        """What a part has said since it was last started."""
        return self._children[name].log.read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py on this house's database; what it said."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments], env=os.environ | self._told(),
            cwd=ROOT, capture_output=True, text=True, timeout=10 * PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"manage.py {arguments[0]} failed.\n{done.stdout}{done.stderr}")
        return done.stdout

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, on a connection of its own."""
        with psycopg.connect(
            host=postgres.socket_folder(self.home), user=postgres.USER, dbname=postgres.DATABASE,
            options="-c search_path=public,rec", connect_timeout=5, autocommit=True,
        ) as connection:  # fmt: skip
            return connection.execute(sql, values).fetchall()

    def leave(self) -> None:
        """End everything, at once."""
        processes.stop(list(self._children.values()), patience=0)
        postgres.stop(self.home)

    def _told(self) -> dict[str, str]:
        host = postgres.socket_folder(self.home)
        return {
            "DATABASE_URL": f"postgresql://{postgres.USER}@/{postgres.DATABASE}?host={host}",
            "CELERY_BROKER_URL": "",
            "RECSITE_HOME": str(self.home),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
        }


@contextlib.contextmanager
def standing() -> Iterator[House]:
    """A house with both schemas, all of whose parts run. Its folder goes with it, unless the
    block fails: then the logs stay."""
    home = Path(tempfile.mkdtemp(prefix="recsite-drill-"))
    home.chmod(0o755)
    house = House(home)
    try:
        house.start(POSTGRES)
        house.manage("migrate", "--verbosity", "0")
        for part in PARTS:
            house.start(part)
        processes.wait_for(f"http://{HOST}:{house.port}/healthz", [house._children["web"]])
        yield house
    finally:
        house.leave()
    shutil.rmtree(home)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
