"""`make quality`: its sets, its judge, and peers on facts whose answer is known."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError

from bench.quality import (
    gathered,
    judged,
    lists,
    off,
    peers,
    places,
    rankers,
    reach,
    sets,
    without,
)
from bench.quality.__main__ import PEERS, Line, _spent, _table
from bench.quality.judged import Figures, Wanted
from bench.quality.lists import Lists
from bench.quality.ours import ROOT
from bench.quality.reach import Place, Shop
from bench.quality.sets import Facts, Kept
from catalog.models import Scenario
from catalog.scenarios import SOURCES
from recommend.evaluation.intervals import Estimate
from recommend.ranker import training
from recommend.ranker.examples import PARTS
from tests.given import advance, given, item, view
from tests.test_ranker import drawn

CUT: Final = datetime(2026, 3, 1, tzinfo=UTC)


def facts(*happened: tuple[str, str, float, str]) -> Facts:
    """(user, item, days from the cut, kind)."""
    events = pa.table({
        "event": [kind for *_, kind in happened],
        "occurred_at": pa.array([CUT + timedelta(days=d) for _, _, d, _ in happened],
                                pa.timestamp("us", tz="UTC")),
        "user_id": [user for user, *_ in happened],
        "item_id": [item for _, item, *_ in happened],
    })  # fmt: skip
    return sets._cut(events, pa.table({"item_id": sorted({i for _, i, *_ in happened})}), CUT)


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def kept(found: Facts | None) -> Kept | None:
        monkeypatch.setitem(sets.SETS, "shop", (lambda _: found, True))
        return sets.keep("shop", tmp_path / "shop", None)

    return kept


def test_purchases_after_the_cut_judge_and_nothing_of_them_is_known(keep: Any) -> None:
    kept = keep(facts(
        ("ann", "mug", -2, "purchase"), ("ann", "mug", 1, "purchase"), ("ann", "cup", 2, "purchase"),
        ("ann", "cup", 3, "purchase"), ("ann", "jug", 2, "view_item"), ("new", "mug", 1, "purchase"),
    ))  # fmt: skip
    assert pq.read_table(kept.folder / "events.parquet").num_rows == 1
    assert pq.read_table(kept.folder / "users.parquet")["user_id"].to_pylist() == ["ann"]
    assert judged.wanted(kept, "any") == {"ann": {"mug", "cup"}}
    assert judged.wanted(kept, "new") == {"ann": {"cup"}}


def test_a_set_whose_data_is_absent_is_none(keep: Any) -> None:
    assert keep(None) is None


def test_the_demo_s_year_is_always_there(tmp_path: Path) -> None:
    kept = sets.keep("complete_journey", tmp_path, None)
    assert kept is not None
    assert pq.read_metadata(kept.folder / "users.parquet").num_rows > 2_000
    assert sets.keep("online_retail", tmp_path, None) is None


def test_who_has_no_list_has_an_empty_one(tmp_path: Path) -> None:
    shown = pa.table({
        "user_id": ["ann", "ann"], "rank": [2, 1], "item_id": ["mug", "cup"],
    })  # fmt: skip
    pq.write_table(shown, tmp_path / "any.parquet")
    wanted: Wanted = {"ann": {"cup"}, "bob": {"mug"}}
    found = judged.judge(tmp_path / "any.parquet", wanted)
    assert (found.ndcg.mean, found.hit_rate) == (0.5, 0.5)


def shop_of_two_tastes() -> list[tuple[str, str, float, str]]:
    """Half the shoppers buy lamps, half jugs; before the cut each lacks one that they buy then."""
    goods = [f"{taste}{n}" for taste in ("lamp", "jug") for n in range(12)]
    happened = []
    for who in range(60):
        own = goods[12 * (who % 2) : 12 * (who % 2) + 12]
        for n, good in enumerate(own):
            at = 1.0 if n == who % 12 else -60 + 5 * n + who / 100
            happened.append((f"u{who}", good, at, "purchase"))
    return happened


def asked_of(peer: str, kept: Kept, out: Path) -> dict[str, Any]:
    """The stand-alone script, in this environment: it needs no more for these peers."""
    out.mkdir()
    command = [sys.executable, peers.__file__, peer, kept.folder, out, "1", "any", "new"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    found: dict[str, Any] = json.loads((out / "said.json").read_text())
    return found


@pytest.mark.parametrize("peer", ["item-kNN", "EASE"])
def test_a_peer_finds_what_those_of_the_same_taste_have(
    peer: str, keep: Any, tmp_path: Path
) -> None:
    kept = keep(facts(*shop_of_two_tastes()))
    told = asked_of(peer, kept, tmp_path / "out")
    assert told["tried"] == told["of"] == len(peers.PEERS[peer][1])
    new = judged.judge(tmp_path / "out" / "new.parquet", judged.wanted(kept, "new"))
    assert new.ndcg.mean == 1


def test_own_frequency_is_what_each_bought_most(keep: Any, tmp_path: Path) -> None:
    often = [("ann", "mug", -float(n), "purchase") for n in range(1, 30)]
    rest = [("bob", f"x{n}", -float(n), "purchase") for n in range(1, 20)]
    kept = keep(facts(*often, *rest, ("ann", "cup", -5, "purchase"), ("ann", "mug", 2, "purchase")))
    asked_of("own frequency", kept, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "any.parquet").to_pylist()
    assert [r["item_id"] for r in rows if r["user_id"] == "ann"][:2] == ["mug", "cup"]
    new = pq.read_table(tmp_path / "out" / "new.parquet").to_pylist()
    assert not {"mug", "cup"} & {r["item_id"] for r in new if r["user_id"] == "ann"}


def test_own_frequency_shows_what_was_bought_long_ago_before_what_is_popular(
    keep: Any, tmp_path: Path
) -> None:
    popular = [(f"u{n}", f"x{n % 12}", -1.0 - n, "purchase") for n in range(90)]
    kept = keep(facts(*popular, ("ann", "mug", -900, "purchase"), ("ann", "mug", 2, "purchase")))
    asked_of("own frequency", kept, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "any.parquet").to_pylist()
    assert next(r["item_id"] for r in rows if r["user_id"] == "ann") == "mug"


def test_own_frequency_breaks_ties_by_what_is_popular_however_short_its_memory() -> None:
    at = np.array([0, 0, 1_000, 1_000, 1_000]) * peers.DAY
    found = peers.Facts(np.array([0, 0, 1, 2, 3]), np.array([0, 1, 1, 1, 2]), at, np.ones(5), 4, 4)
    first, *_ = peers.own_frequency(found, days=7)(np.array([0, 1])).astype(np.float32)
    assert np.argsort(-first).tolist() == [1, 0, 2, 3]


def test_who_only_gave_things_back_has_no_list_of_a_peer(keep: Any, tmp_path: Path) -> None:
    kept = keep(facts(
        *shop_of_two_tastes(), ("bob", "jug1", -3, "refund"), ("bob", "jug2", 2, "purchase")
    ))  # fmt: skip
    assert "bob" in pq.read_table(kept.folder / "users.parquet")["user_id"].to_pylist()
    asked_of("popular", kept, tmp_path / "out")
    shown = set(pq.read_table(tmp_path / "out" / "any.parquet")["user_id"].to_pylist())
    assert len(shown) == 60
    assert "bob" not in shown


def test_what_each_chose_from_and_how_long_it_took_stands_beside_it() -> None:
    told = {"lists": {"any": {"settings": {"days": 30, "K": 5}}}, "tried": 4, "of": 6,
            "choosing": 61.2, "seconds": 80.4}  # fmt: skip
    assert _spent("any", told) == "days 30, K 5; 4 of 6 tried in 61 s, 80 s in all"
    assert _spent("any", {"seconds": 300.4}) == "as `refresh` chooses; 300 s"


def test_a_peer_s_history_counts_each_item_once_and_the_newest_most() -> None:
    found = peers.Facts(
        np.array([0, 0, 0, 1]), np.array([0, 1, 0, 2]), np.array([1, 2, 3, 1]), np.ones(4), 2, 3
    )
    assert peers._by_recency(found, 0.5).tolist() == [0, 0.5, 1, 1]


def test_the_peers_of_the_table_are_those_that_there_are() -> None:
    assert tuple(peers.PEERS) == PEERS
    assert all(1 <= len(settings) <= peers.TRIALS for _, settings in peers.PEERS.values())


def test_the_best_stands_first_and_who_has_no_list_last() -> None:
    lines = [
        Line("slow", None, "no lists after 30 minutes"),
        Line("good", Figures(Estimate(0.2, 5, (0.1, 0.3)), 0.4), "days 7"),
        Line("best", Figures(Estimate(0.3, 5, (0.2, 0.4)), 0.5), ""),
    ]
    _, _, *rows = _table("shop", "any", {"ann": {"mug"}}, lines)
    assert [row.split()[0] for row in rows] == ["best", "good", "slow"]
    assert rows[2].endswith("no lists after 30 minutes")


# ── without ────────────────────────────────────────────────────────────────────────────────


def test_what_is_lost_without_a_source_is_the_mean_over_shoppers(tmp_path: Path) -> None:
    """Ann's mug and bob's jug stand first; without neighbours bob's stands second."""
    for name, of_bob in (("none", ["jug", "cup"]), ("viewed", ["cup", "jug"]), ("led", ["jug"])):
        users, items = ["ann", *("bob" for _ in of_bob)], ["mug", *of_bob]
        ranks = [1, *range(1, len(of_bob) + 1)]
        listed = pa.table({"user_id": users, "rank": ranks, "item_id": items})
        pq.write_table(listed, tmp_path / f"{name}-new.parquet")
    pq.write_table(listed, tmp_path / "viewed-any.parquet")
    rows = list(without.table("shop", "new", tmp_path, {"ann": {"mug"}, "bob": {"jug"}}))
    assert rows[0].endswith("new items, 2 shoppers: NDCG@10 1.0000")
    lost = (1 - 1 / np.log2(3)) / 2
    assert [row.split() for row in rows[2:]] == [
        ["viewed", f"{1 - lost:.4f}", f"+{lost:.4f}", "±", f"{1.96 * lost:.4f}"],
        ["led", "1.0000", "+0.0000", "±", "0.0000"],
    ]


