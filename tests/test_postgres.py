"""The embedded Postgres: made whole or not at all, stopped by the last who uses it, no port."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from recsite import postgres
from tests.servers import ROOT

FAST: Final = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "5"}
LARGE: Final = FAST | {"shared_buffers": "2GB"}
"""A server that takes a moment to start anew within itself: so much memory is laid out again."""

ROOT_ONLY: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another")

USER: Final = """
import sys
from pathlib import Path
from recsite import postgres
postgres.start(Path(sys.argv[1]), {"fsync": "off", "shared_buffers": "16MB"})
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the cluster until its input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> int:
    """Let it end by itself; its exit code."""
    assert process.stdin is not None
    process.stdin.close()
    return process.wait(60)


def asked(home: Path, question: str) -> object:
    """What the cluster answers, through its socket; None to a statement without an answer."""
    host = postgres.socket_folder(home)
    with psycopg.connect(host=host, user=postgres.USER, dbname=postgres.DATABASE) as connection:
        done = connection.execute(question)
        row = done.fetchone() if done.description else None
        return row[0] if row else None


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="recsite-pg-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A cluster that is made once, and left stopped by each test."""
    folder = Path(tempfile.mkdtemp(prefix="recsite-pg-"))
    folder.chmod(0o755)
    postgres.start(folder, FAST)
    postgres.stop(folder)
    yield folder
    assert not postgres.is_running(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_cluster_runs_from_start_to_stop_and_takes_no_port(home: Path) -> None:
    assert not postgres.is_running(home)
    postgres.start(home, FAST)
    postgres.start(home, FAST)
    try:
        assert postgres.is_running(home)
        assert asked(home, "SHOW listen_addresses") == ""
        assert asked(home, "SELECT current_setting('server_version_num')::int / 10000") == 18
        assert postgres.socket_folder(home) == str(home / "run")
    finally:
        postgres.stop(home)
    assert not postgres.is_running(home)
    postgres.stop(home)  # not ours any more: nothing happens


def test_what_was_written_is_there_after_a_restart(home: Path) -> None:
    postgres.start(home, FAST)
    asked(home, "CREATE TABLE kept AS SELECT 7 AS n")
    postgres.stop(home)
    postgres.start(home, FAST)
    try:
        assert asked(home, "SELECT n FROM kept") == 7
    finally:
        asked(home, "DROP TABLE kept")
        postgres.stop(home)


def test_the_first_of_two_processes_may_leave_the_last_one_stops_the_server(home: Path) -> None:
    with another_process(home) as other:
        postgres.start(home, FAST)
        assert ended(other) == 0
        assert asked(home, "SELECT 1") == 1
        postgres.stop(home)
    assert not postgres.is_running(home)


def test_the_one_who_started_it_may_leave_first(home: Path) -> None:
    postgres.start(home, FAST)
    with another_process(home) as other:
        postgres.stop(home)
        assert asked(home, "SELECT 1") == 1
        assert ended(other) == 0
    assert not postgres.is_running(home)


def test_a_process_that_was_killed_does_not_count(home: Path) -> None:
    with another_process(home) as other:
        other.send_signal(signal.SIGKILL)
        other.wait(60)
    assert postgres.is_running(home)  # nobody was left to stop it
    postgres.start(home, FAST)
    postgres.stop(home)
    assert not postgres.is_running(home)


def test_after_a_kill_it_starts_as_soon_as_the_children_of_the_killed_are_gone(home: Path) -> None:
    postgres.start(home, FAST)
    try:
        host = postgres.socket_folder(home)
        session = psycopg.connect(host=host, user=postgres.USER, dbname=postgres.DATABASE)
        with contextlib.closing(session) as busy:
            # It does not look up while it counts, so it outlives the postmaster by a second or two.
            busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 20000000)")
            lines = (home / "pgdata" / "postmaster.pid").read_text().splitlines()
            os.kill(int(lines[0]), signal.SIGKILL)
            postgres.stop(home)
            postgres.start(home, FAST)
            assert asked(home, "SELECT 7") == 7
    finally:
        postgres.stop(home)


