"""A list's variety, as a merchant sets it: caps, surprise, and the slot for the untried."""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from catalog import changes
from recommend import candidates
from recommend.candidates import Wanted
from recommend.projections.popularity import EVERYTHING
from recommend.untried import LEARNED
from tests.given import advance, ask, dismiss, encode, given, item, names, purchase, serve, view
from tests.given import shown as impression
from tests.test_recommend_api import Made, listed, reasons, rule, scores, seen_by, shown
from tests.test_recommend_api import client as client
from tests.test_recommend_api import ladder as ladder
from tests.test_recommend_api import scenario as scenario
from tests.test_recommend_api import seventy as seventy

UNTRIED = {"source": "explore", "text": "Rarely shown so far: we are finding out who likes it"}


# ── caps ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shelf(committed: None) -> None:
    """Six items, each looked at less than the one before."""
    for item_id, category, brand, seller in (
        ("a", "Mugs", "Ono", "north"), ("b", "Mugs", "Ono", "south"), ("c", "Mugs", "Ume", "north"),
        ("d", "Cups", "Ono", "north"), ("e", "Cups", "", ""), ("f", "", "Ume", "south"),
    ):  # fmt: skip
        item(item_id, category=category, brand=brand, seller=seller)
    for crowd, item_id in zip((12, 10, 8, 6, 4, 2), "abcdef", strict=True):
        seen_by(crowd, item_id)
    advance()


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        ({}, "abc"),
        ({"most_per_category": 1}, "adf"),
        ({"most_per_brand": 1}, "ace"),
        ({"most_per_seller": 1}, "abe"),
        ({"most_per_brand": 1, "most_per_category": 1}, "aef"),
        ({"most_per_brand": 2, "most_per_seller": 1}, "abe"),
    ],
)
def test_a_list_has_at_most_so_many_of_a_category_brand_or_seller(
    client: Client, scenario: Made, shelf: None, caps: dict[str, int], expected: str
) -> None:
    assert shown(client, scenario("popular", popular=1.0, count=3, **caps)) == list(expected)


def test_where_nothing_else_is_left_what_a_cap_holds_back_comes_last(
    client: Client, scenario: Made, shelf: None
) -> None:
    answer = listed(client, scenario("popular", popular=1.0, count=6, most_per_brand=1))
    assert (list(scores(answer)), answer["shortfall"]) == (list("acebdf"), 0)


def test_a_category_that_is_asked_for_is_not_capped_but_those_below_it_are(
    client: Client, scenario: Made, ladder: None
) -> None:
    name = scenario("popular", popular=1.0, count=2, most_per_category=1)
    assert shown(client, name, category="Home > Mugs") == ["a", "d"]
    assert shown(client, name, category="Home") == ["a", "b"]


def test_what_is_pinned_counts_wherever_it_stands(
    client: Client, scenario: Made, shelf: None
) -> None:
    rule(action="pin", item_id="d", slot=3)
    name = scenario("popular", popular=1.0, count=3, most_per_brand=1)
    assert shown(client, name) == ["c", "e", "d"]
    assert shown(client, name, count=2) == ["a", "c"]


def test_a_cap_looks_deeper_before_it_gives_in(
    client: Client, scenario: Made, seventy: None
) -> None:
    name = scenario("popular", popular=1.0, count=6, most_per_brand=2)
    assert shown(client, name) == ["i00", "i01", "i65", "i66", "i02", "i03"]


# ── surprise ───────────────────────────────────────────────────────────────────────────────


def test_serendipity_takes_from_what_is_well_known(
    client: Client, scenario: Made, ladder: None
) -> None:
    def found(serendipity: float) -> dict[str, float]:
        return scores(listed(client, scenario("popular", popular=1.0, serendipity=serendipity)))

    assert found(0.0) == {"a": 1.0, "b": 0.5, "c": 0.25, "d": 0.125}
    assert found(0.6) == {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.125}
    assert found(0.9) == {"b": 0.2, "c": 0.175, "d": 0.125, "a": 0.1}
    assert list(found(0.9)) == ["b", "c", "d", "a"]