WEIGHTS: Final = dict.fromkeys(SOURCES, 0.0) | {"popular": 0.5, "trending": 0.2}


@pytest.fixture
def asked(committed: None, tmp_path: Path) -> Path:
    """A shop whose home page says what is popular and trending, and whom it is asked for."""
    item("mug")
    given(view("ann", "mug"))
    advance()
    Scenario.objects.filter(name="home").update(**WEIGHTS)
    (tmp_path / "users.csv").write_text("user_id\nbob\n")
    return tmp_path / "users.csv"


def weights_of_home() -> dict[str, float]:
    weights: dict[str, float] = Scenario.objects.filter(name="home").values(*SOURCES).get()
    return weights


def test_lists_are_served_with_each_source_off_and_the_weights_are_then_as_they_were(
    asked: Path, tmp_path: Path
) -> None:
    off.write(asked, tmp_path, ["any"])
    (whole,) = pq.read_table(tmp_path / "none-any.parquet").to_pylist()
    (left,) = pq.read_table(tmp_path / "popular-any.parquet").to_pylist()
    assert (round(whole["score"], 6), round(left["score"], 6)) == (0.7, 0.2)
    assert {each.name for each in tmp_path.glob("*.parquet")} == {
        "none-any.parquet", "popular-any.parquet", "trending-any.parquet",
    }  # fmt: skip
    assert weights_of_home() == WEIGHTS


