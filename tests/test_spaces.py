"""Spaces: two models of what goes together, where newcomers lie in them, and lists made of them."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from implicit.cpu.als import AlternatingLeastSquares
from implicit.recommender_base import ModelFitError

from behavior.events import Event
from catalog.models import Scenario
from catalog.scenarios import SOURCES
from recommend import embed, erase, evaluate, learn, split, tasks
from recommend.goals import DEED
from recommend.pipeline import Ask, compose, serve
from recommend.replay import replay
from recommend.spaces import (
    deeds,
    factors,
    learning,
    newcomers,
    past,
    retained,
    ridge,
    rows,
    shoppers,
    store,
    training,
)
from recommend.spaces.deeds import Deeds
from recommend.spaces.learning import Course, Judged
from recommend.spaces.rows import Placed
from recommend.spaces.store import FACTORS, KINDS, SEQUENCE
from recsite.db import one_snapshot
from tests.given import (
    advance,
    ask,
    given,
    identify,
    item,
    minute,
    purchase,
    quarantine,
    rate,
    view,
)

DAY: Final = 24 * 60
END: Final = minute(60 * DAY)
GOOD: Final = Judged(100, 0.3, 0.1)

WOOL: Final = tuple(f"wool-{n}" for n in range(15))
IRON: Final = tuple(f"iron-{n}" for n in range(15))
TITLES: Final = {
    "wool": "Soft wool yarn for knitting, colour",
    "iron": "Steel hammer for nails, size",
}


def of_two_kinds(shoppers_: int = 60, each: int = 9) -> list[Event]:
    """Knitters look at wool in the order of its numbers, smiths at iron; each begins somewhere."""
    chance = random.Random(1)
    return [
        view(f"{kind[0][0]}{n}", kind[(begin + step) % len(kind)], at=n * 100 + step * 61)
        for kind in (WOOL, IRON)
        for n in range(shoppers_ // 2)
        for begin in [chance.randrange(len(kind))]
        for step in range(each)
    ]


def deeds_of(*chosen: tuple[int, int]) -> Deeds:
    """(person, item), in the order of time."""
    persons, items = (np.array(column, np.int64) for column in zip(*sorted(chosen), strict=True))
    return Deeds(persons, items, np.ones_like(items), np.arange(len(items)), np.unique(items))


# ── factors ────────────────────────────────────────────────────────────────────────────────


def two_circles() -> Deeds:
    """Persons below 200 choose items 0 to 79, the others 80 to 159."""
    chance = np.random.default_rng(3)
    return deeds_of(*{
        (person, int(chance.integers(80)) + 80 * (person >= 200)) for person in range(400) for _ in range(9)
    })  # fmt: skip


def test_what_one_circle_chooses_lies_together() -> None:
    vectors = factors.learn(two_circles(), 1.0)
    nearest = np.argsort(-(vectors @ vectors.T), axis=1)[:, :5]
    own = (nearest < 80) == (np.arange(160) < 80)[:, None]
    assert own.mean() > 0.98


def test_the_same_deeds_give_the_same_vectors() -> None:
    one, other = (factors.learn(two_circles(), 1.0) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_the_same_deeds_choose_the_same_alpha() -> None:
    assert {factors.choose(two_circles()) for _ in range(2)} <= set(factors.ALPHAS)
    assert len({factors.choose(two_circles()) for _ in range(2)}) == 1


def test_a_sum_of_vectors_folds_a_shopper_in() -> None:
    """x = A⁻¹ Σ y, and y·x = z · Σ z."""
    chosen = np.random.default_rng(0).normal(size=(30, rows.DIMENSIONS)).astype(np.float32)
    inverse = np.linalg.inv(chosen.T @ chosen + factors.HELD_BACK * np.eye(rows.DIMENSIONS))
    folded = chosen @ inverse @ chosen[:4].sum(axis=0)
    rooted = factors._rooted(chosen)
    np.testing.assert_allclose(rooted @ rooted[:4].sum(axis=0), folded, rtol=1e-3, atol=1e-4)


# ── a ridge ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def goods(committed: None) -> None:
    """Thirty things with titles, and what shoppers did."""
    for kind in (WOOL, IRON):
        for n, name in enumerate(kind):
            item(name, title=f"{TITLES[name[:4]]} {n}")
    given(of_two_kinds())
    advance()


@pytest.fixture
def shop(goods: None) -> Iterator[None]:
    """Their texts encoded, and both spaces learned from all of it."""
    Scenario.objects.filter(name="home").update(diversity=0.0, **dict.fromkeys(SOURCES, 0.0))
    list(embed.embed())
    learned = Course()
    for kind in KINDS:
        learned.renew(kind, GOOD, END)
    yield
    shoppers._encoder.cache_clear()


def test_what_may_be_held_out_is_learned_by_an_encoder_that_never_knew_it(goods: None) -> None:
    taught, fresh = Course(), Course()
    with split.before(minute(30 * DAY), "rec_examples") as inside:
        taught.within(inside, minute(30 * DAY))
    with split.without_last_new(DEED, "rec_examples", most=30) as (inside, _):
        taught.anew(inside, END)
        fresh.anew(inside, END)
    ours, theirs = ([made.network for made in each._made[END]] for each in (taught, fresh))
    assert ours[1] is not None
    assert ours == theirs


RETAINED: Final = "SELECT tablename FROM pg_tables WHERE tablename ~ '^(factors|sequence)_item_'"

live = pytest.mark.usefixtures("shop")


def interned() -> dict[str, int]:
    return dict(ask("SELECT key, item FROM item_key"))


def hear(only: str) -> None:
    Scenario.objects.filter(name="home").update(**dict.fromkeys(SOURCES, 0.0) | {only: 1.0})


def listed(user: str, only: str, **more: Any) -> list[str]:
    hear(only)
    wanted = Ask("home", f"user:{user}", **{"exclude_seen": "interacted"} | more)
    return [shown.item_id for shown in compose(wanted, END).items]


@live
def test_a_newcomer_is_placed_beside_its_likes_by_its_text() -> None:
    item("new wool", title=f"{TITLES['wool']} 99")
    advance("content")
    list(embed.embed())
    given(view("newton", "wool-3"))
    for kind in KINDS:
        placed = rows.read(f"{kind}_item")
        own = placed.vectors[placed.keys == interned()["new wool"]][0]
        best = placed.keys[np.argsort(-(placed.vectors @ own))][:6]
        assert {key[:4] for key, n in interned().items() if n in best} <= {"wool", "new "}
    assert "new wool" in listed("newton", "factors")


@live
def test_of_many_items_of_one_text_the_newest_few_are_placed() -> None:
    for n in range(12):
        item(f"new {n:02}", title=f"{TITLES['wool']} of all sizes")
    advance("content")
    list(embed.embed())
    names = {key: name for name, key in interned().items()}
    newest = [f"new {n:02}" for n in range(12 - ridge.OF_A_TEXT, 12)]
    for kind in KINDS:
        placed = [names[key] for key in rows.read(f"{kind}_item").keys.tolist()]
        assert [name for name in placed if name.startswith("new ")] == newest, kind


@live
def test_a_text_that_was_encoded_while_a_space_was_learned_is_placed_once_it_is_live() -> None:
    ((since,),) = ask("SELECT pg_current_snapshot()::text")
    item("late wool", title=f"{TITLES['wool']} 98")
    advance("content")
    list(embed.embed())
    late = interned()["late wool"]
    before = rows.read("factors_item")
    ask("DELETE FROM factors_item WHERE item = %s RETURNING item", late)
    newcomers.place_since(since)
    newcomers.place_since(since)
    after = rows.read("factors_item")
    np.testing.assert_array_equal(after.keys, before.keys)
    np.testing.assert_array_equal(after.vectors, before.vectors)
    assert ask("SELECT item FROM factors_item WHERE placed_xid IS NOT NULL") == [(late,)]


@live
def test_an_item_without_a_text_lies_nowhere() -> None:
    item("blank", price=3)
    advance("content")
    list(embed.embed())
    assert interned()["blank"] not in rows.read("factors_item").keys


def test_texts_that_do_not_tell_place_nothing(goods: None) -> None:
    list(embed.embed())
    chance = np.random.default_rng(0)
    keys = np.array([interned()[name] for name in WOOL + IRON])
    nowhere = Placed(keys, chance.normal(size=(30, 64)).astype(np.float32))
    assert newcomers.beside(nowhere, "multilingual-1") == (nowhere, None)


def test_a_ridge_is_read_back_as_it_was() -> None:
    kept = ridge.Ridge("multilingual-1", np.ones((513, 64), np.float32), 2.5)
    back = ridge.of_bytes(kept.as_bytes())
    assert (back.encoder, back.norm) == ("multilingual-1", 2.5)
    np.testing.assert_array_equal(back.weights, kept.weights)


# ── lists ──────────────────────────────────────────────────────────────────────────────────


@live
def test_a_shopper_with_one_event_is_shown_their_kind() -> None:
    given(view("newton", "wool-3"))
    shoppers.follow()
    for only in KINDS:
        shown = listed("newton", only, count=8)
        assert len(shown) == 8
        assert {name[:4] for name in shown} == {"wool"}, only


@live
def test_the_order_of_deeds_says_what_comes_next() -> None:
    given(view("newton", "wool-6", at=1), view("newton", "wool-7", at=70))
    shoppers.follow()
    assert listed("newton", "sequence", count=3)[0] == "wool-8"


@live
def test_each_has_a_reason() -> None:
    given(view("newton", "wool-3"))
    shoppers.follow()
    said = {}
    for only in KINDS:
        hear(only)
        made = compose(Ask("home", "user:newton"), END)
        said[only] = made.items[0].reasons[0].said()
    assert said == {
        "factors": {"source": "factors", "text": "Close to your taste"},
        "sequence": {"source": "sequence", "text": "Often next after what you did"},
    }


@live
def test_what_may_not_be_shown_is_not() -> None:
    item("wool-4", title="gone", available=False)
    given(view("newton", "wool-3"))
    shoppers.follow()
    for only in KINDS:
        assert {"wool-3", "wool-4"} & set(listed("newton", only)) == set(), only


@live
def test_a_source_that_is_off_says_nothing() -> None:
    given(view("newton", "wool-3"))
    shoppers.follow()
    assert listed("newton", "viewed") != []
    hear("popular")
    parts = {r.source for i in compose(Ask("home", "user:newton"), END).items for r in i.reasons}
    assert parts == {"popular"}


# ── shoppers ───────────────────────────────────────────────────────────────────────────────


def standing() -> dict[str, tuple[float, ...]]:
    rows = ask(
        "SELECT key, vector::real[] FROM sequence_shopper JOIN subject_key ON subject = person"
    )
    return {key: tuple(np.array(vector, np.float32).tolist()) for key, vector in rows}


def at_once() -> dict[str, tuple[float, ...]]:
    """What filling gives."""
    with one_snapshot() as inside:
        (name,) = inside.exec_driver_sql(
            "SELECT name FROM space WHERE is_live AND kind = 'sequence'"
        ).one()
    found = shoppers.all_in_front(name)
    keys: dict[int, str] = dict(ask("SELECT subject, key FROM subject_key"))
    halves = found.vectors.astype(np.float16).astype(np.float32)
    return {keys[n]: tuple(v) for n, v in zip(found.keys.tolist(), halves.tolist(), strict=True)}


@live
def test_following_gives_what_filling_gives() -> None:
    assert standing() == at_once()
    for n, name in enumerate(("newton", "w3", "newton", "i2")):
        given(view(name, f"wool-{n}", at=DAY + n), purchase(name, "iron-2", at=2 * DAY + n))
        assert shoppers.follow() == 1
    assert standing() == at_once()
    assert "user:newton" in standing()
    assert shoppers.follow() == 0


@live
def test_of_more_than_can_be_followed_at_once_the_others_stand_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(view("w1", "iron-3", at=DAY), view("w2", "iron-4", at=DAY + 1))
    monkeypatch.setattr(shoppers, "MOST", 1)
    assert shoppers.follow() == 2
    assert {"user:w1", "user:w2"} & set(standing()) == {"user:w2"}
    assert standing() == {name: at for name, at in at_once().items() if name != "user:w1"}


@live
def test_who_only_disliked_or_dealt_with_what_nobody_knows_stands_nowhere() -> None:
    item("odd", title="odd")
    given(rate("dis", "wool-1", 0), view("odder", "odd"))
    shoppers.follow()
    assert {"user:dis", "user:odder"} & set(standing()) == set()


@live
def test_joined_names_are_one_shopper_and_hidden_ones_none() -> None:
    given(view("phone", "iron-3", at=DAY), view("ann", "wool-3", at=DAY + 1))
    shoppers.follow()
    given(identify("user:phone", "user:ann", at=DAY + 2), quarantine("user:w1", at=DAY + 2))
    shoppers.follow()
    assert standing() == at_once()
    assert "user:ann" in standing()
    assert {"user:phone", "user:w1"} & set(standing()) == set()


@live
def test_a_dump_in_another_cluster_is_encoded_anew() -> None:
    ask("UPDATE space SET epoch = 'elsewhere' WHERE kind = 'sequence' RETURNING name")
    ask("DELETE FROM sequence_shopper WHERE person < 20 RETURNING person")
    assert shoppers.follow() == 60
    assert standing() == at_once()


@live
def test_whoever_an_older_release_erased_is_forgotten_within_the_hour() -> None:
    ask("DELETE FROM user_state WHERE person IN (SELECT subject FROM subject_key WHERE key = 'user:w3')"
        " RETURNING person")  # fmt: skip
    assert (shoppers.forget_gone(), shoppers.forget_gone()) == (1, 0)
    assert "user:w3" not in standing()


def left_behind() -> list[str]:
    """What a worker leaves that is killed between writing and switching."""
    items = rows.read("sequence_item")
    everyone = shoppers.newest(shoppers._encoder(_live(SEQUENCE)), items)
    store.write(store.Made(SEQUENCE, {"sequence_item": items, "sequence_shopper": everyone}))
    return unswitched()


def unswitched() -> list[str]:
    return [name for (name,) in ask("SELECT tablename FROM pg_tables WHERE tablename ~ '_next$'")]


def _live(kind: str) -> str:
    return str(ask(f"SELECT name FROM space WHERE is_live AND kind = '{kind}'")[0][0])


@live
def test_what_a_killed_worker_left_goes_with_whoever_is_erased_or_within_the_hour() -> None:
    assert sorted(left_behind()) == ["sequence_item_next", "sequence_shopper_next"]
    erase.erase("user:w1", asked_by="a test")
    assert unswitched() == []
    assert len(left_behind()) == 2
    shoppers.forget_gone()
    assert unswitched() == []


@live
def test_the_worker_follows() -> None:
    given(view("newton", "wool-3"))
    tasks.advance()
    assert "user:newton" in standing()


# ── versions ───────────────────────────────────────────────────────────────────────────────


def versions() -> list[tuple[str, bool, bool]]:
    """(kind, is live, owes), the oldest first."""
    return list(ask("SELECT kind, is_live, owes FROM space ORDER BY made_at, kind"))


def kept() -> int:
    return len(ask(RETAINED))


@live
def test_a_list_is_made_again_from_the_version_that_served_it() -> None:
    hear("factors")
    Scenario.objects.filter(name="home").update(sequence=0.5)
    given(view("newton", "wool-3"))
    shoppers.follow()
    first, _ = serve(Ask("home", "user:newton"), END)
    given(view("newton", "iron-3", at=DAY), *[view(f"i{n}", "wool-3", at=DAY) for n in range(20)])
    shoppers.follow()
    second, _ = serve(Ask("home", "user:newton"), END)
    learned = Course()
    for kind in KINDS:
        learned.renew(kind, GOOD, END)
    assert kept() == 2
    for slate in (first, second):
        assert replay(_uuid(slate)).differences == (), slate
        assert replay(_uuid(slate)).causes == ()


def _uuid(slate: str) -> Any:
    import uuid

    return uuid.UUID(slate)


def _renew(kind: str) -> None:
    try:
        Course().renew(kind, GOOD, END)
    finally:
        connection.close()


@live
def test_a_version_that_retires_while_a_list_is_made_again_is_found_among_the_retained() -> None:
    given(view("newton", "wool-3"))
    name, before = _live(FACTORS), rows.read("factors_item")
    with one_snapshot() as inside:
        assert ask("SELECT count(*) FROM space WHERE is_live") == [(2,)]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_renew, FACTORS).result()
        ((kind, table),) = past._found(inside, past.Spaces({FACTORS: name}))
        after = rows.read(table)
    assert (kind, table) == (FACTORS, f"rec.factors_item_{name}")
    np.testing.assert_array_equal(after.vectors, before.vectors)


@live
def test_a_version_that_is_live_again_is_no_past_one() -> None:
    first = _live(FACTORS)
    given(view("newton", "wool-3"))
    Course().renew(FACTORS, GOOD, END)
    erase.erase("user:newton", asked_by="a test")
    Course().renew(FACTORS, GOOD, END)
    assert (_live(FACTORS), kept()) == (first, 1)


@live
def test_versions_that_no_list_was_made_of_are_let_go() -> None:
    given(view("newton", "wool-3"))
    Course().renew(FACTORS, GOOD, END)
    ask("UPDATE space SET retired_at = now() - interval '2 days' WHERE NOT is_live RETURNING name")
    assert kept() == 1
    assert retained.let_go() == 1
    assert (retained.let_go(), kept()) == (0, 0)


@live
def test_after_an_erasure_what_is_live_is_learned_anew_and_the_rest_goes() -> None:
    given(view("newton", "wool-3"))
    Course().renew(FACTORS, GOOD, END)
    before = rows.read("factors_item")
    erase.erase("user:w1", asked_by="a test")
    assert "user:w1" not in standing()
    assert {owes for *_, owes in versions()} == {True}
    said = Course().settle()
    assert [sentence.split(":")[0] for sentence in said] == ["factors", "sequence"]
    # What retires now is of somebody who is gone, and goes at the next hour.
    Course().settle()
    assert kept() == 0
    assert not np.array_equal(rows.read("factors_item").vectors, before.vectors)
    assert [owes for _, is_live, owes in versions() if is_live] == [False, False]


@live
def test_whoever_an_older_release_erased_is_unlearned_once() -> None:
    given(view("newton", "wool-3"))
    Course().renew(FACTORS, GOOD, END)
    assert kept() == 1
    ask("INSERT INTO erasure (names, events, slates, asked_by) VALUES (1, 1, 1, 'an older release')"
        " RETURNING erasure")  # fmt: skip
    assert [said.endswith(": live") for said in Course().settle()] == [True, True]
    assert (Course().settle(), kept()) == ([], 0)
    assert {owes for *_, owes in versions()} == {False}


@live
def test_the_same_learned_again_is_kept_once() -> None:
    Course().renew(FACTORS, GOOD, END)
    Course().renew(FACTORS, GOOD, END)
    assert (kept(), len(versions())) == (0, 2)


@live
def test_what_cannot_be_learned_anew_after_an_erasure_ceases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(view("newton", "wool-3"))
    hear("factors")
    made, _ = serve(Ask("home", "user:newton"), END)
    erase.erase("user:w1", asked_by="a test")
    monkeypatch.setattr(learning, "LEAST", 10_000)
    assert Course().settle() == [
        f"{kind}: 532 deeds with 30 items that 2 shoppers know, 10000 with 20 are needed, so what knew"
        " somebody who was erased does not serve any more"
        for kind in KINDS
    ]
    assert [(is_live, owes) for _, is_live, owes in versions()] == [(False, False)] * 2
    assert ask("SELECT count(network), count(ridge) FROM space") == [(0, 0)]
    assert (listed("newton", "factors"), standing(), len(rows.read("factors_item").keys)) == (
        [],
        {},
        0,
    )
    assert (
        "the factors that served it are gone, for somebody was erased since"
        in replay(_uuid(made)).causes
    )
    assert Course().settle() == []
    monkeypatch.undo()
    assert Course().renew(FACTORS, GOOD, END).endswith(": live")
    assert listed("newton", "factors") != []


@live
def test_readers_in_the_way_of_settling_leave_the_rest_to_be_settled(
    stranger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TRIES", 1)
    erase.erase("user:w1", asked_by="a test")
    stranger.execute("BEGIN")
    stranger.execute("SELECT count(*) FROM factors_item")
    said = Course().settle()
    stranger.execute("COMMIT")
    assert said[0] == "factors: readers would not let go of what serves"
    assert said[1].endswith(": live")
    assert [owes for kind, is_live, owes in versions() if is_live] == [True, False]


@live
def test_readers_in_the_way_delay_the_switch_and_then_keep_what_serves(
    stranger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TRIES", 2)
    monkeypatch.setattr(store, "PAUSE", 0.01)
    given(view("newton", "wool-3"))
    before = rows.read("factors_item")
    stranger.execute("BEGIN")
    stranger.execute("SELECT count(*) FROM factors_item")
    with pytest.raises(store.InTheWay):
        Course().renew(FACTORS, GOOD, END)
    np.testing.assert_array_equal(rows.read("factors_item").vectors, before.vectors)
    stranger.execute("COMMIT")
    assert Course().renew(FACTORS, GOOD, END).endswith(": live")


# ── whether one may serve ──────────────────────────────────────────────────────────────────


UNJUDGED: Final = (
    "factors: fewer than 50 lists of the newest weeks to judge it by, so none serves anew"
)


def publish(judged: dict[str, Judged]) -> list[str]:
    course = Course()
    course._judged = judged
    return course.publish(END)


@live
def test_a_worse_run_leaves_what_serves() -> None:
    before = rows.read("factors_item").vectors
    worse = {FACTORS: Judged(100, 0.12, 0.1), SEQUENCE: Judged(100, 0.05, 0.1)}
    assert publish(worse) == [
        "factors: alone NDCG@10 0.1200 on 100 lists, what is popular has 0.1000: the one that is live had"
        " reached more beside what is popular, so that stays",
        "sequence: alone NDCG@10 0.0500 on 100 lists, what is popular has 0.1000: what is popular is"
        " better, so it does not serve",
    ]
    np.testing.assert_array_equal(rows.read("factors_item").vectors, before)
    assert publish({})[0] == UNJUDGED


@pytest.mark.parametrize(
    ("before", "judged", "says"),
    [
        (None, (0.0, 0.0), "it finds nothing"),
        (None, (0.1, 0.2), "what is popular is better"),
        (None, (0.1, 0.0), ""),
        ((0.02, 0.0), (0.3, 0.01), ""),
        ((0.05, 0.0005), (0.1, 0.0015), ""),
        ((0.3, 0.1), (0.0004, 0.0001), "had reached more"),
        ((0.3, 0.1), (0.28, 0.1), ""),
        ((0.3, 0.1), (0.24, 0.1), "had reached more"),
    ],
)
def test_the_gate_holds_where_the_popular_reaches_next_to_nothing(
    before: tuple[float, float] | None, judged: tuple[float, float], says: str
) -> None:
    told = None if before is None else asdict(Judged(99, *before))
    live = None if told is None else store.Live("one", None, None, told, END, owes=False)
    why = learning._not_good_enough(Judged(99, *judged), live)
    assert says in why
    assert bool(says) == bool(why)


@pytest.mark.usefixtures("committed")
def test_too_little_is_said_and_nothing_serves() -> None:
    for name in "abc":
        item(name)
    given(*[view(user, name) for user in ("ann", "bob", "cal") for name in "abc"])
    advance()
    lacks = "factors: 9 deeds with 3 items that 2 shoppers know, 500 with 20 are needed"
    assert Course().renew(FACTORS, GOOD, END) == publish({})[0] == lacks
    assert len(rows.read("factors_item").keys) == 0
    assert listed("ann", "factors") == []


@pytest.mark.usefixtures("committed")
def test_an_empty_log_teaches_nothing() -> None:
    assert learn.learn(END).spaces == []
    assert len(deeds.read()) == 0


def test_the_admin_shows_every_attempt(shop: None, client: Client) -> None:
    boss = User.objects.create_superuser("boss")
    client.force_login(boss)
    publish({})
    page = client.get(reverse("admin:recsite_spacerow_changelist")).content.decode()
    for said in (
        "factors (ALS)",
        "sequence (transformer)",
        "live",
        "left",
        "0.3000",
        "fewer than 50 lists",
    ):
        assert said in page
    name = ask("SELECT name FROM space WHERE is_live AND kind = 'factors'")[0][0]
    one = client.get(reverse("admin:recsite_spacerow_change", args=[name])).content.decode()
    assert "by their texts" in one
    boss.delete()


@live
def test_an_evaluation_says_that_the_live_ones_are_silent() -> None:
    given(*[purchase(f"w{n}", "wool-1", at=20 * DAY) for n in range(20)])
    plan = evaluate.Plan(minute(10 * DAY), "home", 10, None, 60)
    assert evaluate.evaluate(plan).notes[-1] == (
        "The live factors and sequence know what is held out here, and say nothing. --with-ranker teaches"
        " others from what was known."
    )


@live
def test_readers_in_the_way_are_named_and_the_rest_is_learned(
    stranger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TRIES", 1)
    stranger.execute("BEGIN")
    stranger.execute("SELECT count(*) FROM factors_item")
    said = publish(dict.fromkeys(KINDS, GOOD))
    stranger.execute("COMMIT")
    assert said[0] == "factors: learning failed: readers would not let go of what serves"
    assert said[1].endswith(": live")


def no_numbers(*_: Any, **__: Any) -> Any:
    return np.full((30, rows.DIMENSIONS), np.nan, np.float32)


def diverge(*_: Any, **__: Any) -> Any:
    raise ModelFitError("NaN encountered in factors")


@live
@pytest.mark.parametrize(
    ("where", "fails", "says"),
    [
        ((factors, "learn"), no_numbers, "vectors came of it that are no numbers"),
        ((AlternatingLeastSquares, "fit"), diverge, "NaN encountered in factors"),
    ],
)
def test_factors_without_numbers_are_noted_and_the_other_space_is_learned(
    where: tuple[Any, str], fails: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows.read("factors_item").vectors
    monkeypatch.setattr(*where, fails)
    said = publish(dict.fromkeys(KINDS, GOOD))
    assert said[0] == f"factors: learning failed: {says}"
    assert said[1].endswith(": live")
    np.testing.assert_array_equal(rows.read("factors_item").vectors, before)


@live
def test_learning_that_fails_is_noted_and_leaves_what_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = rows.read("sequence_item").vectors

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(training, "train", fail)
    said = publish(dict.fromkeys(KINDS, GOOD))
    assert said[0].endswith(": live")
    assert said[1] == "sequence: learning failed: out of memory"
    np.testing.assert_array_equal(rows.read("sequence_item").vectors, before)
    assert ("learning failed: out of memory",) in ask("SELECT judged->>'why' FROM space")