def lose_a_backend(home: Path) -> None:
    """As where the kernel ends one for its memory; until the server starts anew within itself."""
    asked(home, "CREATE TABLE IF NOT EXISTS much AS SELECT n FROM generate_series(1, 1000000) AS n")
    asked(home, "CREATE TABLE IF NOT EXISTS lost (what text)")
    log = home / "postgres.log"
    begun = log.read_text().count("reinitializing")
    host = postgres.socket_folder(home)
    doomed = psycopg.connect(host=host, user=postgres.USER, dbname=postgres.DATABASE)
    doomed.execute("INSERT INTO lost SELECT repeat('x', 300) FROM generate_series(1, 500000)")
    os.kill(doomed.info.backend_pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while log.read_text().count("reinitializing") == begun and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    doomed.close()


def test_it_stops_and_starts_again_where_a_backend_was_killed_a_moment_before(home: Path) -> None:
    postgres.start(home, LARGE)
    lose_a_backend(home)
    began = time.monotonic()
    postgres.stop(home)
    assert not postgres.is_running(home)
    assert time.monotonic() - began < postgres.PATIENCE
    postgres.start(home, FAST)
    try:
        assert asked(home, "SELECT count(*) FROM much") == 1_000_000
    finally:
        postgres.stop(home)


def test_one_that_was_told_to_stop_in_that_moment_is_ended_and_started(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an older release, say: it would refuse everybody for ever."""
    monkeypatch.setattr(postgres, "PATIENCE", 1.0)
    postgres.start(home, LARGE)
    lose_a_backend(home)
    postgres._pg_ctl(home, "-m", "fast", "-W", "stop")
    postgres._held.pop(home)[0].close()
    postgres.start(home, FAST)
    try:
        assert asked(home, "SELECT count(*) FROM much") == 1_000_000
    finally:
        postgres.stop(home)


def test_one_whose_connections_are_all_taken_is_left_to_whoever_has_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE", 1.0)
    postgres.start(home, FAST)
    with contextlib.ExitStack() as taken:
        for _ in range(int(FAST["max_connections"])):
            one = taken.enter_context(contextlib.closing(postgres._connect(home)))
        assert "too many clients" in str(postgres._refusal(home))
        assert postgres._settled(home)
        assert one.execute("SELECT 1").fetchone() == (1,)
    postgres.stop(home)


def test_a_forked_child_does_not_stop_its_parents_server(home: Path) -> None:
    postgres.start(home, FAST)
    try:
        child = os.fork()
        if child == 0:
            postgres.stop(home)
            os._exit(0)
        os.waitpid(child, 0)
        assert postgres.is_running(home)
    finally:
        postgres.stop(home)
    assert not postgres.is_running(home)


# ── half-made ──────────────────────────────────────────────────────────────────────────────


def test_a_folder_that_is_no_whole_cluster_is_refused_and_left_as_it_is(place: Path) -> None:
    (place / "pgdata").mkdir()
    (place / "pgdata" / "base").write_text("half")
    for _ in range(2):
        with pytest.raises(postgres.ClusterError) as refused:
            postgres.start(place, FAST)
        assert str(refused.value) == (
            f"{place}/pgdata is not a complete Postgres cluster. Move it away (or set RECSITE_HOME to another"
            " folder) and start again."
        )
    assert [path.name for path in (place / "pgdata").iterdir()] == ["base"]
    assert (place / "pgdata" / "base").read_text() == "half"


def test_a_command_on_half_a_cluster_ends_with_one_sentence(place: Path) -> None:
    (place / "pgdata").mkdir()
    (place / "pgdata" / "base").write_text("half")
    environment = {n: v for n, v in os.environ.items() if n != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "manage.py", "verify"],
        env=environment | {"RECSITE_HOME": str(place)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"recsite: {place}/pgdata is not a complete Postgres cluster.")
    assert len(done.stderr.splitlines()) == 1


def test_what_a_killed_initdb_left_is_cleared_away(place: Path) -> None:
    (place / "pgdata.new").mkdir()
    (place / "pgdata.new" / "PG_VERSION").write_text("18")
    (place / "pgdata").mkdir()
    postgres.start(place, FAST)
    try:
        assert asked(place, "SELECT 1") == 1
        assert not (place / "pgdata.new").exists()
    finally:
        postgres.stop(place)
    assert not postgres.is_running(place)


def test_a_path_too_long_for_a_socket_is_a_sentence_and_nothing_is_made(place: Path) -> None:
    far = place / ("a" * 60) / ("ö" * 30)
    far.mkdir(parents=True)
    with pytest.raises(postgres.ClusterError, match="too long for a Unix socket"):
        postgres.start(far, FAST)
    assert list(far.iterdir()) == []


# ── who may run it ─────────────────────────────────────────────────────────────────────────


@ROOT_ONLY
def test_where_nobody_may_enter_root_is_told_which_folder(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(postgres.ClusterError) as refused:
        postgres.start(closed / "home", FAST)
    assert str(refused.value).startswith(
        f"Postgres must not run as root, and the user nobody may not enter {closed}. Run as an ordinary user"
    )
    assert not (closed / "home" / "pgdata").exists()


@ROOT_ONLY
def test_root_does_not_run_the_server_as_root(home: Path) -> None:
    postgres.start(home, FAST)
    try:
        pid = (home / "pgdata" / "postmaster.pid").read_text().split()[0]
        status = Path(f"/proc/{pid}/status").read_text()
        (uids,) = (line for line in status.splitlines() if line.startswith("Uid:"))
        assert "0" not in uids.split()
    finally:
        postgres.stop(home)
