"""Asking for a list: exact lists, exact reasons, and a code and a sentence for every refusal."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from catalog import changes
from catalog.models import Category, Rule, Scenario
from recsite import keys
from recsite.models import ApiKey
from tests.given import (
    advance,
    ask,
    cart,
    dismiss,
    encode,
    given,
    item,
    names,
    purchase,
    refund,
    uncart,
    view,
    wish,
)  # fmt: skip

DAY = timedelta(days=1)
POPULAR = {"source": "popular", "text": "Popular right now"}

Made = Callable[..., str]


@pytest.fixture
def client(committed: None) -> Iterator[Client]:
    key = keys.create("tests", "publishable")
    yield Client(headers={"Authorization": f"Bearer {key}"})
    ApiKey.objects.all().delete()


@pytest.fixture
def visitor(db: None) -> Client:
    """One who is refused: nothing of it is committed, so nothing has to be wiped."""
    return Client(headers={"Authorization": f"Bearer {keys.create('tests', 'publishable')}"})


@pytest.fixture
def scenario(committed: None) -> Iterator[Made]:
    """Make a scenario with these settings and no others; its name."""
    made: list[Scenario] = []

    def make(recipe: str, **settings: Any) -> str:
        name = f"test-{len(made)}"
        made.append(Scenario(name=name, recipe=recipe, **{"diversity": 0.0} | settings))
        made[-1].save()
        return name

    yield make
    for one in made:
        one.delete()


def listed(client: Client, scenario: str, **body: Any) -> Any:
    """The answer to a POST."""
    answer = client.post(f"/v1/recommend/{scenario}", body, "application/json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def shown(client: Client, scenario: str, **body: Any) -> list[str]:
    """The ids of a list, the best first."""
    return [one["item_id"] for one in listed(client, scenario, **body)["items"]]


def scores(answer: Any) -> dict[str, float]:
    return {one["item_id"]: one["score"] for one in answer["items"]}


def reasons(answer: Any) -> dict[str, list[dict[str, str]]]:
    return {one["item_id"]: one["reasons"] for one in answer["items"]}


def rule(*scenarios: str, **fields: Any) -> Rule:
    made = Rule(**fields)
    changes.save_rule(made, Scenario.objects.filter(name__in=scenarios))
    return made


def seen_by(crowd: int, *items: str, at: float = 0) -> None:
    """So many shoppers of no other interest look at each of the items."""
    given([view(f"anonymous:{i}-{n}", i, at=at) for i in items for n in range(crowd)])


@pytest.fixture
def ladder(committed: None) -> None:
    """Four items with 8, 4, 2 and 1 views, of two categories under one and of another."""
    item("a", category="Home > Mugs", brand="Ono", attributes={"colour": "red", "sizes": [1, 2]})
    item("b", category="Home > Cups", brand="Ono", attributes={"colour": "blue", "sale": True})
    item("c", category="Garden", brand="Ume", attributes={"colour": "red", "sizes": [2, 3]})
    item("d", category="Home > Mugs", brand="Ume")
    for crowd, item_id in ((8, "a"), (4, "b"), (2, "c"), (1, "d")):
        seen_by(crowd, item_id)
    advance()


# ── what cannot be answered ────────────────────────────────────────────────────────────────

LONG = "x" * 129
COUNT = "count must be a whole number from 1 to 100."
SEEN = "exclude_seen must be one of none, purchased, interacted."
ITEMS = "items must be a list of at most 100 item ids."
ONE_ITEM = "items must be text of 1 to 128 characters."
USER = "user_id must be text of 1 to 128 characters."

COUNTS: tuple[Any, ...] = (
    0, -1, 101, 1.5, 5.0, True, "NaN", "ten", "1e1", " 5", "٣", "5\0", [], [5], {}, 2**64 - 1,
    10**30, "9" * 5_000, "0000000010", "000000001" + "9" * 30, "000000001" + "0" * 5_000,
)  # fmt: skip
SEENS: tuple[Any, ...] = ("everything", "None", "none\0", 1, True, [], ["none"], {})
IDS: tuple[Any, ...] = (LONG, "a\0b", True, 1.5, [], {}, {"item_id": "mug"}, 10**30)

Case = tuple[str, dict[str, Any], int, str, str]


def _each(
    scenario: str, field: str, values: Iterable[Any], code: str, message: str
) -> Iterator[Case]:
    """A case for each bad value of a field."""
    for value in values:
        yield scenario, {field: value}, 400, code, message


@pytest.mark.parametrize(
    ("scenario", "body", "status", "code", "message"),
    [
        ("nowhere", {}, 404, "unknown_scenario", "There is no scenario 'nowhere' that is switched on."),
        ("Home", {}, 404, "unknown_scenario", "There is no scenario 'Home' that is switched on."),
        ("x" * 500, {}, 404, "unknown_scenario",
         f"There is no scenario '{'x' * 100}' that is switched on."),
        ("similar", {}, 400, "no_item", "The scenario 'similar' needs an item_id."),
        ("similar", {"item_id": ""}, 400, "no_item", "The scenario 'similar' needs an item_id."),
        ("similar", {"items": ["", None]}, 400, "no_item", "The scenario 'similar' needs an item_id."),
        ("similar", {"item_id": "ghost"}, 404, "unknown_item", "No item 'ghost' is known."),
        ("cart", {"items": ["ghost"]}, 404, "unknown_item", "No item 'ghost' is known."),
        ("home", {"category": "Moon"}, 404, "unknown_category", "There is no category 'Moon'."),
        ("home", {"category": "home > mugs"}, 404, "unknown_category",
         "There is no category 'home > mugs'."),
        ("home", {"category": "x" * 1_001}, 400, "bad_category",
         "category must be text of 1 to 1000 characters."),
        ("home", {"category": "a\0b"}, 400, "bad_category",
         "category must be text of 1 to 1000 characters."),
        ("home", {"category": ["Home"]}, 400, "bad_category",
         "category must be text of 1 to 1000 characters."),
        *_each("home", "count", COUNTS, "bad_count", COUNT),
        *_each("home", "exclude_seen", SEENS, "bad_exclude_seen", SEEN),
        *_each("home", "items", ("mug", {"item_id": "mug"}, 7, True, ["i"] * 101), "bad_items", ITEMS),
        *_each("cart", "items", [[one] for one in IDS], "bad_items", ONE_ITEM),
        *_each("home", "user_id", (*IDS, False, ["ann"]), "bad_user_id", USER),
        ("cart", {"item_id": "mug", "items": "cup"}, 400, "bad_items", ITEMS),
        ("cart", {"item_id": "mug", "items": ["i"] * 100}, 400, "bad_items", ITEMS),
        ("similar", {"item_id": LONG}, 400, "bad_items", ONE_ITEM),
        ("home", {"anonymous_id": "a\0b"}, 400, "bad_anonymous_id",
         "anonymous_id must be text of 1 to 128 characters."),
    ],
)  # fmt: skip
def test_a_bad_request_is_told_what_is_wrong(
    visitor: Client, scenario: str, body: Any, status: int, code: str, message: str
) -> None:
    answer = visitor.post(f"/v1/recommend/{scenario}", body, "application/json")
    assert (answer.status_code, answer.json()) == (status, {"code": code, "message": message})
    assert ask("SELECT count(*) FROM slate") == [(0,)]


@pytest.mark.parametrize("body", ["[]", '["home"]', '"home"', "1", "null", "true"])
def test_a_body_that_is_no_object(visitor: Client, body: str) -> None:
    answer = visitor.post("/v1/recommend/home", body, "application/json")
    said = {"code": "not_an_object", "message": "Send a JSON object."}
    assert (answer.status_code, answer.json()) == (400, said)


def test_half_a_character_is_no_json(visitor: Client) -> None:
    body = '{"user_id": "\\ud800"}'
    answer = visitor.post("/v1/recommend/home", body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "broken_json")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("count=0", 400, "bad_count"),
        ("count=NaN", 400, "bad_count"),
        ("count=-1", 400, "bad_count"),
        ("exclude_seen=x", 400, "bad_exclude_seen"),
        ("items=" + ",".join("i" * 101), 400, "bad_items"),
        ("user_id=" + LONG, 400, "bad_user_id"),
        ("user_id=%00", 400, "bad_request"),
        ("category=Moon", 404, "unknown_category"),
        ("category=%ED%A0%80", 404, "unknown_category"),
    ],
)
def test_a_bad_query_is_told_the_same(visitor: Client, query: str, status: int, code: str) -> None:
    answer = visitor.get(f"/v1/recommend/home?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_scenario_that_is_switched_off_is_unknown(client: Client, scenario: Made) -> None:
    name = scenario("popular", popular=1.0, enabled=False)
    answer = client.get(f"/v1/recommend/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_scenario")


@pytest.mark.parametrize(
    "body",
    [
        {"user_id": "nobody"},
        {"user_id": "x" * 128},
        {"user_id": 2**64 - 1},
        {"user_id": ""},
        {"anonymous_id": "\U0001f4a9"},
        {"user_id": None, "count": None, "exclude_seen": "", "category": "", "items": []},
        {"count": "4", "unheard": {"of": [1]}},
        {},
    ],
)
def test_whoever_is_unknown_is_a_stranger(client: Client, ladder: None, body: Any) -> None:
    assert shown(client, "home", **body) == ["a", "b", "c", "d"]


# ── what is popular ────────────────────────────────────────────────────────────────────────


def test_the_popular_list_halves_with_the_views(
    client: Client, scenario: Made, ladder: None
) -> None:
    answer = listed(client, scenario("popular", popular=2.0, count=4))
    assert scores(answer) == {"a": 2.0, "b": 1.0, "c": 0.5, "d": 0.25}
    assert reasons(answer) == {key: [POPULAR] for key in "abcd"}
    assert answer["shortfall"] == 0
    assert set(answer) == {"recommendation_id", "items", "shortfall", "position"}


def test_scores_have_six_digits(client: Client, scenario: Made, committed: None) -> None:
    item("a"), item("b")
    seen_by(3, "a")
    seen_by(1, "b")
    advance()
    answer = listed(client, scenario("popular", popular=1.0))
    # The heights are kept in steps of 2^-16 of a doubling, so a third is one to six digits less one.
    assert scores(answer) == {"a": 1.0, "b": pytest.approx(1 / 3, abs=4e-6)}
    assert scores(answer)["b"] == round(scores(answer)["b"], 6)


def test_equal_scores_stand_in_the_order_in_which_the_items_were_first_heard_of(
    client: Client, scenario: Made, committed: None
) -> None:
    for item_id in ("z", "y", "x"):
        item(item_id)
    seen_by(2, "x", "y", "z")
    advance()
    assert shown(client, scenario("popular", popular=1.0)) == ["z", "y", "x"]


def test_the_answer_says_by_how_much_it_falls_short(client: Client, ladder: None) -> None:
    assert listed(client, "popular")["shortfall"] == 6
    assert listed(client, "popular", count=100)["shortfall"] == 96
    assert listed(client, "popular", count=4)["shortfall"] == 0
    assert listed(client, "popular", count=2)["shortfall"] == 0
    assert shown(client, "popular", count=2) == ["a", "b"]


def test_an_empty_shop_has_an_empty_list(client: Client, committed: None) -> None:
    for name in ("home", "popular", "cart"):
        answer = listed(client, name)
        assert (answer["items"], answer["shortfall"]) == ([], 10)


def test_a_category_means_all_below_it(client: Client, ladder: None) -> None:
    assert shown(client, "popular", category="Home") == ["a", "b", "d"]
    assert shown(client, "popular", category="Home > Mugs") == ["a", "d"]
    assert shown(client, "home", category="Garden") == ["c"]
    assert listed(client, "popular", category="Home > Mugs", count=3)["shortfall"] == 1


def test_what_is_not_for_sale_is_in_no_list(client: Client, ladder: None) -> None:
    changes.patch("a", {"stock": 0})
    changes.patch("c", {"available": False})
    assert shown(client, "popular") == shown(client, "home") == ["b", "d"]
    changes.patch("a", {"stock": None})
    changes.remove(["b"])
    assert shown(client, "popular") == ["a", "d"]


# ── what follows from the shopper ──────────────────────────────────────────────────────────


@pytest.fixture
def pairs(committed: None) -> None:
    """Two shoppers who went from the mug to the cup, one who went from the mug to the jug."""
    for item_id, title in (("mug", "Blue mug"), ("cup", ""), ("jug", ""), ("pot", "")):
        item(item_id, title=title, category=item_id)
    for user in ("u1", "u2"):
        given([view(user, "mug"), view(user, "cup", at=1)])
    given([view("u3", "mug"), view("u3", "jug", at=1), view("u4", "pot")])
    advance()


@pytest.mark.parametrize(
    ("deeds", "said"),
    [
        ((view,), "viewed"),
        ((view, cart), "added to your cart"),
        ((view, wish), "wished for"),
        ((wish, cart), "added to your cart"),
        ((view, cart, purchase), "bought"),
        ((purchase, view), "bought"),
        ((view, purchase, refund, view), "viewed"),
        ((purchase, refund, purchase), "bought"),
        ((view, cart, uncart), "viewed"),
        ((cart, purchase, uncart), "bought"),
    ],
)
def test_a_reason_names_the_shoppers_own_item_and_the_strongest_deed(
    client: Client, scenario: Made, pairs: None, deeds: Any, said: str
) -> None:
    name = scenario("personal", viewed=1.0, exclude_seen="interacted")
    given([deed("ann", "mug", at=n) for n, deed in enumerate(deeds)])
    because = {"source": "viewed", "text": f"Because you {said} Blue mug", "because": "mug"}
    assert reasons(listed(client, name, user_id="ann")) == {"cup": [because], "jug": [because]}


def test_of_others_items_it_says_what_they_have_in_common(
    client: Client, scenario: Made, pairs: None
) -> None:
    name = scenario("similar", viewed=1.0)
    often = {"source": "viewed", "text": "Often viewed together with Blue mug", "because": "mug"}
    answer = listed(client, name, item_id="mug")
    assert reasons(answer) == {"cup": [often], "jug": [often]}
    # C[i,j] / n_j^0.1, as a share of the best: two pairs and two views against one and one.
    assert scores(answer) == {"cup": 1.0, "jug": round(1 / (2 * 2**-0.1), 6)}
    untitled = listed(client, name, item_id="cup")
    assert untitled["items"][0]["reasons"][0]["text"] == "Often viewed together with cup"


def test_the_strongest_source_speaks_first(client: Client, scenario: Made, pairs: None) -> None:
    name = scenario("similar", viewed=0.5, popular=1.0, trending=0.1)
    sources = {
        item_id: [reason["source"] for reason in why]
        for item_id, why in reasons(listed(client, name, item_id="mug")).items()
    }
    # Of the cup's two views and the mug's three, popularity makes two thirds.
    assert sources == {
        "cup": ["popular", "viewed", "trending"],
        "jug": ["popular", "viewed", "trending"],
        "pot": ["popular", "trending"],
    }


def test_what_is_alike_names_the_strongest_item_and_never_itself(
    client: Client, scenario: Made, pairs: None
) -> None:
    encode()
    name = scenario("personal", content=1.0)
    viewed = {"source": "content", "text": "Because you viewed Blue mug", "because": "mug"}
    given(view("ann", "mug"))
    others = {"cup": [viewed], "jug": [viewed], "pot": [viewed]}
    assert reasons(listed(client, name, user_id="ann")) == others
    given(cart("ann", "pot", at=1))
    chosen = {"source": "content", "text": "Because you added to your cart pot", "because": "pot"}
    assert reasons(listed(client, name, user_id="ann")) == {
        "mug": [chosen], "cup": [chosen], "jug": [chosen], "pot": [viewed],
    }  # fmt: skip


def test_bought_together_and_bought_after(client: Client, scenario: Made, committed: None) -> None:
    for item_id in ("bed", "pillow", "sheet"):
        item(item_id)
    given([view("u1", "bed"), purchase("u1", "pillow", "sheet", at=1)])
    advance()
    together, after = scenario("similar", bought=1.0), scenario("similar", led=1.0)
    assert shown(client, together, item_id="pillow") == ["sheet"]
    assert shown(client, together, item_id="bed") == []
    assert shown(client, after, item_id="bed") == ["pillow", "sheet"]
    said = listed(client, after, item_id="bed")["items"][0]["reasons"]
    assert said == [{"source": "led", "text": "Often bought after bed", "because": "bed"}]


def test_one_purchase_is_no_habit_and_two_are(
    client: Client, scenario: Made, committed: None
) -> None:
    item("milk"), item("sofa")
    given([purchase("ann", "milk"), purchase("ann", "milk", at=7 * 1_440), purchase("ann", "sofa")])
    answer = listed(client, scenario("personal", again=1.0), user_id="ann")
    assert reasons(answer) == {"milk": [{"source": "again", "text": "You buy this regularly"}]}


def test_a_click_counts_before_any_worker_has_seen_it(client: Client, pairs: None) -> None:
    """Only the shopper's own state has moved; nothing was folded since."""
    # The four most viewed: the mug 3, the cup 2, the jug and the pot 1.
    assert shown(client, "home", user_id="ann") == ["mug", "cup", "jug", "pot"]
    given(view("ann", "mug"))
    assert shown(client, "home", user_id="ann") == ["cup", "jug", "mug", "pot"]


