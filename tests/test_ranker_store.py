"""Which ranker is live: one for each version of the features, and what is kept of the others."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from django.test import Client

from catalog.models import Category
from recommend import fold, learn, ordering, tasks
from recommend.pipeline import Ask, compose, serve
from recommend.projections import PROJECTIONS
from recommend.ranker import features, links, store, training
from recommend.ranker.network import Network
from recommend.ranker.store import Judged
from recommend.replay import replay
from recsite.db import connection, one_snapshot
from tests.given import advance, ask, dismiss, given, item, minute, purchase, rule, view
from tests.test_ranker_habits import DAY, END, JUDGED, by_hand
from tests.test_replay import erase

pytestmark = pytest.mark.usefixtures("cold")

GOOD: Final = by_hand(1)
OTHER: Final = by_hand(2)


@pytest.fixture
def cold(committed: None) -> Iterator[None]:
    """A process that has seen no ranker yet, before and after."""
    forget_rankers()
    yield
    forget_rankers()


def forget_rankers() -> None:
    ordering._expected[0] = None
    store._read.cache_clear()


def states() -> dict[str, tuple[bool, bool, bool]]:
    """name → (is live, was once live, is retired)."""
    rows = ask("SELECT name, is_live, live_since IS NOT NULL, retired_at IS NOT NULL FROM ranker")
    return {name: tuple(rest) for name, *rest in rows}


# ── live and not ───────────────────────────────────────────────────────────────────────────


def test_the_one_that_goes_live_retires_the_one_before() -> None:
    store.publish(GOOD, JUDGED, END)
    store.publish(OTHER, JUDGED, END)
    assert states() == {GOOD.name: (False, True, True), OTHER.name: (True, True, False)}


def test_one_that_goes_live_again_is_live_since_then() -> None:
    store.publish(GOOD, JUDGED, END)
    ((first,),) = ask("SELECT live_since FROM ranker")
    store.publish(GOOD, JUDGED, END)
    assert ask("SELECT live_since FROM ranker") == [(first,)]
    store.publish(OTHER, JUDGED, END)
    store.publish(GOOD, JUDGED, END)
    ((again,),) = ask("SELECT live_since FROM ranker WHERE is_live")
    assert again > first
    assert states() == {GOOD.name: (True, True, False), OTHER.name: (False, True, True)}


def ranked_by(exclude_seen: str) -> str | None:
    """The ranker of ann's list, by its receipt."""
    name: str | None = compose(Ask("home", "user:ann", exclude_seen=exclude_seen), END).receipt[
        "ranker"
    ]
    return name


def test_one_that_is_good_for_some_lists_leaves_the_others_to_the_blend() -> None:
    store.publish(GOOD, replace(JUDGED, serves=("any",)), END)
    assert ranked_by("none") == GOOD.name
    assert ranked_by("interacted") is None
    store.publish(OTHER, replace(JUDGED, serves=("new",)), END)
    assert ranked_by("none") is None
    assert ranked_by("interacted") == ranked_by("purchased") == OTHER.name
    for seen in ("none", "interacted"):
        slate, _ = serve(Ask("home", "user:ann", exclude_seen=seen), END)
        assert replay(uuid.UUID(slate)).differences == ()


def test_one_from_before_that_was_judged_orders_all_lists() -> None:
    store.publish(GOOD, JUDGED, END)
    ask("UPDATE ranker SET judged = judged - 'serves' RETURNING name")
    assert ranked_by("none") == ranked_by("interacted") == GOOD.name


def test_an_equal_one_that_is_only_kept_leaves_the_live_one_live() -> None:
    store.publish(GOOD, JUDGED, END)
    with one_snapshot() as inside:
        store.keep(inside, GOOD, Judged(9, 99, 0.2, 0.3, 0.4), END)
    assert states() == {GOOD.name: (True, True, False)}


def test_two_versions_of_the_code_have_a_live_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    store.publish(GOOD, JUDGED, END)
    with monkeypatch.context() as newer:
        newer.setattr(features, "NAME", "newer")
        store.publish(OTHER, JUDGED, END)
    assert states() == {GOOD.name: (True, True, False), OTHER.name: (True, True, False)}
    with connection() as inside:
        live = store.live(inside)
    assert live is not None
    assert live.name == GOOD.name


