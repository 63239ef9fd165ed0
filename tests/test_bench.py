"""The bench: its arithmetic, and that every measurement runs; never how fast anything is."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection

from behavior import history
from bench import __main__ as bench
from bench import fresh, ground, loading, log, scale, stack
from bench.figures import Figure, at_least, at_most, number, percentile, table
from bench.fresh import Sent, Snapshot, Watch
from bench.invented import SPAN, Invention, tables
from bench.sizes import SMOKE
from bench.traffic import Client, Refused, Shop, happenings
from recsite.files import read_rows
from tests.given import advance, ask, given, item, minute, view

LINES = 600

# Names instead of numbers, times instead of ids: what two roads into the log must agree on.
LOG = """
SELECT occurred_at, kind, subject, item_id, quantity, price, detail FROM event_log
ORDER BY occurred_at, subject, item_id, kind
"""
STATE = """
SELECT s.key, i.key, kinds, uuid_extract_timestamp(last), bought FROM user_item
JOIN subject_key AS s ON s.subject = person JOIN item_key AS i USING (item) ORDER BY 1, 2
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Thirty shoppers and forty items: a history as the demo writes it."""
    draw = random.Random(7)
    rows = [
        {
            "event": "purchase",
            "occurred_at": minute(n),
            "user_id": str(draw.randrange(30)),
            "item_id": f"i{draw.randrange(40)}",
            "quantity": 1,
            "price": 2.5,
            "order_id": str(n // 5),
        }
        for n in range(LINES)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "events.parquet")
    return Shop.read(tmp_path)


@pytest.fixture
def stocked(committed: None, shop: Shop) -> Iterator[Shop]:
    """The shop's history in the log and folded, its items in the catalogue."""
    for number_ in range(40):
        item(f"i{number_}", title=f"Thing {number_}")
    ground.hush()
    given(*(view(user, item_, at=n) for n, (user, item_) in enumerate(_bought(shop))))
    advance()
    yield shop
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM recsite_apikey WHERE label = 'bench'")


def _bought(shop: Shop) -> list[tuple[str, str]]:
    rows = pq.read_table(shop.history).to_pylist()
    return [(row["user_id"], row["item_id"]) for row in rows]


class TestFigures:
    def test_a_percentile_is_one_of_the_values(self) -> None:
        values = [float(n) for n in range(100, 0, -1)]

        assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
        assert percentile([3.0], 0.5) == 3

    @pytest.mark.parametrize(
        ("value", "written"),
        [(0.0046, "0.0046"), (0.1234, "0.12"), (8, "8"), (9.876, "9.88"), (98.76, "98.8"),
         (1234.5, "1,234")],
    )  # fmt: skip
    def test_numbers_keep_the_digits_that_mean_something(self, value: float, written: str) -> None:
        assert number(value) == written

    def test_a_promise_is_judged_on_the_value_before_rounding(self) -> None:
        assert at_most(4).is_met(4)
        assert not at_most(4).is_met(4.0001)
        assert at_least(400).is_met(400)
        assert not at_least(400).is_met(399.9)

    def test_the_table(self) -> None:
        figures = [
            Figure("slow", 4.5, "ms", at_most(4), 9.0, "no-op"),
            Figure("fast enough", 400, "/s", at_least(400)),
            Figure("merely known", 12, "MB"),
        ]

        assert table([("Lists", figures)]).splitlines() == [
            "                measured  promised          ratio",
            "",
            "Lists",
            "  slow          4.50 ms   ≤ 4       MISSED  9 × no-op",
            "  fast enough   400 /s    ≥ 400     met",
            "  merely known  12 MB",
        ]


class TestTraffic:
    def test_the_same_seed_is_the_same_shoppers(self, shop: Shop) -> None:
        def drawn(seed: int) -> list[dict[str, Any]]:
            events = happenings(shop, seed, since=minute(0), gap=timedelta(seconds=1))
            return list(islice(events, 50))

        assert drawn(1) == drawn(1) != drawn(2)
        assert [event["occurred_at"] for event in drawn(1)[:2]] == [
            minute(0).isoformat(), minute(1 / 60).isoformat()
        ]  # fmt: skip


