"""The demo's parts: the shop's files, its memory, its children, and the compose file."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from demo import memory, processes, shop, words

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def lines(*rows: tuple[int, int, int, int, float, datetime]) -> Any:
    names = [
        "household_id", "basket_id", "product_id", "quantity", "sales_value",
        "transaction_timestamp",
    ]  # fmt: skip
    columns = zip(*rows, strict=True)
    return shop.unit_prices(pa.table(dict(zip(names, map(list, columns), strict=True))))


def products(*rows: tuple[int, str, str | None, str | None, str | None]) -> Any:
    names = ["department", "product_category", "product_type", "package_size"]
    number, *texts = map(list, zip(*rows, strict=True))
    columns: dict[str, Any] = {"product_id": number, "manufacturer_id": [69] * len(rows)}
    columns |= {n: pa.array(t, pa.string()) for n, t in zip(names, texts, strict=True)}
    return pa.table(columns | {"brand": ["National"] * len(rows)})


DAY = datetime(2018, 1, 1, 4, 1)  # noqa: DTZ001 - as in the package's file

BREAD = (1, "PASTRY", "BREAD", "FRZN BREAD:ITALIAN/FRENCH", "16 OZ")
FUEL = (2, "FUEL", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED", None)


class TestCatalogue:
    def test_an_item_reads_like_one_of_a_shop(self) -> None:
        bought = lines((7, 70, 1, 1, 2.5, DAY))

        assert shop.catalogue(products(BREAD), bought).to_pylist() == [
            {
                "item_id": "1",
                "title": "Frozen Bread: Italian/French · 16 OZ",
                "category": "Pastry > Bread",
                "brand": "National",
                "price": 2.5,
                "currency": "USD",
                "available": True,
                "manufacturer": "69",
            }
        ]

    def test_a_parenthesis_that_the_till_cut_open_is_left_out(self) -> None:
        cut = (1, "GROCERY", "DOG FOODS", "CAN DOG FOOD (SKIPPY/PEDIGREE/", "13.2 OZ")
        bought = lines((7, 70, 1, 1, 2.5, DAY))

        assert shop.catalogue(products(cut), bought)["title"].to_pylist() == [
            "Can Dog Food · 13.2 OZ"
        ]

    def test_only_what_was_bought_is_in_it(self) -> None:
        bought = lines((7, 70, 1, 1, 2.5, DAY))

        assert shop.catalogue(products(BREAD, FUEL), bought)["item_id"].to_pylist() == ["1"]

    def test_the_price_is_the_middle_unit_price_that_was_paid(self) -> None:
        bought = lines(
            (7, 70, 1, 2, 6.0, DAY),  # 3.00 each
            (7, 71, 1, 1, 1.0, DAY),
            (7, 72, 1, 1, 9.0, DAY),
            (7, 73, 1, 1, 0.0, DAY),  # free: not a price
            (7, 74, 2, 0, 0.0, DAY),  # nothing was ever paid
        )

        assert shop.catalogue(products(BREAD, FUEL), bought)["price"].to_pylist() == [3.0, None]

    def test_of_two_prices_the_lower_is_the_middle(self) -> None:
        bought = lines((7, 70, 1, 1, 4.0, DAY), (7, 71, 1, 1, 2.0, DAY))

        assert shop.catalogue(products(BREAD), bought)["price"].to_pylist() == [2.0]

    def test_fuel_and_what_has_no_name_is_there_but_not_for_sale(self) -> None:
        unnamed = (3, "GROCERY", None, None, None)
        bought = lines((7, 70, 2, 1, 2.5, DAY), (7, 70, 3, 1, 1.0, DAY), (7, 70, 4, 1, 1.0, DAY))

        table = shop.catalogue(products(FUEL, unnamed), bought)

        assert table.select(["title", "category", "available"]).to_pylist() == [
            {
                "title": "Gasoline-Reg Unleaded",
                "category": "Fuel > Coupon/Misc Items",
                "available": False,
            },
            {"title": "Item 3", "category": "Grocery", "available": False},
            {"title": "Item 4", "category": "", "available": False},
        ]


class TestEvents:
    def test_a_line_is_a_purchase_in_the_week_before_now(self) -> None:
        # 2018-01-01 was a Monday; so is 2026-11-23, the last one before NOW.
        assert shop.events(lines((7, 70, 1, 2, 5.0, DAY)), now=NOW).to_pylist() == [
            {
                "event": "purchase",
                "occurred_at": datetime(2026, 11, 23, 4, 1, tzinfo=UTC),
                "user_id": "7",
                "item_id": "1",
                "quantity": 2,
                "price": 2.5,
                "order_id": "70",
            }
        ]

    def test_the_pump_counts_thousandths_and_a_coupon_counts_nothing(self) -> None:
        table = shop.events(lines((7, 70, 2, 12_400, 30.0, DAY), (7, 71, 1, 0, 0.0, DAY)), now=NOW)

        assert table.select(["quantity", "price"]).to_pylist() == [
            {"quantity": 12, "price": 2.5},
            {"quantity": None, "price": None},
        ]

    def test_lines_are_in_order_of_time(self) -> None:
        late, early = (7, 70, 1, 1, 1.0, DAY), (7, 71, 1, 1, 1.0, DAY.replace(hour=1))

        assert shop.events(lines(late, early), now=NOW)["order_id"].to_pylist() == ["71", "70"]


class TestMemory:
    def test_a_finished_step_is_remembered_with_what_it_made(self, tmp_path: Path) -> None:
        memory.recall(tmp_path / "demo.json", database="a").keep("keys", secret="sk_1")

        again = memory.recall(tmp_path / "demo.json", database="a")

        assert (again.done, again.secrets) == (["keys"], {"secret": "sk_1"})
        assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600

    def test_another_database_has_had_nothing_done_to_it(self, tmp_path: Path) -> None:
        memory.recall(tmp_path / "demo.json", database="a").keep("keys", secret="sk_1")

        other = memory.recall(tmp_path / "demo.json", database="b")

        assert (other.done, other.secrets) == ([], {})

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"database": "a", "done": 3}'])
    def test_a_damaged_file_is_an_empty_memory(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "demo.json").write_text(content)

        assert memory.recall(tmp_path / "demo.json", database="a").done == []


def start(folder: Path, code: str) -> processes.Child:
    return processes.start(
        "child", [sys.executable, "-c", code], log=folder / "child.log", environment={}
    )


def is_alive(pid: int) -> bool:
    """A zombie that nobody has waited for yet counts as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true: Any) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