def test_one_that_was_not_good_enough_never_goes_live(monkeypatch: pytest.MonkeyPatch) -> None:
    goods()
    monkeypatch.setattr(learn, "LEAST", 1)  # and one shopper to judge by, who convinces nobody
    monkeypatch.setattr(learn, "FEW", 1)  # nor do the others judge in turn
    done = learn.learn(END)
    assert done.judged is not None
    assert (done.is_live, done.said.endswith("not better, so it does not serve")) == (False, True)
    assert [state[:2] for state in states().values()] == [(False, False)]
    assert by(serve_to("user:u1")) is None


# ── attempts that had too little to learn from ─────────────────────────────────────────────


def test_an_attempt_with_too_few_lists_is_kept_and_not_made_again_until_the_log_goes_on() -> None:
    goods()
    assert learn.is_due(END)
    said = learn.learn(END).said
    assert "300 are needed" in said
    assert not learn.is_due(END)
    ((judged,),) = ask("SELECT judged::text FROM ranker WHERE network IS NULL")
    assert judged == f'{{"found": {int(said.split()[0])}}}'
    learn.learn(END)
    assert ask("SELECT count(*) FROM ranker") == [(1,)]
    given(view("u1", "a", at=58 * DAY))
    assert learn.is_due(END)


def test_the_admin_shows_an_attempt_with_too_few_lists_as_such(admin_client: Client) -> None:
    with connection() as inside:
        store.keep_too_few(inside, 12, END)
    page = admin_client.get("/admin/recsite/rankerrow/").content.decode()
    assert "too few lists" in page
    assert f"nothing: 12 lists, {learn.LEAST} are needed" in page
    ((name,),) = ask("SELECT name FROM ranker")
    own = admin_client.get(f"/admin/recsite/rankerrow/{name}/change/").content.decode()
    assert "too few lists" in own


# ── attempts that failed ───────────────────────────────────────────────────────────────────


def fail(*_: Any, **__: Any) -> Any:
    raise MemoryError("no room for the lists")


