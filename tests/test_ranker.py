"""The ranker: what it is told, what it learns, when it serves, and that it can be proven."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pytest
import torch
from django.test import Client
from sqlalchemy import text

from behavior.events import Event
from catalog import changes
from catalog.feed import ItemContent
from catalog.models import Scenario
from catalog.scenarios import HOME
from recommend import candidates, learn, receipts
from recommend.blend import Heard
from recommend.candidates import Wanted
from recommend.pipeline import Ask, compose, serve
from recommend.projections.popularity import EVERYTHING
from recommend.ranker import examples, features, network, store, training
from recommend.ranker.examples import Example
from recommend.ranker.features import HALF_LIVES, RAW, matrix
from recommend.ranker.network import Network
from recommend.ranker.store import Judged
from recommend.replay import replay
from recommend.sources import NAMES
from recsite.db import connection, one_snapshot
from tests.given import advance, ask, given, hurry, item, minute, purchase, view

NOW: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR: Final = int(NOW.timestamp() // 3600)
DAY: Final = 24 * 60
NOTHING: Final[list[float | None]] = [None] * len(RAW)


Row = list[float | None]


def told(**known: float) -> Row:
    """A row of RAW in which only this is known."""
    return [known.get(name) for name in RAW]


def shares(*of: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The first source's shares, a row each."""
    return np.array([[share, *[0.0] * (len(NAMES) - 1)] for share in of])


# ── features ───────────────────────────────────────────────────────────────────────────────


def test_whatever_is_unknown_is_a_number() -> None:
    made = matrix(shares(0.5, 1.0), [NOTHING, NOTHING], HOUR)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()


def test_a_list_of_nothing_has_no_rows() -> None:
    assert matrix(shares().reshape(0, len(NAMES)), [], HOUR).shape[0] == 0


def test_sums_that_were_taken_back_beyond_nothing_are_numbers() -> None:
    made = matrix(shares(1.0), [told(seen=-3.0, bought=-1.0, gap=0.0, times=1.0)], HOUR)
    assert np.isfinite(made).all()


def test_the_hour_of_asking_moves_only_ages() -> None:
    row = told(times=2, first=HOUR - 48, last=HOUR - 24, decayed_30=1.5)
    then, later = (matrix(shares(1.0), [row], at) for at in (HOUR, HOUR + 24 * 7))
    assert (then != later).any()
    assert (then[:, : len(NAMES)] == later[:, : len(NAMES)]).all()


def test_what_was_bought_more_often_than_the_rest_is_the_whole_of_the_best() -> None:
    rows = [
        told(times=4, **dict.fromkeys([f"decayed_{d}" for d in HALF_LIVES], 2.0)),
        told(times=2),
    ]
    of_best = matrix(shares(0.0, 0.0), rows, HOUR)
    assert (of_best[0] >= of_best[1]).sum() > (of_best[0] < of_best[1]).sum()


def test_a_rank_is_of_how_many_its_source_says_more() -> None:
    made = matrix(shares(0.2, 1.0, 0.0, 0.2), [NOTHING] * 4, HOUR)
    ranks = made[:, len(NAMES) : 2 * len(NAMES)]
    np.testing.assert_array_equal(ranks[:, 0], np.log1p([1, 0, 3, 1]).astype(np.float32))
    assert not ranks[:, 1:].any()


def test_a_source_that_is_silenced_is_as_if_it_had_said_nothing() -> None:
    chance = np.random.default_rng(7)
    said = chance.random((6, len(NAMES)))
    # The third is what only these two propose.
    said[2, [n for n in range(len(NAMES)) if n not in {1, 4}]] = 0
    quiet = np.delete(said, 2, axis=0)
    quiet[:, [1, 4]] = 0
    raw = [told(score=HOUR / 720 - n, trend=HOUR / 72 - n * n, price=n + 1) for n in range(6)]
    made, is_heard = features.silenced(matrix(said, raw, HOUR), [1, 4])
    np.testing.assert_allclose(made, matrix(quiet, [*raw[:2], *raw[3:]], HOUR), atol=1e-5)
    assert is_heard.tolist() == [True, True, False, True, True, True]


def test_what_only_a_silenced_source_proposed_is_missed() -> None:
    said = np.zeros((3, len(NAMES)))
    said[0, 0] = said[1, 4] = said[2, 4] = 1.0
    bought = np.array([True, True, False])
    worth = np.array([1.0, 0.5, 0.25], dtype=np.float32)
    one = Example(
        1,
        matrix(said, [NOTHING] * 3, HOUR),
        bought,
        2,
        Heard(said.astype(np.float32), bought, 2),
        worth=worth,
    )
    left = examples.silenced(one, [4])
    assert (left.wanted.tolist(), left.missed) == ([True], 3)
    assert left.worth is not None
    assert left.worth.tolist() == [1.0]
    # The blend's weights are found on all that was asked for: of the others nobody speaks.
    assert (left.heard.said.sum(axis=1).tolist(), left.heard.missed) == ([1.0, 0.0, 0.0], 2)