def test_what_a_shopper_dismissed_proposes_nothing(
    client: Client, scenario: Made, pairs: None
) -> None:
    given(dismiss("ann", "mug"))
    assert shown(client, scenario("personal", viewed=1.0), user_id="ann") == []


def test_an_anonymous_shopper_is_another_than_the_user_of_that_name(
    client: Client, scenario: Made, pairs: None
) -> None:
    name = scenario("personal", viewed=1.0, exclude_seen="interacted")
    given(view("anonymous:ann", "mug"))
    assert shown(client, name, anonymous_id="ann") == ["cup", "jug"]
    assert shown(client, name, user_id="ann") == []
    assert shown(client, name, user_id="ann", anonymous_id="ann") == []


# ── what the shopper has seen ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("seen", "left"),
    [("none", "abcd"), ("purchased", "bcd"), ("interacted", "d"), ("", "abcd")],
)
def test_what_was_seen_is_left_out_as_asked(
    client: Client, scenario: Made, ladder: None, seen: str, left: str
) -> None:
    given([purchase("ann", "a"), cart("ann", "b", at=1), wish("ann", "c", at=2)])
    name = scenario("popular", popular=1.0)
    assert shown(client, name, user_id="ann", exclude_seen=seen) == list(left)
    assert shown(client, name, exclude_seen=seen) == list("abcd")