@pytest.mark.parametrize(
    "where",
    [(links, "fill"), (training, "train"), (store, "publish")],
    ids=["lists", "learning", "going live"],
)
def test_one_that_fails_is_noted_and_leaves_what_serves(
    where: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    monkeypatch.setattr(learn, "LEAST", 1)
    monkeypatch.setattr(learn, "_judge", lambda *_: (JUDGED, True))
    monkeypatch.setattr(*where, fail)
    done = learn.learn(END)
    assert (done.is_live, done.judged) == (False, None)
    assert done.said == "learning failed: no room for the lists; what serves stays as it is"
    assert by(serve_to("user:u1")) == GOOD.name
    ((why,),) = ask("SELECT judged->>'why' FROM ranker WHERE network IS NULL")
    assert why == "learning failed: no room for the lists"
    assert not learn.is_due(END)


def test_the_admin_shows_one_that_failed_with_its_reason(admin_client: Client) -> None:
    with connection() as inside:
        store.keep_failed(inside, "learning failed: no room", END)
    page = admin_client.get("/admin/recsite/rankerrow/").content.decode()
    assert "nothing: learning failed: no room" in page
    ((name,),) = ask("SELECT name FROM ranker")
    own = admin_client.get(f"/admin/recsite/rankerrow/{name}/change/").content.decode()
    assert "failed" in own


# ── what is let go of ──────────────────────────────────────────────────────────────────────


def with_habits() -> set[str]:
    return {name for (name,) in ask("SELECT DISTINCT ranker FROM item_habit")}


def retired(made: Network, days: int) -> None:
    """Have it made and retired so many days ago."""
    ask("UPDATE ranker SET retired_at = now() - %s, made_at = now() - %s WHERE name = %s RETURNING 1",
        timedelta(days=days), timedelta(days=days + 1), made.name)  # fmt: skip


def test_habits_of_a_ranker_that_no_list_names_go_once_it_is_retired_for_a_day() -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    store.publish(OTHER, JUDGED, END)
    tasks.teach()
    assert with_habits() == {GOOD.name, OTHER.name}
    retired(GOOD, days=2)
    tasks.teach()
    assert with_habits() == {OTHER.name}
    assert {GOOD.name, OTHER.name} <= set(states())


def test_habits_stay_while_a_list_is_kept_that_their_ranker_ordered() -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    serve_to("user:u1")
    store.publish(OTHER, JUDGED, END)
    retired(GOOD, days=2)
    in_the_past(timedelta(days=2, hours=3))
    assert store.let_go() == 0
    assert with_habits() == {GOOD.name, OTHER.name}
    erase(f"DELETE FROM slate WHERE detail->'receipt'->>'ranker' = '{GOOD.name}'")
    assert store.let_go() == 1
    assert with_habits() == {OTHER.name}


def in_the_past(ago: timedelta) -> None:
    """Have all lists been served that long ago."""
    erase(
        "UPDATE slate SET id = overlay(id::text PLACING left(first_id(now() - interval"
        f" '{ago.total_seconds()} s')::text, 13) FROM 1 FOR 13)::uuid"
    )


# ── lists, while rankers come and go ───────────────────────────────────────────────────────


def goods() -> None:
    """Ten items in two categories; a few shoppers with a past."""
    for number, item_id in enumerate("abcdefghij"):
        item(item_id, title=f"Item {item_id}", category=("Home", "Garden")[number % 2],
             brand="xy"[number % 2])  # fmt: skip
    given([view(f"u{n % 7}", "abcdefghij"[n * 3 % 10], at=n * 60) for n in range(140)])
    given([purchase(f"u{n % 7}", "abcdefghij"[n * 7 % 10], at=n * DAY) for n in range(56)])
    advance()


def serve_to(who: str, **more: Any) -> str:
    slate, _ = serve(Ask("home", who, **more), datetime.now(UTC))
    return slate


def by(slate: str) -> str | None:
    """The ranker that the list's receipt names."""
    ((name,),) = ask(
        "SELECT detail->'receipt'->>'ranker' FROM slate WHERE id = %s", uuid.UUID(slate)
    )
    assert name is None or isinstance(name, str)
    return name


def test_one_that_is_replaced_under_a_warm_process_serves_no_more() -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    assert by(serve_to("user:u1")) == GOOD.name
    store.publish(OTHER, JUDGED, END)
    assert by(serve_to("user:u1")) == OTHER.name


def test_one_that_is_deleted_under_a_warm_process_serves_no_more() -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    assert by(serve_to("user:u1")) == GOOD.name
    ask("DELETE FROM ranker RETURNING name")
    assert by(serve_to("user:u1")) is None


def test_where_the_live_one_cannot_be_read_the_blend_serves_and_it_is_asked_again() -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    ((kept,),) = ask("UPDATE ranker SET network = NULL RETURNING old.network::text")
    assert store.find(GOOD.name) is None
    assert by(serve_to("user:u1")) is None
    ask("UPDATE ranker SET network = %s::jsonb RETURNING 1", kept)
    assert by(serve_to("user:u1")) == GOOD.name


def shown(**more: Any) -> list[str]:
    return [one.item_id for one in compose(Ask("home", "user:u1", **more), datetime.now(UTC)).items]


def test_rules_hide_and_pin_in_a_list_that_a_ranker_ordered() -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    first, *_, last = shown()
    rule(action="hide", item_id=first)
    rule(action="pin", item_id=last, slot=1)
    assert shown()[0] == last
    assert first not in shown()


def test_a_category_bounds_a_list_that_a_ranker_ordered() -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    assert Category.objects.filter(path="Home").exists()
    assert set(shown(category="Home")) <= set("acegi")
    assert shown(category="Home") != []


def test_what_was_dismissed_is_not_shown_by_a_ranker_either() -> None:
    goods()
    store.publish(GOOD, JUDGED, END)
    first = shown()[0]
    given(dismiss("u1", first, at=57 * DAY))
    for one in PROJECTIONS:
        fold.advance(one)
    assert first not in shown()


def test_a_list_that_is_longer_than_what_a_ranker_orders_is_full() -> None:
    for number in range(130):
        item(f"i{number}", title=f"Item {number}")
    given([view(f"u{n % 9}", f"i{n % 130}", at=n) for n in range(400)])
    advance()
    blended = shown(count=100)
    store.publish(GOOD, JUDGED, minute(DAY))
    assert len(shown(count=100)) == len(blended) == len(set(shown(count=100)))
