"""Imports that are interrupted go on: nothing is lost, doubled or read twice."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from behavior import history, runs, tasks
from tests.given import Row, ask
from tests.servers import ROOT, environment, eventually

pytestmark = pytest.mark.usefixtures("committed")

ROWS: Final = 3_000
BATCH: Final = 500
BAD: Final = range(99, ROWS, 100)
"""Of these rows the event is not known."""


def record(n: int) -> dict[str, Any]:
    return {
        "event": "fly" if n in BAD else "view_item",
        "occurred_at": f"2026-03-{1 + n % 28:02}T09:00:00Z",
        "user_id": f"u{n % 50}",
        # In CSV it takes two lines, and more bytes than characters.
        "item_id": f"mög,\n{n}",
    }


def written(folder: Path, ending: str, rows: int = ROWS) -> Path:
    """A file of these records."""
    lines = folder / "log.jsonl"
    lines.write_bytes(b"".join(orjson.dumps(record(n)) + b"\n" for n in range(rows)))
    file = folder / f"log.{ending}"
    if ending != "jsonl":
        table = pyarrow.json.read_json(lines)
        text = table.set_column(1, "occurred_at", table["occurred_at"].cast("string"))
        if ending == "csv":
            pyarrow.csv.write_csv(text, file)
        else:
            pq.write_table(text, file, row_group_size=400, compression="none")
    return file


# The third batch is read, appended and noted; its transaction never ends.
IMPORT: Final = """
import sys, time
from recsite.boot import boot
boot()
import django
django.setup()
from django.core.management import call_command
from behavior import history, runs
history.BATCH = {batch}
save, done = runs.save, []
def save_and_hang(run):
    save(run)
    done.append(run)
    if len(done) == {hang_at}:
        print("hangs", flush=True)
        time.sleep(600)
runs.save = save_and_hang
call_command("import_events", sys.argv[1])
"""


def started(file: Path, home: Path, hang_at: int) -> "subprocess.Popen[str]":
    script = IMPORT.format(batch=BATCH, hang_at=hang_at)
    return subprocess.Popen(
        [sys.executable, "-c", script, str(file)], env=os.environ | environment(home),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def killed(file: Path, home: Path, hang_at: int = 3) -> str:
    """Import the file in a process that is killed in its `hang_at`th transaction; what it said."""
    with started(file, home, hang_at) as process:
        assert process.stdout is not None
        said = []
        while (line := process.stdout.readline()) != "hangs\n":
            assert line, process.wait()
            said.append(line)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    return "".join(said)


def run(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    call_command("import_events", str(file))
    return capsys.readouterr().out


def stand() -> list[Row]:
    """(rows, accepted, duplicates, rejected, finished) of each run."""
    return ask("SELECT rows, accepted, duplicates, rejected, finished FROM import_run")


def items() -> list[str]:
    """The items of the log, one a row."""
    return [row[0] for row in ask("SELECT key FROM event JOIN item_key USING (item)")]


GOOD: Final = sorted(record(n)["item_id"] for n in range(ROWS) if n not in BAD)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_import_killed_in_a_transaction_goes_on_behind_the_last_commit(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, ending)
    assert killed(file, tmp_path) == ""
    assert stand() == [(1_000, 990, 0, 10, False)]
    assert killed(file, tmp_path, hang_at=2) == "continues at row 1,001\n"
    assert stand() == [(1_500, 1_485, 0, 15, False)]
    monkeypatch.setattr(history, "BATCH", BATCH)
    assert run(file, capsys) == (
        "continues at row 1,501\n2,970 accepted, 0 duplicates, 30 rejected\n"
    )
    assert stand() == [(ROWS, 2_970, 0, 30, True)]
    assert sorted(items()) == GOOD
    per_row = {"jsonl": (1, 1), "csv": (2, 2), "parquet": (1, 1)}[ending]
    assert ask("SELECT line FROM rejected ORDER BY line") == [
        (n * per_row[0] + per_row[1],) for n in BAD
    ]


def spoil(file: Path, start: int, end: int) -> None:
    """Overwrite a part of the file; its times stay."""
    was = file.stat()
    content = bytearray(file.read_bytes())
    content[start:end] = b"\xff" * (end - start)
    file.write_bytes(content)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def place_of(file: Path, row: int) -> int:
    """The byte at which that row begins, give or take; a Parquet file has it in its column."""
    return file.read_bytes().index(f"mög,\n{row}".encode().replace(b"\n", NEWLINE[file.suffix]))


NEWLINE: Final = {".jsonl": b"\\n", ".csv": b"\n", ".parquet": b"\n"}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_what_was_done_is_not_read_again(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the header would be found to have changed.
    monkeypatch.setattr(runs, "HEAD", 60)
    file = written(tmp_path, ending)
    if ending == "parquet":
        table = pq.read_table(file)
        pq.write_table(table, file, row_group_size=400, compression="none", use_dictionary=False)
    monkeypatch.setattr(history, "BATCH", BATCH)
    stop_after(2, file, monkeypatch)
    assert stand() == [(1_000, 990, 0, 10, False)]
    spoil(file, place_of(file, 100), place_of(file, 350))
    assert run(file, capsys) == (
        "continues at row 1,001\n2,970 accepted, 0 duplicates, 30 rejected\n"
    )
    assert sorted(items()) == GOOD


class Stopped(Exception):
    pass


def stop_after(batches: int, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Import so many batches of the file, in this process."""
    save, done = runs.save, 0

    def save_or_stop(one: runs.Run) -> None:
        nonlocal done
        if done == batches:
            raise Stopped
        done += 1
        save(one)

    with monkeypatch.context() as patched:
        patched.setattr(runs, "save", save_or_stop)
        with pytest.raises(Stopped):
            call_command("import_events", str(file))