def test_what_was_given_back_is_not_left_out_as_purchased(
    client: Client, scenario: Made, ladder: None
) -> None:
    given([purchase("ann", item, at=0) for item in "ab"])
    given(refund("ann", "a", at=60), purchase("ann", "c", at=1), refund("ann", "c", at=2))
    given(purchase("ann", "c", at=200))
    name = scenario("popular", popular=1.0)
    assert shown(client, name, user_id="ann", exclude_seen="purchased") == list("ad")


def test_what_was_dismissed_is_in_no_list_of_that_shopper(
    client: Client, scenario: Made, ladder: None
) -> None:
    given(dismiss("ann", "b"))
    name = scenario("popular", popular=1.0)
    assert shown(client, name, user_id="ann") == list("acd")
    assert shown(client, name, user_id="bob") == list("abcd")


def test_the_scenario_says_what_is_left_out_where_the_request_does_not(
    client: Client, scenario: Made, ladder: None
) -> None:
    given([purchase("ann", "a"), view("ann", "b", at=1)])
    name = scenario("popular", popular=1.0, exclude_seen="purchased")
    assert shown(client, name, user_id="ann") == ["b", "c", "d"]
    assert shown(client, name, user_id="ann", exclude_seen="none") == ["a", "b", "c", "d"]