# ── network and training ───────────────────────────────────────────────────────────────────


def heard(said: features.Matrix, bought: npt.NDArray[np.bool_]) -> Heard:
    """A blend in which one source spoke."""
    return Heard(np.outer(said, np.eye(len(NAMES))[0]).astype(np.float32), bought, 0)


def drawn(lists: int, seed: int = 0, decides: int = 3) -> list[Example]:
    """Lists of twenty, in which the candidate with the most of one feature was bought."""
    chance = np.random.default_rng(seed)
    made = []
    for person in range(lists):
        rows = chance.normal(size=(20, 6)).astype(np.float32)
        bought = np.arange(20) == rows[:, decides].argmax()
        made.append(Example(person, rows, bought, 0, heard(rows[:, 0], bought)))
    return made


def found(made: Network, lists: list[Example]) -> float:
    """How often the best is what was bought."""
    return float(np.mean([e.wanted[made.scores(e.told).argmax()] for e in lists]))


def test_it_finds_what_decides() -> None:
    made = training.train(drawn(400))
    assert found(made, drawn(100, seed=1)) >= 0.9


def test_networks_that_serve_as_one_give_the_mean_of_their_scores() -> None:
    chance = np.random.default_rng(3)

    def layer(out: int, into: int) -> tuple[features.Matrix, network.Vector]:
        return (
            chance.normal(size=(out, into)).astype(np.float32),
            chance.normal(size=out).astype(np.float32),
        )

    several = [(layer(4, 6), layer(3, 4), layer(1, 3)) for _ in range(3)]
    level = np.zeros(6, dtype=np.float32), np.ones(6, dtype=np.float32)
    (one,) = drawn(1, seed=5)
    alone = np.mean([Network(*level, each).scores(one.told) for each in several], axis=0)
    as_one = Network(*level, training.joined(several)).scores(one.told)
    np.testing.assert_allclose(as_one, alone, rtol=1e-4, atol=1e-5)


def test_what_was_bought_does_not_compete_and_where_all_was_there_is_nothing_to_lose() -> None:
    scores = torch.tensor([2.0, 1.0, 0.0], requires_grad=True)
    lost = training._lost(scores, torch.tensor([0.5, 0.5, 0.0]))
    alone = (np.log1p(np.exp(-2)) + np.log1p(np.exp(-1))) / 2
    assert lost.item() == pytest.approx(alone, rel=1e-6)
    every = training._lost(scores, torch.full((3,), 1 / 3))
    every.backward()  # type: ignore[no-untyped-call]
    assert every.item() == 0
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


def contradicting(many: int, ones: int) -> list[Example]:
    """Lists in which four of the first ten were bought, and such in which one of the others was."""
    rows = np.repeat([[1.0], [-1.0]], 10, axis=0).astype(np.float32)
    bought = [np.isin(np.arange(20), [0, 1, 2, 3]), np.arange(20) == 10]
    chosen = [bought[0]] * many + [bought[1]] * ones
    return [Example(who, rows, of, 0, heard(rows[:, 0], of)) for who, of in enumerate(chosen)]


@pytest.mark.parametrize(("ones", "is_first"), [(16, True), (32, False)])
def test_a_list_in_which_four_times_as_much_was_bought_counts_twice(
    ones: int, is_first: bool
) -> None:
    # Did lists count alike, 16 would outvote ten lists of four; did items, 32 would not.
    first, *_, last = training.train(lists := contradicting(10, ones)).scores(lists[0].told)
    assert (first > last) == is_first


def test_the_same_examples_make_the_same_network() -> None:
    assert training.train(drawn(40)).name == training.train(drawn(40)).name
    assert training.train(drawn(40)).name != training.train(drawn(40, seed=1)).name


def test_it_learns_on_one_core_and_gives_the_others_back() -> None:
    before, during = torch.get_num_threads(), set[int]()

    def noting(epochs: Sequence[int]) -> Iterator[int]:
        for epoch in epochs:
            during.add(torch.get_num_threads())
            yield epoch

    torch.set_num_threads(2)
    try:
        training.train(drawn(10), noting)
        assert (during, torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)


def test_a_candidate_has_the_same_score_in_any_list() -> None:
    made = training.train(drawn(40))
    (one,) = drawn(1, seed=5)
    alone = [made.scores(one.told[n : n + 1])[0] for n in range(20)]
    np.testing.assert_allclose(made.scores(one.told), alone, rtol=1e-5)


