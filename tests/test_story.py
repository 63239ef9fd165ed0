"""The story, over HTTP and with real processes: from an empty shop to a list that follows.

What the README walks through: a web server and a worker on one Postgres, a shop that only
knows its two keys. Nothing is folded by hand here; the worker is woken by commits alone.
"""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from catalog import changes
from catalog.models import Rule
from tests import servers
from tests.given import ask, attributed, differing
from tests.servers import Shop, eventually, ids, reasons, wait_for_the_worker


@pytest.fixture(scope="module")
def port(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    home = tmp_path_factory.mktemp("story")
    with django_db_blocker.unblock(), servers.serving(home) as port:
        yield port


@pytest.fixture
def shop(committed: None, port: int) -> Iterator[Shop]:
    with servers.shop(port) as open_shop:
        yield open_shop


def item(item_id: str, title: str, category: str, **more: Any) -> dict[str, Any]:
    return {"item_id": item_id, "title": title, "category": category} | more


def did(event: str, user: str, item_id: str, **more: Any) -> dict[str, Any]:
    return {"event": event, "user_id": user, "item_id": item_id} | more


def views(user: str, *items: str) -> list[dict[str, Any]]:
    return [did("view_item", user, item_id) for item_id in items]


GOODS = (
    item("mug", "Blue mug", "Kitchen > Mugs", price=7.5, currency="EUR"),
    item("cup", "Espresso cup", "Kitchen > Cups"),
    item("teapot", "Iron teapot", "Kitchen > Pots"),
    item("lamp", "Reading lamp", "Living > Lamps"),
    item("rug", "Wool rug", "Living > Rugs"),
    item("tent", "Tent for two", "Garden"),
)
# Without a word of text, so that no worker loads the model for them.
PLAIN = tuple({"item_id": good["item_id"]} for good in GOODS)
POPULAR = {"source": "popular", "text": "Popular right now"}
BECAUSE_OF_THE_LAMP = {
    "source": "viewed", "text": "Because you viewed Reading lamp", "because": "lamp",
}  # fmt: skip


def open_with_a_history(shop: Shop, goods: Sequence[dict[str, Any]] = PLAIN) -> None:
    """The goods, and what three shoppers looked at: the lamp most, with the rug most often."""
    shop.stock(*goods)
    shop.tell(*views("bea", "lamp", "rug"), *views("cal", "lamp", "rug"))
    shop.tell(*views("dan", "lamp", "tent"))
    wait_for_the_worker()


def wait_for_the_texts() -> None:
    """Until the worker has encoded the texts of all items."""
    eventually(lambda: ask("SELECT count(vector) FROM embedding"), lambda n: n == [(len(GOODS),)])


# ── the story ──────────────────────────────────────────────────────────────────────────────


def test_a_list_follows_the_shopper(shop: Shop) -> None:
    assert shop.ask("home", user_id="ann") | {"recommendation_id": "", "position": ""} == {
        "recommendation_id": "", "items": [], "shortfall": 10, "position": "",
    }  # fmt: skip
    open_with_a_history(shop, GOODS)
    wait_for_the_texts()
    a_stranger_is_shown_what_is_popular(shop)
    a_view_changes_the_very_next_list(shop)
    what_others_do_changes_the_item_page(shop)
    a_purchase_is_attributed_to_the_list(shop)
    assert differing() == []


def a_stranger_is_shown_what_is_popular(shop: Shop) -> None:
    home = shop.ask("home")
    assert ids(home) == ["lamp", "rug", "tent"]
    assert home["shortfall"] == 7
    assert reasons(home, "lamp")[0] == POPULAR
    assert shop.shown("home", user_id="ann") == ["lamp", "rug", "tent"]


def a_view_changes_the_very_next_list(shop: Shop) -> None:
    shop.tell(*views("ann", "lamp"))
    home = shop.ask("home", user_id="ann")
    assert ids(home)[:3] == ["rug", "tent", "lamp"]
    assert reasons(home, "rug")[0] == reasons(home, "tent")[0] == BECAUSE_OF_THE_LAMP
    assert shop.shown("home", user_id="zoe") == ["lamp", "rug", "tent"]


def what_others_do_changes_the_item_page(shop: Shop) -> None:
    """Text alone speaks for the neighbours of a mug that nobody has looked at yet."""
    page = shop.ask("similar", item_id="mug")
    assert {reason["text"] for i in ids(page) for reason in reasons(page, i)[:1]} == {
        "Similar to Blue mug"
    }
    for user in ("bea", "cal"):
        shop.tell(*views(user, "mug", "teapot"), did("purchase", user, "teapot"))
    wait_for_the_worker()
    page = shop.ask("similar", item_id="mug")
    assert ids(page)[0] == "teapot"
    assert {(reason["source"], reason["text"]) for reason in reasons(page, "teapot")} == {
        ("viewed", "Often viewed together with Blue mug"),
        ("led", "Often bought after Blue mug"),
        ("content", "Similar to Blue mug"),
    }


def a_purchase_is_attributed_to_the_list(shop: Shop) -> None:
    home = shop.ask("home", user_id="ann", count=3)
    slate = uuid.UUID(home["recommendation_id"])
    recorded = "SELECT scenario, subject, items, shortfall FROM slate_log WHERE id = %s"
    assert ask(recorded, slate) == [("home", "user:ann", ids(home), 0)]

    shop.tell(did("purchase", "ann", "rug", recommendation_id=str(slate), price=80, quantity=1))
    expected = [(slate, "purchase", "rug", 1 + ids(home).index("rug"))]
    assert eventually(attributed) == expected
    assert "rug" not in shop.shown("home", user_id="ann", exclude_seen="purchased")


# ── the merchant's hand shows in the very next answer ──────────────────────────────────────


def test_a_sold_out_item_is_in_no_list_and_comes_back_with_the_stock(shop: Shop) -> None:
    open_with_a_history(shop)
    shop.change("lamp", stock=0)
    assert shop.shown("popular") == ["rug", "tent"]
    shop.change("lamp", stock=1)
    assert shop.shown("popular") == ["lamp", "rug", "tent"]


def test_an_item_that_is_switched_off_or_deleted_is_gone_at_once(shop: Shop) -> None:
    open_with_a_history(shop)
    shop.change("rug", available=False)
    assert shop.shown("popular") == ["lamp", "tent"]
    assert shop.call("DELETE", "/v1/items/tent", key=shop.secret) == (204, None)
    assert shop.shown("popular") == ["lamp"]


def test_a_new_price_stands_at_once_and_reorders_nothing(shop: Shop) -> None:
    open_with_a_history(shop)
    shop.change("rug", price=79.9)
    assert shop.call("GET", "/v1/items/rug", key=shop.secret).body["price"] == 79.9
    assert shop.shown("popular") == ["lamp", "rug", "tent"]


def test_a_rule_works_from_the_next_request_on(shop: Shop) -> None:
    open_with_a_history(shop)
    hide = Rule(action="hide", item_id="rug")
    changes.save_rule(hide, [])
    assert shop.shown("popular") == ["lamp", "tent"]
    changes.save_rule(Rule(action="pin", item_id="cup", slot=1), [])
    pinned = shop.ask("popular")
    assert ids(pinned) == ["cup", "lamp", "tent"]
    assert reasons(pinned, "cup") == [{"source": "rule", "text": "Picked by the shop"}]
    changes.delete_rule(hide)
    assert shop.shown("popular") == ["cup", "lamp", "rug", "tent"]


# ── keys ───────────────────────────────────────────────────────────────────────────────────


def test_a_page_may_not_write_items(shop: Shop) -> None:
    refused = shop.call("POST", "/v1/items", list(GOODS), key=shop.public)
    assert (refused.status, refused.body["code"]) == (403, "wrong_scope")
    assert shop.call("GET", "/v1/items/mug", key=shop.secret).status == 404
    assert ask("SELECT count(*) FROM event") == [(0,)]


@pytest.mark.parametrize(("key", "code"), [("", "no_key"), ("pk_invented", "wrong_key")])
def test_without_a_key_nothing_is_said_or_done(shop: Shop, key: str, code: str) -> None:
    for method, path, body in (
        ("POST", "/v1/events", views("ann", "mug")),
        ("GET", "/v1/recommend/home", None),
        ("POST", "/v1/items", list(GOODS)),
    ):
        refused = shop.call(method, path, body, key=key)
        assert (refused.status, refused.body["code"]) == (401, code)
    assert ask("SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM slate)") == [(0, 0)]