# ── a page, a basket ───────────────────────────────────────────────────────────────────────


def test_a_page_never_shows_its_own_item(client: Client, scenario: Made, ladder: None) -> None:
    assert shown(client, scenario("similar", popular=1.0), item_id="b") == ["a", "c", "d"]


def test_a_basket_shows_nothing_that_is_in_it(client: Client, scenario: Made, ladder: None) -> None:
    name = scenario("basket", popular=1.0)
    assert shown(client, name, items=["b", "d"]) == ["a", "c"]
    assert shown(client, name, item_id="b", items=["d", "b"]) == ["a", "c"]
    assert shown(client, name) == ["a", "b", "c", "d"]


def test_items_in_an_address_are_repeated_or_have_commas(
    client: Client, scenario: Made, ladder: None
) -> None:
    name = scenario("basket", popular=1.0)
    for query in ("items=b,d", "items=b&items=d", "item_id=b&items=d", "items=,b,,d,"):
        got = client.get(f"/v1/recommend/{name}?{query}").json()
        assert list(scores(got)) == ["a", "c"]


def test_ids_that_nobody_ever_named_are_given_back(
    client: Client, scenario: Made, ladder: None
) -> None:
    answer = listed(client, scenario("basket", popular=1.0), items=["ghost", "b", "x", "ghost"])
    assert answer["unknown_items"] == ["ghost", "x"]
    assert list(scores(answer)) == ["a", "c", "d"]