def test_the_weights_are_as_they_were_also_where_lists_cannot_be_written(
    asked: Path, tmp_path: Path
) -> None:
    (tmp_path / "popular-any.parquet").mkdir()
    with pytest.raises((CommandError, OSError)):
        off.write(asked, tmp_path, ["any"])
    assert (tmp_path / "none-any.parquet").is_file()
    assert weights_of_home() == WEIGHTS


# ── rankers ────────────────────────────────────────────────────────────────────────────────


def test_lists_are_read_as_they_were_written(tmp_path: Path) -> None:
    drawn_ones = drawn(3)
    lists.write(tmp_path / "lists.npz", drawn_ones)
    found = lists.read(tmp_path / "lists.npz")
    assert found.size.tolist() == [20, 20, 20]
    assert found.person.tolist() == [0, 1, 2]
    assert found.cut.tolist() == [0, 0, 0]
    for told, wanted, each in zip(
        found.parts(found.told), found.parts(found.wanted), drawn_ones, strict=True
    ):
        assert (told == each.told).all()
        assert (wanted == each.wanted).all()


def test_rankers_are_judged_by_the_lists_that_none_learned_from() -> None:
    """Of the one list that is held out the second candidate was bought, and one that is not there."""
    found = Lists(
        np.zeros((5, 1), np.float32), np.array([1, 0, 0, 1, 0], bool), np.array([2, 3]),
        np.array([0, 1]), np.array([1, 5]), np.array([False, False]), np.array([0, 0]),
    )  # fmt: skip
    is_held = found.person % PARTS == 0
    best = 1 + 1 / np.log2(3)
    for scores, gain in (([0, 1, 0], 1 / best), ([2, 1, 0], 1 / np.log2(3) / best)):
        assert rankers._ndcg(found, is_held, [np.array(scores)]) == pytest.approx([gain])