class TestFreshness:
    @pytest.mark.parametrize(("xid", "seen"), [(9, True), (10, False), (11, True), (12, False)])
    def test_a_snapshot_has_seen_what_was_committed(self, xid: int, seen: bool) -> None:
        assert Snapshot.read("10:12:10").has_seen(xid) is seen

    def test_a_lag_ends_with_the_first_look_that_found_it(self) -> None:
        watch = Watch()
        watch.times["covisit"] = [1.0, 2.0, 3.5]
        watch.snapshots["covisit"] = [Snapshot.read(s) for s in ("5:5:", "6:8:6", "9:9:")]

        assert watch.lag("covisit", Sent(1.5, 7)) == 0.5
        assert watch.lag("covisit", Sent(1.5, 6)) == 2.0

    def test_without_a_worker_it_gives_up_with_a_sentence(
        self, committed: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fresh, "PATIENCE", 0.1)

        with pytest.raises(fresh.NeverFresh, match="no worker folded transaction 7 in"):
            fresh.look_until_seen(Watch(), 7)


class TestGround:
    def test_a_run_is_on_a_copy(self, stocked: Shop) -> None:
        before = connection.settings_dict["NAME"]

        with ground.copied():
            assert ask("SELECT current_database()") == [(ground.COPY,)]
            given(view("u", "i1", at=LINES))
            assert ask("SELECT count(*) FROM event WHERE kind = 1") == [(LINES + 1,)]

        assert connection.settings_dict["NAME"] == before
        assert ask("SELECT count(*) FROM event WHERE kind = 1") == [(LINES,)]
        assert ask("SELECT count(*) FROM pg_database WHERE datname = %s", ground.COPY) == [(0,)]

    def test_a_second_bench_in_the_same_folder_is_refused(self, tmp_path: Path) -> None:
        with ground.alone(tmp_path / "home"), pytest.raises(ground.InUse, match="already runs"):
            with ground.alone(tmp_path / "home"):
                pass

    def test_a_kept_shop_stays_only_while_the_schema_does(self, tmp_path: Path) -> None:
        home = tmp_path / "home"

        def is_kept(*, fresh: bool) -> bool:
            (home / "kept").touch()
            ground.keep_or_clear(home, fresh=fresh)
            return (home / "kept").exists()

        ground.keep_or_clear(home, fresh=False)
        assert is_kept(fresh=False)
        assert not is_kept(fresh=True)
        (home / ground.SCHEMA).write_text("0001_initial.py")
        assert not is_kept(fresh=False)
        assert is_kept(fresh=False)


def test_every_measurement_of_a_shop_runs(stocked: Shop, tmp_path: Path) -> None:
    sections = dict(bench.measure(stocked, SMOKE, tmp_path))

    assert {title: len(figures) > 0 for title, figures in sections.items()} == dict.fromkeys(
        [
            "Lists",
            "Sources",
            "Freshness at 50 events/s",
            "Ingest over HTTP, while a worker folds",
            "Models",
            "Folds",
            "Memory",
        ],
        True,
    )
    every = {figure.name: figure.value for figures in sections.values() for figure in figures}
    assert [name for name, value in every.items() if value <= 0] == []
    assert every["next list of that shopper names the click"] == 100


def test_an_import_is_measured_on_empty_tables(committed: None, shop: Shop, tmp_path: Path) -> None:
    with ground.empty():
        figures = log.measure_append(shop, SMOKE, tmp_path)
        assert ask("SELECT count(*) FROM event") == [(LINES,)]

    assert [(figure.unit, figure.value > 0) for figure in figures] == [
        ("rows/s", True), ("times", True), ("rows/s", True), ("bytes", True)
    ]  # fmt: skip
    assert ask("SELECT count(*) FROM event") == [(0,)]