def test_an_item_that_left_the_shop_still_has_neighbours(
    client: Client, scenario: Made, pairs: None
) -> None:
    changes.remove(["mug"])
    answer = listed(client, scenario("similar", viewed=1.0), item_id="mug")
    assert list(scores(answer)) == ["cup", "jug"]
    assert answer["items"][0]["reasons"][0]["text"] == "Often viewed together with mug"


# ── diversity ──────────────────────────────────────────────────────────────────────────────


def test_diversity_moves_what_repeats_the_best_behind_what_does_not(
    client: Client, scenario: Made, committed: None
) -> None:
    item("a", title="Mug", category="Mugs", brand="Ono")
    item("b", title="Mug", category="Mugs", brand="Ono")  # the same text as the first
    item("c", title="Big mug", category="Mugs", brand="Ume")  # the same category
    item("d", title="Jug", category="Jugs", brand="Ono")  # the same brand
    item("e", title="Rug", category="Rugs", brand="Uki")
    for crowd, item_id in ((16, "a"), (15, "b"), (14, "c"), (13, "d"), (12, "e")):
        seen_by(crowd, item_id)
    advance()

    def order(diversity: float) -> str:
        return "".join(shown(client, scenario("popular", popular=1.0, diversity=diversity)))

    assert order(0.0) == "abcde"
    # By 0.5: e keeps 12/16·0.5, d loses 0.15, c 0.3 and b 0.5.
    assert order(0.5) == "aedcb"
    # By 0.15: b keeps 15/16·0.85 less 0.15, c 14/16·0.85 less 0.09, which is more.
    assert order(0.15) == "acbde"