def test_each_list_is_held_out_with_its_shopper_and_with_its_weeks(tmp_path: Path) -> None:
    cuts = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 1)]
    cut_off = [replace(each, cut=cut) for each, cut in zip(drawn(3), cuts, strict=True)]
    lists.write(tmp_path / "lists.npz", cut_off)
    parts = rankers._parts(lists.read(tmp_path / "lists.npz"))
    assert {by: part.tolist() for by, part in parts.items()} == {
        "shoppers": [0, 1, 2], "weeks": [0, 1, 0],
    }  # fmt: skip


def test_a_network_is_taught_by_the_lists_that_are_not_held_out(tmp_path: Path) -> None:
    lists.write(tmp_path / "lists.npz", drawn(60))
    found = lists.read(tmp_path / "lists.npz")
    is_held = found.person % PARTS == 0
    made = training.train([each for each in drawn(60) if each.person % PARTS])
    of_own = [made.scores(each.told) for each in drawn(60) if each.person % PARTS == 0]
    for own, scored in zip(of_own, rankers._network(found, is_held), strict=True):
        assert (own == scored).all()


# ── reach ──────────────────────────────────────────────────────────────────────────────────

TEN: Final = Shop(
    wanted={"ann": {"a", "x"}, "bob": {"b"}}, items=10, hidden={"ann": {"c"}, "bob": set()},
    known_by={"a": 3, "b": 2, "c": 5},
)  # fmt: skip


def test_what_a_shop_knew_of_what_was_then_taken(keep: Any) -> None:
    kept = keep(facts(
        ("ann", "mug", -2, "purchase"), ("bob", "mug", -2, "view_item"), ("bob", "mug", -1, "purchase"),
        ("bob", "jug", -1, "purchase"), ("ann", "mug", 1, "purchase"), ("ann", "jug", 1, "purchase"),
        ("bob", "cup", 1, "purchase"),
    ))  # fmt: skip
    wanted = {"ann": {"jug"}, "bob": {"cup"}}
    known_by = {"mug": 2, "jug": 1}
    assert reach.shop_of(kept, "new") == Shop(
        wanted, 3, {"ann": {"mug"}, "bob": {"mug", "jug"}}, known_by
    )
    assert reach.shop_of(kept, "any").size("bob") == 3
    assert reach.shop_of(kept, "new").size("bob") == 1