class TestProcesses:
    def test_a_port_with_a_listener_is_taken(self) -> None:
        with socket.create_server((processes.HOST, 0)) as server:
            port = server.getsockname()[1]
            assert not processes.is_free(port)
        assert processes.is_free(port)

    def test_a_child_that_ends_is_reported_with_the_end_of_its_log(self, tmp_path: Path) -> None:
        child = start(tmp_path, "import sys; print('no such table'); sys.exit(3)")

        with pytest.raises(processes.Failed, match=r"(?s)child ended with code 3\..*no such table"):
            processes.watch([child])

    def test_a_child_that_never_answers_is_reported(self, tmp_path: Path) -> None:
        child = start(tmp_path, "import time; time.sleep(60)")
        with socket.create_server((processes.HOST, 0)) as server:
            nobody = f"http://{processes.HOST}:{server.getsockname()[1]}/healthz"
        try:
            with pytest.raises(processes.Failed, match="does not answer"):
                processes.wait_for(nobody, [child], seconds=0.1)
        finally:
            processes.stop([child])

    def test_stopping_ends_a_deaf_child_and_what_it_started(self, tmp_path: Path) -> None:
        child = start(
            tmp_path,
            "import signal, subprocess, sys, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid,"
            " flush=True)\n"
            "time.sleep(60)",
        )
        wait_until(lambda: child.log.read_text().endswith("\n"))
        grandchild = int(child.log.read_text())

        processes.stop([child], patience=0.2)

        assert child.process.returncode == -signal.SIGKILL
        wait_until(lambda: not is_alive(grandchild))

    def test_stopping_lets_a_willing_child_end_in_its_own_way(self, tmp_path: Path) -> None:
        child = start(
            tmp_path,
            "import signal, sys\n"
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
            "print('ready', flush=True)\n"
            "signal.pause()",
        )
        wait_until(lambda: "ready" in child.log.read_text())

        processes.stop([child])

        assert child.process.returncode == 7


class TestStarting:
    """`make demo` as a program, as far as it must get without a database."""

    @staticmethod
    def run(tmp_path: Path, port: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "demo"],
            cwd=ROOT,
            env={**os.environ, "PORT": port, "RECSITE_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_a_taken_port_is_refused_before_anything_starts(self, tmp_path: Path) -> None:
        with socket.create_server((processes.HOST, 0)) as server:
            port = server.getsockname()[1]
            done = self.run(tmp_path, str(port))

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"recsite demo: port {port} is taken by another program (or another demo). "
            f"Stop that one, or choose another port: make demo PORT={port % 65535 + 1}\n"
        )
        assert not (tmp_path / "home").exists()

    @pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
    def test_what_is_not_a_port_is_refused(self, tmp_path: Path, port: str) -> None:
        done = self.run(tmp_path, port)

        assert done.returncode == 1
        assert done.stderr == (
            f"recsite demo: PORT={port} is not a port. Give a number from 1 to 65535.\n"
        )


def test_the_last_words_have_three_calls_and_a_login(tmp_path: Path) -> None:
    kept = {"publishable": "pk_1", "secret": "sk_1", "password": "p4ss"}
    remembered = memory.Memory(tmp_path, "a", [], kept)

    said = words.ready(remembered, port=8123, seconds=4.4)

    assert said.count("curl ") == 3
    assert "http://127.0.0.1:8123/v1/docs" in said
    assert "http://127.0.0.1:8123/admin/   admin / p4ss" in said
    click = next(line for line in said.splitlines() if "/v1/events" in line)
    assert json.loads(click.split("'")[5])["item_id"] == words.DIAPERS


def compose() -> list[str] | None:
    """The compose client: docker's plugin, or the program that it replaced."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run(
                [*command, "version"], capture_output=True, check=False
            ).returncode
        ):
            return command
    return None


def test_the_compose_file_is_valid() -> None:
    command = compose()
    if command is None:
        pytest.skip("neither `docker compose` nor docker-compose is installed")
    done = subprocess.run(
        [*command, "-f", "docker-compose.yml", "config", "-q"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