# ── the same again ─────────────────────────────────────────────────────────────────────────


def test_the_same_request_over_the_same_tables_is_the_same_list(
    client: Client, ladder: None
) -> None:
    given([view("ann", "a"), purchase("ann", "b", at=1)])
    one, two = (listed(client, "home", user_id="ann") for _ in range(2))
    assert one["items"] == two["items"]
    assert one["recommendation_id"] != two["recommendation_id"]
    got = client.get("/v1/recommend/home?user_id=ann").json()
    assert got["items"] == one["items"]


def test_every_list_is_kept_with_what_explains_it(
    client: Client, scenario: Made, ladder: None
) -> None:
    hide = rule(action="hide", item_id="a")
    boost = rule(action="boost", brand="Ume", factor=3)
    pin = rule(action="pin", item_id="b", slot=3)
    name = scenario("popular", popular=1.0)
    answer = listed(client, name, user_id="ann", count=3, category="Home", exclude_seen="none")
    ids = {key: str(number) for number, key in names("item_key").items()}
    ((slate, place, shopper, kept, shortfall, detail),) = ask(
        "SELECT id::text, scenario, subject, items, shortfall, detail FROM slate_log"
    )
    assert (slate, place, shopper) == (answer["recommendation_id"], name, None)
    assert (kept, shortfall) == (["d", "b"], 1)
    said = json.loads(detail)
    assert said.keys() - {"asked", "scores", "reasons", "rules"} == {"receipt", "recorded"}
    assert {part: said[part] for part in ("asked", "scores", "reasons", "rules")} == {
        "asked": {"items": [], "category": "Home", "count": 3, "exclude_seen": "none"},
        "scores": list(scores(answer).values()),
        "reasons": list(reasons(answer).values()),
        "rules": {
            "hidden": {ids["a"]: hide.pk},
            "moved": {ids["d"]: [boost.pk]},
            "pinned": {ids["b"]: pin.pk},
        },
    }


