"""What the processes weigh, as Linux counts it.

Resident memory counts a shared page in every process that maps it, the proportional share
divides it among them: the first is what a limit on one process sees, the second what the
machine loses.
"""

from pathlib import Path
from typing import Final

from django.conf import settings

from bench.figures import Figure, at_most
from demo.processes import Child
from recsite.db import cursor

MEGABYTE: Final = 1024
"""In the kernel's kB."""

IS_KNOWN: Final = Path("/proc/self/smaps_rollup").exists()
"""False where there is no Linux under us: these lines are then left out of the table."""


def of_web(child: Child) -> list[Figure]:
    """The heaviest of the web server's worker processes, after the traffic before this."""
    if not IS_KNOWN:
        return []
    workers = children(child.process.pid)
    return [
        Figure("a web process, resident", max(map(resident, workers)), "MB", at_most(200)),
        Figure("a web process, its share", max(map(share, workers)), "MB"),
    ]


def of_worker(child: Child) -> list[Figure]:
    """The worker's parent and its children together, after the folds before this."""
    if not IS_KNOWN:
        return []
    pids = [child.process.pid, *children(child.process.pid)]
    return [
        Figure("the worker's heaviest process, resident", max(map(resident, pids)), "MB"),
        Figure(f"the worker's {len(pids)} processes, their share", sum(map(share, pids)), "MB"),
    ]


def of_server() -> list[Figure]:
    """All processes of Postgres together, the buffers that they share counted once; none where
    the server is not this machine's own."""
    if not IS_KNOWN or not settings.EMBEDDED:
        return []
    with cursor() as hot:
        (backend,) = hot.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    server = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
    pids = [server, *children(server)]
    return [Figure("Postgres, all its processes", sum(map(share, pids)), "MB")]


def children(pid: int) -> list[int]:
    """The processes that this one started and that still run."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(each) for thread in threads for each in (thread / "children").read_text().split()]


def resident(pid: int) -> float:
    """Megabytes of all pages in memory, shared ones in full."""
    return _kilobytes(pid, "Rss") / MEGABYTE


def share(pid: int) -> float:
    """Megabytes, shared pages divided among those that share them."""
    return _kilobytes(pid, "Pss") / MEGABYTE


def _kilobytes(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))