def appended(file: Path) -> None:
    file.write_bytes(file.read_bytes() + orjson.dumps(record(0)) + b"\n")


def touched(file: Path) -> None:
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))


def rewritten(file: Path) -> None:
    spoil(file, 1, 2)


@pytest.mark.parametrize("change", [appended, touched, rewritten])
def test_a_file_that_changed_is_read_from_its_start(
    change: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(history, "BATCH", BATCH)
    file = written(tmp_path, "jsonl")
    stop_after(2, file, monkeypatch)
    change(file)
    lost = 1 if change is rewritten else 0
    more = 1 if change is appended else 0
    assert run(file, capsys) == (
        f"1,980 accepted, {990 - lost + more} duplicates, {30 + lost} rejected\n"
    )
    assert sorted(items()) == GOOD


def test_a_finished_file_again_is_read_from_its_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "jsonl")
    assert run(file, capsys) == "2,970 accepted, 0 duplicates, 30 rejected\n"
    assert run(file, capsys) == "0 accepted, 2,970 duplicates, 30 rejected\n"
    assert stand() == [(ROWS, 0, 2_970, 30, True)]


def test_a_file_is_known_by_its_place_through_any_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH", BATCH)
    file = written(tmp_path, "jsonl")
    stop_after(1, file, monkeypatch)
    (tmp_path / "link.jsonl").symlink_to(file)
    assert run(tmp_path / "link.jsonl", capsys).splitlines()[0] == "continues at row 501"


def test_two_imports_of_one_file_do_not_run_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PATIENCE", 0.1)
    file = written(tmp_path, "jsonl")
    with started(file, tmp_path, 1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        with pytest.raises(CommandError, match=r"^log.jsonl is being imported by another process"):
            call_command("import_events", str(file))
        process.kill()


def test_a_killed_import_lets_go_of_its_file(
    tmp_path: Path, stranger: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "jsonl")
    killed(file, tmp_path, hang_at=1)
    run(file, capsys)
    gone = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert eventually(lambda: stranger.execute(gone).fetchone() == (0,))


def test_a_run_that_nobody_goes_on_with_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(written(tmp_path, "jsonl", 200), capsys)
    tasks.drop_old()
    assert len(stand()) == 1
    ask("UPDATE import_run SET saved_at = now() - interval '31 days' RETURNING path")
    tasks.drop_old()
    assert stand() == []


# ── memory ─────────────────────────────────────────────────────────────────────────────────

MEASURE: Final = """
import resource, sys
from recsite.boot import boot
boot()
import django
django.setup()
from django.core.management import call_command
from behavior import history
history.BATCH = 10_000
try:
    call_command("import_events", sys.argv[1])
except Exception as failed:
    print(failed, file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(file: Path, home: Path) -> float:
    """MB that importing the file takes at most."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(file)], env=os.environ | environment(home),
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return int(done.stdout.splitlines()[-1]) / 1_000


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    good = '{"event":"view_item","occurred_at":"2026-03-02T09:00:00Z","user_id":"u%d","item_id":"i%d"}\n'
    bad = '{"event":"fly","user_id":"u%d","item_id":"i%d"}\n'
    peaks = []
    for rows in (60_000, 300_000):
        file = tmp_path / f"{rows}.jsonl"
        with file.open("w") as lines:
            lines.writelines(
                (bad if n % 10 == 0 else good) % (n % 5_000, n % 999) for n in range(rows)
            )
        peaks.append(peak(file, tmp_path))
    assert peaks[1] - peaks[0] < 8