def test_a_batch_gives_the_lists_of_the_api(client: Client, ladder: None, tmp_path: Path) -> None:
    given([view("ann", "c"), view("ann", "a", at=1), purchase("bob", "d")])
    advance()
    users, out = tmp_path / "users.csv", tmp_path / "lists.csv"
    users.write_text("user_id\nann\nbob\nnobody\n")
    call_command(
        "recommend", users=str(users), out=str(out), count=3, exclude_seen="purchased",
        stdout=StringIO(), stderr=StringIO(),
    )  # fmt: skip
    expected = ["user_id,rank,item_id,score"]
    for user in ("ann", "bob", "nobody"):
        answer = listed(client, "home", user_id=user, count=3, exclude_seen="purchased")
        ranked = enumerate(scores(answer).items(), 1)
        expected += [f"{user},{rank},{item_id},{score}" for rank, (item_id, score) in ranked]
    assert out.read_text().splitlines() == expected
    assert ask("SELECT count(*) FROM slate") == [(3,)]


# ── rules ──────────────────────────────────────────────────────────────────────────────────


def category(path: str) -> Category:
    return Category.objects.get(path=path)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"action": "hide", "item_id": "b"}, "acd"),
        ({"action": "hide", "brand": "Ono"}, "cd"),
        ({"action": "hide", "brand": "ono"}, "abcd"),
        ({"action": "hide", "attribute": "colour", "value": "red"}, "bd"),
        ({"action": "hide", "attribute": "sizes", "value": "3"}, "abd"),
        ({"action": "hide", "attribute": "sizes", "value": "2"}, "bd"),
        ({"action": "hide", "attribute": "sale", "value": "true"}, "acd"),
        ({"action": "hide", "attribute": "sale", "value": "True"}, "abcd"),
        ({"action": "hide", "attribute": "weight", "value": "null"}, "abcd"),
        ({"action": "boost", "item_id": "c", "factor": 3}, "acbd"),
        ({"action": "boost", "item_id": "c", "factor": 5}, "cabd"),
        ({"action": "boost", "brand": "Ume", "factor": 9}, "cdab"),
        ({"action": "bury", "item_id": "a", "factor": 0.4}, "bacd"),
        ({"action": "bury", "item_id": "a", "factor": 0}, "bcda"),
        ({"action": "bury", "brand": "Ono", "factor": 0.2}, "cadb"),
        ({"action": "pin", "item_id": "d", "slot": 1}, "dabc"),
        ({"action": "pin", "item_id": "d", "slot": 3}, "abdc"),
        ({"action": "pin", "item_id": "a", "slot": 2}, "bacd"),
        ({"action": "pin", "item_id": "a", "slot": 99}, "bcda"),
    ],
)
def test_a_rule_does_exactly_this(
    client: Client, scenario: Made, ladder: None, fields: Any, expected: str
) -> None:
    rule(**fields)
    assert shown(client, scenario("popular", popular=1.0)) == list(expected)


@pytest.mark.parametrize(
    ("path", "expected"), [("Home", "c"), ("Home > Mugs", "bc"), ("Garden", "abd")]
)
def test_a_rule_about_a_category_covers_all_below_it(
    client: Client, scenario: Made, ladder: None, path: str, expected: str
) -> None:
    rule(action="hide", category=category(path))
    assert shown(client, scenario("popular", popular=1.0)) == list(expected)