def test_a_feature_is_also_heard_as_the_share_that_it_stands_above() -> None:
    """Half of what was learned from is 0; of the rest, up to 16, each value there is as much. What
    has two values only is heard once."""
    rows = np.zeros((32, 2), np.float32)
    rows[16:, 0], rows[:16, 1] = np.arange(1, 17), 1
    (knots,) = training.known(rows)
    assert (knots.of, knots.at[0], knots.share[0]) == (0, 0, 0)
    told = np.array([[-3, 1], [0, 0], [16, 0], [99, 1]], np.float32)
    heard = network.beside(told, (knots,))
    assert heard.tolist() == [[-3, 1, 0], [0, 0, 0], [16, 0, 1], [99, 1, 1]]


def test_a_network_of_before_there_were_knots_is_still_read() -> None:
    made = replace(training.train(drawn(40)), knots=())
    said = orjson.loads(made.as_json())
    del said["knots"]
    assert network.of_json(orjson.dumps(said)).knots == ()


def test_a_network_is_read_as_it_was_written() -> None:
    made = training.train(drawn(40))
    again = network.of_json(made.as_json())
    assert again.name == made.name
    (one,) = drawn(1, seed=5)
    np.testing.assert_allclose(made.scores(one.told), again.scores(one.told), rtol=1e-3, atol=1e-4)


# ── a shop that learns ─────────────────────────────────────────────────────────────────────

STAPLES: Final = 12
SHOPPERS: Final = 60
WEEKS: Final = 20


def staples(have: Callable[..., Event] = purchase) -> None:
    """A shopper looks at gadgets all the time, and buys two staples in turns, one a week: the
    one they bought last is the one that they do not need, and the blend does not know."""
    for number in range(STAPLES):
        item(f"staple{number}", title=f"staple {number}")
        item(f"gadget{number}", title=f"gadget {number}")
    for week in range(WEEKS):
        at = week * 7 * DAY
        given(*(
            event
            for who in range(SHOPPERS)
            for event in (
                have(f"u{who}", f"staple{(who + week % 2) % STAPLES}", at=at + who),
                view(f"u{who}", f"gadget{(who * 7 + week * 11) % STAPLES}", at=at + who + 10),
                view(f"u{who}", f"gadget{(who * 3 + week * 5) % STAPLES}", at=at + who + 20),
            )
        ))  # fmt: skip
    advance()


def without_spaces() -> None:
    """They find each shopper's staple as well, and would leave a ranker nothing to better: a merchant's
    choice, so that tuning does not hear them either."""
    home = Scenario.objects.get(name="home")
    home.factors = home.sequence = 0
    changes.save_scenario(home)