def test_shares_are_of_all_that_was_taken_whoever_took_it() -> None:
    assert reach.shares(TEN) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_at_best_all_that_was_known_stands_first_and_the_rest_in_no_order() -> None:
    assert reach.ideal(TEN, 1) == {
        "ann": {"a": Place(0, 0), "x": Place(2, 6)}, "bob": {"b": Place(0, 0)},
    }  # fmt: skip
    assert reach.ideal(TEN, 3) == {
        "ann": {"a": Place(0, 0), "x": Place(1, 7)}, "bob": {"b": Place(2, 7)},
    }  # fmt: skip


def test_behind_a_list_stands_what_is_popular_without_what_is_in_it_or_hidden() -> None:
    shown = pa.table({"user_id": ["ann", "ann"], "rank": [2, 1], "item_id": ["e", "d"]})
    found = reach.behind(TEN, shown, ["c", "d", "a", "b"])
    assert found == {
        # d, e, a, b; behind them stand five in one place.
        "ann": {"a": Place(2, 0), "x": Place(4, 4)}, "bob": {"b": Place(3, 0)},
    }  # fmt: skip


def test_recall_is_of_the_first_five_hundred_and_of_equals_only_where_all_are() -> None:
    found = [Place(499, 0), Place(0, 499), Place(0, 500), Place(500, 0)]
    assert reach.recall(found) == 0.5
    assert reach.recall([Place(n, 0) for n in range(600)]) == 1


def test_pairs_are_in_order_where_what_was_taken_stands_above() -> None:
    """Of two taken among five there are six pairs with the others."""
    assert reach.auc([Place(0, 0), Place(1, 0)], 5) == 1
    assert reach.auc([Place(3, 0), Place(4, 0)], 5) == 0
    assert reach.auc([Place(0, 0), Place(2, 0)], 5) == 5 / 6
    assert reach.auc([Place(0, 4), Place(0, 4)], 5) == 0.5


def test_what_has_no_place_may_stand_anywhere() -> None:
    assert reach.figures(TEN, {}) == (1.0, 0.5)


def test_the_farthest_stands_first_under_what_could_be_had() -> None:
    lines = {"near": {"bob": {"b": Place(600, 0)}}, "far": {"bob": {"b": Place(0, 0)}}}
    shop = Shop({"bob": {"b"}}, 1_000, {"bob": set()}, {"b": 3})
    _, said, _, *rows = reach.table("shop", "any", shop, lines)
    assert said == (
        "what was taken: 0.0% had been known by nobody, 0.0% by one or two shoppers, 100.0% by more"
    )
    assert [row.split() for row in rows[-2:]] == [
        ["far", "1.000", "1.000"],
        ["near", "0.000", "0.399"],
    ]


def test_a_peer_s_places_are_those_of_its_lists(keep: Any, tmp_path: Path) -> None:
    """Whoever likes lamps buys the one that is missing; what they know has no place among new ones."""
    kept = keep(facts(*shop_of_two_tastes()))
    command = [
        sys.executable,
        "-m",
        places.__name__,
        "EASE",
        kept.folder,
        tmp_path,
        "1",
        *kept.lists,
    ]
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=ROOT)
    found = reach._placed(tmp_path / "new.parquet")
    assert len(found) == 60
    assert found["u0"] == {"lamp0": Place(0, 0)}
    every = reach._placed(tmp_path / "any.parquet")
    assert all(place.above < 12 for taken in every.values() for place in taken.values())


def test_places_are_counted_with_what_is_equal() -> None:
    above, equal = places._among(np.array([5.0, 3, 3, 1]), np.array([5.0, 3, 1]))
    assert (above.tolist(), equal.tolist()) == ([0, 1, 3], [0, 1, 0])


def test_candidates_are_written_in_the_form_of_lists(tmp_path: Path) -> None:
    gathered.write(tmp_path / "any.parquet", ["ann", "bob", "cid"], [["b", "a"], [], ["c"]])
    assert pq.read_table(tmp_path / "any.parquet").to_pylist() == [
        {"user_id": "ann", "rank": 1, "item_id": "b"}, {"user_id": "ann", "rank": 2, "item_id": "a"},
        {"user_id": "cid", "rank": 1, "item_id": "c"},
    ]  # fmt: skip