def test_serendipity_knows_the_whole_shops_fame_where_no_source_speaks_of_it(
    client: Client, scenario: Made, committed: None
) -> None:
    for item_id in ("seed", "famous", "find"):
        item(item_id)
    for user in "xy":
        given([view(user, "seed"), view(user, "famous", at=1), view(user, "find", at=2)])
    seen_by(9, "famous", at=30)
    advance()
    plain, surprising = (scenario("similar", viewed=1.0, serendipity=s) for s in (0.0, 1.0))
    assert set(shown(client, plain, item_id="seed")) == {"famous", "find"}
    answer = listed(client, surprising, item_id="seed")
    assert list(scores(answer)) == ["find", "famous"]
    assert scores(answer)["famous"] == 0.0


def test_a_habit_is_no_surprise(client: Client, scenario: Made, ladder: None) -> None:
    given([purchase("ann", "d", at=n * 60) for n in range(2)])
    advance()
    name = scenario("personal", popular=0.4, again=1.0, serendipity=1.0)
    assert shown(client, name, user_id="ann")[-1] == "d"
    assert shown(client, scenario("personal", popular=0.4, again=1.0), user_id="ann")[0] == "d"


# ── the slot for the untried ───────────────────────────────────────────────────────────────


def slate(answer: Any) -> Any:
    """What was kept of the list."""
    ((detail,),) = ask(
        "SELECT detail::text FROM slate WHERE id = %s", uuid.UUID(answer["recommendation_id"])
    )
    return json.loads(detail)


def number(item_id: str) -> int:
    """The interned id."""
    return next(n for n, key in names("item_key").items() if key == item_id)


def tried(item_id: str, shows: int, chosen: int = 0) -> None:
    """So many lists in which the item was seen, the first of which led to a look at it."""
    for n in range(shows):
        of = serve(item_id)
        given(impression(f"tester-{n}", item_id, at=n, slate=of))
        if n < chosen:
            given(view(f"tester-{n}", item_id, at=n + 0.5, slate=of))


def test_an_item_that_nobody_knows_takes_the_slot(
    client: Client, scenario: Made, ladder: None
) -> None:
    item("new", category="Home > Mugs")
    name = scenario("popular", popular=1.0, explore_slot=2, count=4)
    answer = listed(client, name)
    assert list(scores(answer)) == ["a", "new", "b", "c"]
    assert reasons(answer)["new"] == [UNTRIED]
    assert reasons(answer)["b"] == [{"source": "popular", "text": "Popular right now"}]
    kept = slate(answer)
    assert kept["explored"] == {"item": number("new"), "place": 2, "propensity": 1.0, "of": 1}
    assert kept["receipt"]["trials"] == {str(number("new")): [0, 0]}


def test_without_a_slot_nothing_is_tried_and_nothing_more_is_kept(
    client: Client, scenario: Made, ladder: None
) -> None:
    item("new", category="Home > Mugs")
    answer = listed(client, scenario("popular", popular=1.0))
    assert list(scores(answer)) == ["a", "b", "c", "d"]
    kept = slate(answer)
    assert "explored" not in kept
    assert "trials" not in kept["receipt"]


def test_a_list_that_is_shorter_than_the_slot_tries_nothing(
    client: Client, scenario: Made, ladder: None
) -> None:
    item("new", category="Home > Mugs")
    name = scenario("popular", popular=1.0, explore_slot=3)
    assert shown(client, name, count=2) == ["a", "b"]
    # Which of those that nobody was shown, the day decides.
    *best, untried = shown(client, name, count=3)
    assert (best, untried in ("d", "new")) == (["a", "b"], True)