END: Final = minute(WEEKS * 7 * DAY)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of a week, and as many lists as this shop has."""
    monkeypatch.setattr(examples, "LONGEST", timedelta(days=7))
    monkeypatch.setattr(learn, "LEAST", 100)
    hurry(monkeypatch)


live = pytest.mark.usefixtures("committed", "short")


@live
def test_what_was_learned_serves_from_the_next_answer_and_its_receipt_names_it() -> None:
    staples()
    without_spaces()
    before = compose(Ask("home", "user:u1"), END)
    assert before.receipt["ranker"] is None
    done = learn.learn(END)
    assert done.is_live, done.said
    assert done.judged is not None
    assert done.judged.ndcg > done.judged.blend
    slate, after = serve(Ask("home", "user:u1"), END)
    ((name,),) = ask("SELECT name FROM ranker WHERE is_live")
    assert after.receipt["ranker"] == name
    assert dict(receipts.worded(as_kept(slate)))["ranker"] == name
    turn = f"staple{(1 + WEEKS % 2) % STAPLES}"
    assert [shown.item_id for shown in before.items].index(turn) > 0
    assert after.items[0].item_id == turn


@live
def test_a_site_that_sells_nothing_learns_from_what_was_looked_at() -> None:
    staples(have=view)
    done = learn.learn(END)
    assert done.is_live, done.said
    assert done.judged is not None
    assert done.judged.goal == "event"
    assert done.judged.ndcg > done.judged.blend


@live
def test_a_shop_with_purchases_enough_learns_from_them_alone() -> None:
    staples()
    judged = learn.learn(END).judged
    assert judged is not None
    assert judged.goal == "purchase"


def as_kept(slate: str) -> dict[str, Any]:
    ((said,),) = ask(f"SELECT detail->>'receipt' FROM slate WHERE id = '{slate}'")
    kept: dict[str, Any] = orjson.loads(said)
    return kept


@live
def test_a_list_that_a_ranker_ordered_is_made_again_and_so_is_one_of_before_it() -> None:
    staples()
    without_spaces()
    blended, _ = serve(Ask("home", "user:u1"), END)
    assert learn.learn(END).is_live
    ranked, _ = serve(Ask("home", "user:u1"), END)
    for slate in (ranked, blended):
        assert replay(uuid.UUID(slate)).differences == ()


@live
def test_one_that_was_not_good_enough_never_serves() -> None:
    staples()
    with one_snapshot() as inside:
        store.keep(inside, training.train(drawn(40)), Judged(9, 99, 0.2, 0.3, None), END)
        assert store.live(inside) is None
    assert compose(Ask("home", "user:u1"), END).receipt["ranker"] is None


@live
def test_too_few_lists_teach_nothing_and_it_says_so() -> None:
    item("mug", title="mug")
    given(purchase("ann", "mug"), purchase("ann", "mug", at=40 * DAY))
    advance()
    done = learn.learn(minute(50 * DAY))
    assert (done.is_live, done.judged) == (False, None)
    assert done.said.endswith("100 are needed: the blend serves alone")


@live
def test_an_empty_log_teaches_nothing() -> None:
    assert examples.windows(END) == []
    assert not learn.is_due(END)
    assert learn.learn(END).said.startswith("0 lists to learn from")


@live
def test_it_is_due_again_once_the_log_has_gone_on_by_a_day() -> None:
    staples()
    assert learn.is_due(END)
    learn.learn(END)
    assert not learn.is_due(END)
    given(view("u1", "gadget1", at=WEEKS * 7 * DAY + 2 * DAY))
    assert learn.is_due(END + timedelta(days=3))


@live
def test_the_same_log_teaches_the_same() -> None:
    staples()
    learn.learn(END)
    first = ask("SELECT name, judged::text FROM ranker")
    ask("DELETE FROM ranker RETURNING name")
    learn.learn(END)
    assert ask("SELECT name, judged::text FROM ranker") == first


def test_the_admin_shows_each_attempt_with_its_figures(admin_client: Client) -> None:
    good, poor = training.train(drawn(20)), training.train(drawn(20, seed=1))
    with connection() as inside:
        store.keep(inside, good, Judged(36, 144, 0.98, 0.63, None, "event", ("any",)), NOW)
        inside.execute(text(store.GO_LIVE), {"name": good.name})
        store.keep(inside, poor, Judged(36, 144, 0.61, 0.63, 0.98, "purchase", ()), NOW)
    page = admin_client.get("/admin/recsite/rankerrow/").content.decode()
    assert [word in page for word in ("0.9800", "0.6100", "144 lists", "not better")] == [True] * 4
    own = admin_client.get(f"/admin/recsite/rankerrow/{poor.name}/change/").content.decode()
    assert "36 lists of shoppers it had not learned from" in own
    assert [word in own for word in ("no lists", "purchases")] == [True] * 2
    live = admin_client.get(f"/admin/recsite/rankerrow/{good.name}/change/").content.decode()
    assert "lists that show what the shopper knows, too" in live
    assert "whatever shoppers choose to look at" in live


@live
def test_a_history_of_long_ago_is_asked_at_its_own_time() -> None:
    made = store.Ranker("one", training.train(drawn(10)), END, timedelta(days=365))
    later = END + timedelta(days=365)
    assert made.clock(later) == END
    assert made.clock(later + timedelta(hours=5)) == END + timedelta(hours=5)
    assert made.clock(END - timedelta(days=9)) == END - timedelta(days=9)


@live
def test_a_ranker_made_for_other_features_is_never_asked() -> None:
    staples()
    learn.learn(END)
    ask("UPDATE ranker SET features = 'of older code' RETURNING name")
    assert compose(Ask("home", "user:u1"), END).receipt["ranker"] is None


def test_candidates_are_drawn_by_the_weights_that_ship() -> None:
    assert learn.WANTED.weights == [HOME.get(name, 0.0) for name in NAMES]
    assert learn.WANTED.pool == candidates.RANKED
    assert len(features.NAME) == 12


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(("pool", "own"), [(250, 125), (251, 229)])
def test_far_down_what_the_shopper_ever_bought_has_more_turns(pool: int, own: int) -> None:
    """Up to a list of fifty a source proposes half of what is gathered; behind that it is heard ten times
    for once of what is popular."""
    mine, theirs = ([f"{name}{n}" for n in range(size)] for name, size in (("a", 240), ("b", 300)))
    changes.put([ItemContent(item_id) for item_id in (*mine, *theirs)])
    given(purchase("ann", *mine), purchase("bob", *theirs), purchase("cid", *theirs))
    advance()
    heard = [float(name in ("again", "popular")) for name in NAMES]
    wanted = Wanted("user:ann", None, heard, EVERYTHING, 0, pool, ranker="none", now=NOW)
    found = [one.item_id for one in candidates.gather(wanted).candidates]
    assert (len(found), sum(item_id.startswith("a") for item_id in found)) == (pool, own)
