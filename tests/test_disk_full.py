"""A disk that is full: refused with a code, nothing half-written, and on again once there is room.

The disk is a small one of memory, which only root may mount; web, worker and Postgres are the
real ones (bench.drill's house).
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from bench.drill.house import POSTGRES, House
from bench.drill.rounds import wait_until_all_is_read
from bench.drill.shoppers import Shopper
from demo import processes
from demo.processes import HOST, Failed
from recsite import postgres

SIZE: Final = "320m"
BATCH: Final = 300
ROWS: Final = 60_000
"""More than one batch of an import."""


def mounted(folder: Path) -> bool:
    """Whether a small disk could be put there."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", str(folder)]
    try:
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def shopper(house: House) -> Iterator[Shopper]:
    """Whose first delivery is kept and folded."""
    shopper = Shopper("s", house.port, house.manage("create_key", "tests").split()[-1], 1)
    assert shopper.post(views(0)) is not None
    wait_until_all_is_read(house)
    yield shopper
    shopper.close()


@pytest.fixture
def house() -> Iterator[House]:
    """Postgres, web and worker on a disk of their own."""
    folder = Path(tempfile.mkdtemp(prefix="recsite-disk-"))
    folder.chmod(0o755)
    if os.geteuid() != 0 or not mounted(folder):
        folder.rmdir()
        pytest.skip("only root may mount a small disk")
    house = House(folder)
    try:
        house.start(POSTGRES)
        house.manage("migrate", "--verbosity", "0")
        house.start("web")
        house.start("worker")
        processes.wait_for(f"http://{HOST}:{house.port}/healthz", [])
        yield house
    finally:
        house.leave()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def views(turn: int) -> list[dict[str, Any]]:
    """A delivery of new shoppers and new items, which takes room."""
    return [
        {"event": "view_item", "event_id": f"{turn}-{n}", "user_id": f"u{turn}-{n}",
         "item_id": f"i{turn}-{n}"}
        for n in range(BATCH)
    ]  # fmt: skip


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return ballast


def history(disk: Path) -> Path:
    file = disk / "history.csv"
    rows = (f"view_item,2026-03-02T09:00:00Z,h{n},i{n % 900}\n" for n in range(ROWS))
    file.write_text("event,occurred_at,user_id,item_id\n" + "".join(rows))
    return file


def write_ahead(house: House) -> None:
    """Until the server's log needs more room."""
    for _ in range(20):
        house.ask("SELECT pg_switch_wal()")
        house.ask("SELECT pg_logical_emit_message(true, 'recsite', repeat('x', 1000000))")


LINES: Final = "SELECT count(*) FROM event"


def test_a_full_disk_refuses_what_comes_and_goes_on_once_there_is_room(
    house: House, shopper: Shopper, tmp_path: Path
) -> None:
    ballast = fill(house.home)
    answered = 1
    while shopper.post(views(answered)) is not None:
        answered += 1
        assert answered < 200, "the disk is never full"
    assert shopper.book.ends == {"202": answered, "503 database_full": 1}
    with pytest.raises(
        Failed, match=r"has no room left\. Try again later\. The first 0 rows are in"
    ):
        house.manage("import_events", str(history(tmp_path)))
    assert house.ask(LINES) == [(answered * BATCH,)]

    ballast.unlink()
    assert postgres.is_running(house.home)
    assert shopper.post(views(answered)) is not None
    said = house.manage("import_events", str(tmp_path / "history.csv"))
    assert said == f"{ROWS:,} accepted, 0 duplicates, 0 rejected\n"
    wait_until_all_is_read(house)
    assert house.ask(LINES) == [((answered + 1) * BATCH + ROWS,)]
    assert "DIFFERS" not in house.manage("verify")


def test_a_disk_too_full_for_the_servers_own_log_loses_nothing_that_was_answered(
    house: House, shopper: Shopper
) -> None:
    """Postgres ends itself where it cannot write ahead; somebody makes room and starts it."""
    ballast = fill(house.home)
    with pytest.raises(psycopg.Error):
        write_ahead(house)
    assert shopper.post(views(1)) is None
    assert "could not write to file" in (house.home / "postgres.log").read_text()

    ballast.unlink()
    postgres.stop(house.home)
    house.start(POSTGRES)
    assert shopper.tell(views(1)[0], 30) is not None
    wait_until_all_is_read(house)
    assert house.ask(LINES) == [(BATCH + 1,)]
    assert "DIFFERS" not in house.manage("verify")
