"""A growing file, followed by a real process: every line once, soon, through cuts and kills."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import pytest
from django.core.management import CommandError, call_command

from behavior import follow, runs
from behavior.follow import Follower, Stop
from demo import processes
from demo.processes import Child
from tests.given import Row, ask
from tests.servers import ROOT, environment, eventually

pytestmark = pytest.mark.usefixtures("committed")

SOON: Final = 30.0
"""Seconds within which a line must be in the log, on a busy machine."""


def line(n: int, event: str = "view_item") -> bytes:
    at = "2026-03-02T09:00:00Z"
    said = {"event": event, "occurred_at": at, "user_id": "ann", "item_id": f"i{n}"}
    return orjson.dumps(said) + b"\n"


def lines(first: int, end: int) -> bytes:
    return b"".join(map(line, range(first, end)))


def add(file: Path, content: bytes) -> None:
    with file.open("ab") as grown:
        grown.write(content)


def count() -> int:
    return int(ask("SELECT count(*) FROM event")[0][0])


def wait_for(events: int) -> None:
    assert eventually(count, lambda seen: seen >= events, seconds=SOON) == events


def items() -> list[str]:
    rows = ask("SELECT key FROM event JOIN item_key USING (item)")
    return sorted((row[0] for row in rows), key=lambda key: int(key[1:]))


def named(first: int, end: int) -> list[str]:
    return [f"i{n}" for n in range(first, end)]


def stand() -> list[Row]:
    return ask("SELECT rows, reached, accepted, duplicates, rejected, finished FROM import_run")


@dataclass
class Following:
    """The command in a process of its own."""

    child: Child

    def end(self, number: int = signal.SIGTERM) -> str:
        """What it said, once it has ended in order."""
        self.child.process.send_signal(number)
        assert self.child.process.wait(SOON) == 0, self.said()
        return self.said()

    def kill(self) -> str:
        self.child.process.kill()
        self.child.process.wait(SOON)
        return self.said()

    def said(self) -> str:
        return self.child.log.read_text()


@contextlib.contextmanager
def following(file: Path) -> Iterator[Following]:
    command = [sys.executable, str(ROOT / "manage.py"), "import_events", "--follow", str(file)]
    child = processes.start(
        "follow", command, log=file.parent / "said", environment=environment(file.parent)
    )
    try:
        yield Following(child)
    finally:
        processes.stop([child], patience=0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_there_and_what_is_added_is_imported_until_it_is_told_to_end(
    file: Path, number: int
) -> None:
    file.write_bytes(lines(0, 30))
    with following(file) as follower:
        wait_for(30)
        for n in range(30, 60, 10):
            add(file, lines(n, n + 10))
            wait_for(n + 10)
        add(file, line(60, "fly") + b"\n{broken\n" + line(61))
        wait_for(61)
        assert follower.end(number) == (
            "line 61: unknown_event: " + unknown() + "\n"
            "line 63: unreadable_line: The line is not JSON: unexpected character, expected a"
            " string key.\n61 accepted, 0 duplicates, 2 rejected\n"
        )
    assert items() == [*named(0, 60), "i61"]
    assert stand() == [(63, file.stat().st_size, 61, 0, 2, True)]
    assert ask("SELECT source, line, code FROM rejected ORDER BY line") == [
        ("log.jsonl", 61, "unknown_event"),
        ("log.jsonl", 63, "unreadable_line"),
    ]


def unknown() -> str:
    return str(ask("SELECT message FROM rejected WHERE code = 'unknown_event'")[0][0])


def test_a_line_waits_for_its_end(file: Path) -> None:
    file.write_bytes(lines(0, 2) + line(2)[:40])
    with following(file) as follower:
        wait_for(2)
        time.sleep(1)
        assert count() == 2
        add(file, line(2)[40:-1])
        time.sleep(1)
        assert count() == 2
        add(file, b"\n" + line(3)[:-1])
        wait_for(3)
        assert follower.end() == "3 accepted, 0 duplicates, 0 rejected\n"
    assert items() == named(0, 3)
    assert stand()[0][:2] == (3, len(lines(0, 3)))


def test_a_killed_follower_goes_on_at_its_byte(file: Path) -> None:
    file.write_bytes(lines(0, 100))
    with following(file) as follower:
        wait_for(100)
        follower.kill()
    add(file, lines(100, 150))
    with following(file) as follower:
        wait_for(150)
        assert follower.end() == "continues at row 101\n150 accepted, 0 duplicates, 0 rejected\n"
    with following(file) as follower:
        add(file, lines(150, 160))
        wait_for(160)
        assert follower.end() == "continues at row 151\n160 accepted, 0 duplicates, 0 rejected\n"
    assert items() == named(0, 160)


def test_a_follower_killed_at_any_moment_loses_and_doubles_nothing(file: Path) -> None:
    file.write_bytes(b"")
    for turn in range(3):
        with following(file) as follower:
            eventually(lambda follower=follower: asked(follower), seconds=SOON)  # type: ignore[misc]
            for n in range(40):
                first = turn * 4_000 + n * 100
                add(file, lines(first, first + 100))
                time.sleep(0.02)
            follower.kill()
    with following(file) as follower:
        wait_for(12_000)
        assert follower.end().endswith("\n12,000 accepted, 0 duplicates, 0 rejected\n")
    assert items() == named(0, 12_000)


def asked(follower: Following) -> bool:
    """Whether it has come to its file: nobody else could lock it now."""
    (held,) = ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    return bool(held[0]) or follower.child.process.poll() is not None


def test_a_file_that_is_cut_is_read_from_its_start(file: Path) -> None:
    file.write_bytes(lines(0, 50))
    with following(file) as follower:
        wait_for(50)
        file.write_bytes(lines(50, 60))
        wait_for(60)
        add(file, lines(60, 70))
        wait_for(70)
        assert follower.end() == "70 accepted, 0 duplicates, 0 rejected\n"
    assert items() == named(0, 70)
    assert stand()[0][:2] == (20, len(lines(50, 70)))


def test_a_file_that_is_cut_and_has_grown_beyond_is_read_from_its_start(file: Path) -> None:
    file.write_bytes(lines(0, 10))
    with following(file) as follower:
        wait_for(10)
        file.write_bytes(lines(10, 40))
        wait_for(40)
        assert follower.end() == "40 accepted, 0 duplicates, 0 rejected\n"
    assert items() == named(0, 40)


def test_a_file_that_is_rotated_is_read_to_its_end_and_the_next_from_its_start(
    file: Path,
) -> None:
    file.write_bytes(lines(0, 10))
    with following(file) as follower:
        wait_for(10)
        old = file.rename(file.parent / "log.1.jsonl")
        # Who writes has not heard yet; its last line has no end.
        add(old, lines(10, 20)[:-1])
        time.sleep(0.5)
        file.write_bytes(lines(20, 30))
        wait_for(30)
        add(file, lines(30, 40))
        wait_for(40)
        assert follower.end() == "40 accepted, 0 duplicates, 0 rejected\n"
    assert items() == named(0, 40)
    assert stand()[0][:2] == (20, len(lines(20, 40)))


def test_a_file_that_was_replaced_meanwhile_is_read_from_its_start(file: Path) -> None:
    file.write_bytes(lines(0, 10))
    with following(file) as follower:
        wait_for(10)
        follower.kill()
    file.write_bytes(lines(10, 40))
    with following(file) as follower:
        wait_for(40)
        assert follower.end() == "30 accepted, 0 duplicates, 0 rejected\n"


def test_a_steady_stream_is_committed_every_second(file: Path) -> None:
    file.write_bytes(b"")
    with following(file) as follower:
        eventually(lambda: asked(follower), seconds=SOON)
        sent, end = 0, time.monotonic() + 4
        while time.monotonic() < end:
            add(file, lines(sent, sent + 50))
            sent += 50
            time.sleep(0.02)
        wait_for(sent)
        follower.end()
    ((commits,),) = ask("SELECT count(DISTINCT xid) FROM event")
    assert commits >= 4


def test_following_after_an_import_goes_on_at_its_end(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(lines(0, 10))
    call_command("import_events", str(file))
    assert capsys.readouterr().out == "10 accepted, 0 duplicates, 0 rejected\n"
    with following(file) as follower:
        add(file, lines(10, 15))
        wait_for(15)
        assert follower.end() == "continues at row 11\n15 accepted, 0 duplicates, 0 rejected\n"


def test_a_large_start_is_known_by_its_first_megabyte(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "HEAD", 200)
    file.write_bytes(lines(0, 10))
    follower = Follower(file, follow.begin(file), Stop())
    for done in follower.batches():
        assert done.accepted == 10
        follower.stop.ask()
    assert (follower.run.head, follower.run.reached) == (200, len(lines(0, 10)))
    found = runs.find(file)
    assert found is not None
    assert found == follow.begin(file) == follower.run


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_only_jsonl_can_be_followed(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"log.{ending}"
    file.write_bytes(b"event\n")
    with pytest.raises(CommandError, match=rf"^log.{ending}: only a JSONL file can be followed\.$"):
        call_command("import_events", str(file), "--follow")


def test_a_file_that_is_not_there_cannot_be_followed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        call_command("import_events", str(tmp_path / "log.jsonl"), "--follow")


def test_a_follower_of_nothing_ends_in_order(file: Path) -> None:
    file.write_bytes(b"")
    with following(file) as follower:
        eventually(lambda: asked(follower), seconds=SOON)
        assert follower.end() == "0 accepted, 0 duplicates, 0 rejected\n"