def test_several_rules_multiply_and_a_hidden_item_stays_hidden(
    client: Client, scenario: Made, ladder: None
) -> None:
    rule(action="boost", brand="Ume", factor=2)
    rule(action="boost", item_id="c", factor=3)
    rule(action="bury", item_id="d", factor=0.5)
    answer = listed(client, scenario("popular", popular=1.0))
    assert scores(answer) == {"c": 1.5, "a": 1.0, "b": 0.5, "d": 0.125}
    rule(action="hide", item_id="c")
    assert shown(client, scenario("popular", popular=1.0)) == ["a", "b", "d"]


def test_two_pins_for_a_slot_stand_one_after_the_other(
    client: Client, scenario: Made, ladder: None
) -> None:
    rule(action="pin", item_id="d", slot=1)
    rule(action="pin", item_id="c", slot=1)
    assert shown(client, scenario("popular", popular=1.0)) == ["d", "c", "a", "b"]


def test_a_pin_shows_what_no_source_proposes_but_nothing_that_is_not_for_sale(
    client: Client, scenario: Made, ladder: None
) -> None:
    item("new"), item("gone", stock=0)
    rule(action="pin", item_id="gone", slot=1)
    rule(action="pin", item_id="new", slot=2)
    answer = listed(client, scenario("popular", popular=1.0), count=3)
    assert list(scores(answer)) == ["a", "new", "b"]
    assert reasons(answer)["new"] == [{"source": "rule", "text": "Picked by the shop"}]


def test_a_pin_does_not_break_out_of_the_category_that_was_asked_for(
    client: Client, scenario: Made, ladder: None
) -> None:
    rule(action="pin", item_id="c", slot=1)
    name = scenario("popular", popular=1.0)
    assert shown(client, name, category="Home") == ["a", "b", "d"]
    assert shown(client, name, category="Garden") == ["c"]


def test_a_pin_does_not_show_a_page_its_own_item_nor_a_basket_what_is_in_it(
    client: Client, scenario: Made, ladder: None
) -> None:
    rule(action="pin", item_id="c", slot=1)
    assert shown(client, scenario("similar", popular=1.0), item_id="c") == ["a", "b", "d"]
    assert shown(client, scenario("basket", popular=1.0), items=["a", "c"]) == ["b", "d"]


def test_a_rule_works_in_its_scenarios_and_from_its_start_until_its_end(
    client: Client, scenario: Made, ladder: None
) -> None:
    now = datetime.now(UTC)
    there, elsewhere = scenario("popular", popular=1.0), scenario("popular", popular=1.0)
    rule(there, action="hide", item_id="a")
    rule(action="hide", item_id="b", starts_at=now - DAY, ends_at=now + DAY)
    rule(action="hide", item_id="c", starts_at=now + DAY)
    rule(action="hide", item_id="d", ends_at=now - DAY)
    assert shown(client, there) == ["c", "d"]
    assert shown(client, elsewhere) == ["a", "c", "d"]


# ── a list is full as long as there is something to show ───────────────────────────────────


@pytest.fixture
def seventy(committed: None) -> None:
    """Sixty-five items that are looked at twice, and five that are looked at once."""
    for number in range(70):
        item(f"i{number:02}", brand="Ono" if number < 65 else "Ume")
    seen_by(2, *(f"i{number:02}" for number in range(65)))
    seen_by(1, *(f"i{number:02}" for number in range(65, 70)))
    advance()


REST = [f"i{number}" for number in range(65, 70)]


def test_when_the_most_popular_are_sold_out_the_next_ones_are_shown(
    client: Client, seventy: None
) -> None:
    changes.patch_all({f"i{number:02}": {"stock": 0} for number in range(65)})
    assert shown(client, "popular") == REST


def test_when_the_most_popular_were_bought_the_next_ones_are_shown(
    client: Client, seventy: None
) -> None:
    given([purchase("ann", f"i{number:02}", at=number) for number in range(65)])
    assert shown(client, "popular", user_id="ann", exclude_seen="purchased") == REST


def test_when_the_most_popular_are_hidden_the_next_ones_are_shown(
    client: Client, seventy: None
) -> None:
    rule(action="hide", brand="Ono")
    assert shown(client, "popular") == REST