def test_what_stands_behind_the_list_is_tried_out_too_and_keeps_its_reasons(
    client: Client, scenario: Made, ladder: None
) -> None:
    answer = listed(client, scenario("popular", popular=1.0, explore_slot=3, count=3))
    assert list(scores(answer)) == ["a", "b", "d"]
    assert reasons(answer)["d"] == [UNTRIED, {"source": "popular", "text": "Popular right now"}]
    assert slate(answer)["explored"]["of"] == 1


@pytest.fixture
def crowd(ladder: None) -> None:
    """The four of the ladder are looked at so often that nothing else gets among them."""
    seen_by(40, *"abcd")


def test_what_was_shown_often_enough_is_tried_no_more(
    client: Client, scenario: Made, crowd: None
) -> None:
    item("new", category="Home > Mugs")
    name = scenario("popular", popular=1.0, explore_slot=2, count=4)
    tried("new", LEARNED - 1, chosen=2)
    advance()
    answer = listed(client, name)
    assert list(scores(answer)) == ["a", "new", "b", "c"]
    assert slate(answer)["receipt"]["trials"] == {str(number("new")): [LEARNED - 1, 2]}
    tried("new", 1)
    advance()
    assert shown(client, name) == ["a", "b", "c", "d"]


def test_seen_twice_in_a_list_is_one_trial_and_a_click_alone_is_one(
    client: Client, scenario: Made, crowd: None
) -> None:
    item("new", category="Home > Mugs")
    twice, clicked = serve("new", "a"), serve("new")
    given([impression("ann", "new", at=n, slate=twice) for n in (1, 2)])
    given([view("bob", "new", at=n, slate=clicked) for n in (1, 2)])
    advance()
    answer = listed(client, scenario("popular", popular=1.0, explore_slot=2, count=4))
    assert slate(answer)["receipt"]["trials"] == {str(number("new")): [2, 1]}


def test_what_is_chosen_comes_up_more_often_than_what_is_passed_over(
    client: Client, scenario: Made, crowd: None
) -> None:
    for item_id in ("liked", "left"):
        item(item_id, category="Home > Mugs")
    tried("liked", 20, chosen=8)
    tried("left", 20)
    advance()
    name = scenario("popular", popular=1.0, explore_slot=4, count=4)
    answers = [listed(client, name, user_id=f"shopper-{n}") for n in range(20)]
    drawn = [list(scores(answer))[-1] for answer in answers]
    assert drawn.count("liked") > 15
    by_item = {e["item"]: e["propensity"] for e in (slate(a)["explored"] for a in answers)}
    assert by_item[number("liked")] > 0.9


def test_shoppers_try_different_items_and_a_reload_the_same(
    client: Client, scenario: Made, ladder: None
) -> None:
    for n in range(5):
        item(f"new-{n}", category="Home > Mugs")
    name = scenario("popular", popular=1.0, explore_slot=2, count=3)
    seen = [listed(client, name, user_id=f"shopper-{n}") for n in range(20)]
    again = [listed(client, name, user_id=f"shopper-{n}") for n in range(20)]
    assert [scores(one) for one in seen] == [scores(one) for one in again]
    assert len({list(scores(one))[1] for one in seen}) > 3
    assert {round(slate(one)["explored"]["propensity"], 9) for one in seen} == {round(1 / 6, 9)}


def test_the_newest_of_each_category_of_the_list_are_looked_at(
    client: Client, scenario: Made, ladder: None
) -> None:
    for n in range(9):
        item(f"mug-{n}", category="Home > Mugs")
    item("spade", category="Garden"), item("lid", category="Home")
    answer = listed(client, scenario("popular", popular=1.0, explore_slot=4))
    tried_items = {names("item_key")[int(n)] for n in slate(answer)["receipt"]["trials"]}
    assert tried_items == {*(f"mug-{n}" for n in range(4, 9)), "spade"}