def test_the_scale_of_two_short_logs_runs(committed: None) -> None:
    figures = {figure.name: figure for figure in scale.measure(SMOKE)}

    assert [name for name, figure in figures.items() if figure.value <= 0] == []
    assert figures["behind 3,000 ÷ behind 1,000"].unit == "times"
    assert figures["a person with 100 events erased"].target is None


WHO_DID_WHAT: Final = ["event", "occurred_at", "user_id", "item_id"]


class TestInvention:
    """A history out of a seed, and its two roads into the log."""

    WANTED = Invention(2_000, 5, minute(0), heavy=2, heavy_events=150)

    def test_the_same_seed_is_the_same_history(self) -> None:
        def made(wanted: Invention) -> pa.Table:
            return pa.concat_tables(tables(wanted))

        assert made(self.WANTED).equals(made(self.WANTED))
        assert not made(self.WANTED).equals(made(replace(self.WANTED, seed=6)))

    def test_a_history_is_in_order_within_two_years_and_all_of_the_names_given(self) -> None:
        rows = pa.concat_tables(tables(self.WANTED)).to_pylist()
        times = [row["occurred_at"] for row in rows]

        assert len(rows) == 2_000
        assert times == sorted(times)
        assert minute(0) - SPAN <= times[0] < times[-1] <= minute(0)
        assert {row["user_id"] for row in rows} <= set(self.WANTED.users())
        assert {row["item_id"] for row in rows} <= set(self.WANTED.items())
        assert Counter(row["user_id"] for row in rows)["h1"] == 150
        assert {row["event"] for row in rows if row["order_id"]} == {"purchase"}

    def test_of_two_shops_in_one_log_each_is_as_it_is_alone(self) -> None:
        far = Invention(1_000, 6, minute(0), street="far-")
        both = pa.concat_tables(tables(self.WANTED, far)).to_pylist()

        assert [row["occurred_at"] for row in both] == sorted(row["occurred_at"] for row in both)
        for one, is_far in ((self.WANTED, False), (far, True)):
            alone = pa.concat_tables(tables(one)).select(WHO_DID_WHAT).to_pylist()
            ours = [row for row in both if row["user_id"].startswith("far-") is is_far]
            assert alone == [{name: row[name] for name in WHO_DID_WHAT} for row in ours]

    def test_the_short_road_gives_what_an_import_gives(
        self, committed: None, tmp_path: Path
    ) -> None:
        both = self.WANTED, Invention(1_000, 6, minute(0), street="far-")
        pq.write_table(pa.concat_tables(tables(*both)), tmp_path / "events.parquet")
        with ground.empty():
            ground.hush()
            loading.load(*both)
            loaded = ask(LOG), ask(STATE)
        with ground.empty():
            ground.hush()
            for _ in history.import_rows(read_rows(tmp_path / "events.parquet")):
                pass
            imported = ask(LOG), ask(STATE)

        assert loaded == imported
        assert len(loaded[0]) == 3_000


class TestClient:
    @pytest.fixture
    def connect(self, committed: None, tmp_path: Path) -> Iterator[Callable[[str], Client]]:
        with stack.web(tmp_path) as (_, port):
            yield partial(Client, port)

    def test_what_is_not_a_success_ends_the_bench(self, connect: Callable[[str], Client]) -> None:
        with connect("pk_unknown") as client:
            with pytest.raises(Refused, match=r"(?s)the stack answered HTTP/1.1 401 .*wrong_key"):
                client.get("/v1/noop")

    def test_one_connection_serves_many_calls(
        self, connect: Callable[[str], Client], stocked: Shop
    ) -> None:
        from recsite import keys

        with connect(keys.create("bench", "publishable")) as client:
            assert [orjson.loads(client.get("/v1/noop")) for _ in range(3)] == [{"ok": True}] * 3
            posted = client.post(
                "/v1/events",
                {"event": "view_item", "user_id": "u", "item_id": "i1",
                 "occurred_at": datetime.now(UTC).isoformat()},
            )  # fmt: skip
            assert orjson.loads(posted)["accepted"] == 1