def test_in_a_category_of_which_nothing_is_known_the_newest_are_shown(
    client: Client, scenario: Made, ladder: None
) -> None:
    item("hammock", category="Garden > Leisure")
    name = scenario("popular", popular=1.0, explore_slot=1)
    answer = listed(client, name, category="Garden > Leisure")
    assert (list(scores(answer)), answer["shortfall"]) == (["hammock"], 9)


def test_a_shop_without_categories_tries_its_newest(
    client: Client, scenario: Made, committed: None
) -> None:
    item("old"), item("new")
    seen_by(2, "old")
    advance()
    assert shown(client, scenario("popular", popular=1.0, explore_slot=2)) == ["old", "new"]


@pytest.mark.parametrize("how", ["hidden", "by attribute", "sold out", "dismissed", "bought"])
def test_what_may_not_be_shown_is_not_tried(
    client: Client, scenario: Made, ladder: None, how: str
) -> None:
    item("new", category="Home > Mugs", attributes={"colour": "green"})
    match how:
        case "hidden":
            rule(action="hide", item_id="new")
        case "by attribute":
            rule(action="hide", attribute="colour", value="green")
        case "sold out":
            changes.patch("new", {"stock": 0})
        case "dismissed":
            given(dismiss("ann", "new"))
        case "bought":
            given(purchase("ann", "new"))
    name = scenario("popular", popular=1.0, explore_slot=2, count=4, exclude_seen="purchased")
    assert shown(client, name, user_id="ann") == ["a", "b", "c", "d"]


def test_a_page_does_not_try_its_own_item(client: Client, scenario: Made, ladder: None) -> None:
    item("new", category="Home > Mugs")
    name = scenario("similar", popular=1.0, explore_slot=2, count=3)
    assert shown(client, name, item_id="b") == ["a", "new", "c"]
    assert "new" not in shown(client, name, item_id="new")


def test_a_pin_keeps_its_slot_and_a_cap_its_number(
    client: Client, scenario: Made, ladder: None
) -> None:
    item("new", category="Home > Mugs", brand="Uki"), item("more", category="Garden", brand="Ono")
    rule(action="pin", item_id="c", slot=2)
    name = scenario("popular", popular=1.0, explore_slot=2, count=4, most_per_brand=2)
    assert shown(client, name) == ["a", "c", "new", "b"]


@pytest.mark.parametrize(("seeds", "ranker"), [(None, None), (None, ""), (["a"], None)])
def test_every_way_of_gathering_finds_the_untried(
    ladder: None, seeds: list[str] | None, ranker: str | None
) -> None:
    item("new", category="Home > Mugs", seller="north")
    encode()
    plain = Wanted(
        shopper=None, seeds=None if seeds is None else [number(seed) for seed in seeds],
        weights=[1.0] * 7, category=EVERYTHING, seen=0, pool=50, ranker=ranker,
        now=datetime.now(UTC), fame=True,
    )  # fmt: skip
    gathered = candidates.gather(replace(plain, listed=1))
    assert [(c.item_id, c.parts, c.seller) for c in gathered.newest] == [("new", (), "north")]
    assert str(number("new")) in gathered.standing["trials"]
    assert gathered.told is None or len(gathered.told) == len(gathered.candidates)
    assert candidates.gather(plain).candidates == gathered.candidates


def test_the_page_of_a_list_says_what_was_tried_and_how_probable_it_was(
    client: Client, scenario: Made, ladder: None
) -> None:
    for n in range(3):
        item(f"new-{n}", category="Home > Mugs")
    answer = listed(client, scenario("popular", popular=1.0, explore_slot=2, count=3))
    boss = User.objects.create_superuser("boss")
    admin = Client()
    admin.force_login(boss)
    page = admin.get(f"/admin/recsite/slaterow/{answer['recommendation_id']}/change/")
    said = "place 2, drawn with probability 0.25 out of 4 items that few have been shown"
    assert f"<dt>tried out</dt><dd>{said}</dd>" in page.content.decode()
    boss.delete()
