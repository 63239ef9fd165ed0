"""The catalogue over HTTP: one item, many items, and what a bad one is told."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client

from catalog.models import Item
from recsite import keys

pytestmark = pytest.mark.django_db

EMPTY: dict[str, Any] = {
    "title": "",
    "description": "",
    "category": "",
    "brand": "",
    "seller": "",
    "price": None,
    "currency": "",
    "stock": None,
    "available": True,
    "image": "",
    "attributes": {},
}

Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call() -> Call:
    """Call the API with a secret key: (status, body)."""
    client = Client(headers={"Authorization": f"Bearer {keys.create('tests', 'secret')}"})

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = b"" if body is None else orjson.dumps(body)
        answer = client.generic(method, path, data, content_type="application/json")
        return answer.status_code, orjson.loads(answer.content) if answer.content else None

    return ask


def events() -> list[str]:
    from behavior.events import Kind
    from recsite.db import cursor

    with cursor() as hot:
        return [Kind(k).label for (k,) in hot.execute("SELECT kind FROM event ORDER BY id, xid")]


def test_put_makes_an_item_and_get_shows_it(call: Call) -> None:
    mug = {"title": "Mug", "category": ["Home", "Mugs"], "price": "7.50", "colour": "blue"}
    said = EMPTY | {
        "item_id": "mug",
        "title": "Mug",
        "category": "Home > Mugs",
        "price": 7.5,
        "attributes": {"colour": "blue"},
    }
    status, made = call("PUT", "/v1/items/mug", mug)
    changed_at = made.pop("changed_at")
    assert (status, made) == (201, said)
    assert call("GET", "/v1/items/mug") == (200, said | {"changed_at": changed_at})
    assert call("PUT", "/v1/items/mug", mug) == (200, said | {"changed_at": changed_at})
    assert events() == ["item_changed"]


def test_put_replaces_what_was_there(call: Call) -> None:
    call("PUT", "/v1/items/mug", {"title": "Mug", "stock": 3})
    status, body = call("PUT", "/v1/items/mug", {"title": "Cup"})
    del body["changed_at"]
    assert (status, body) == (200, EMPTY | {"item_id": "mug", "title": "Cup"})


def test_patch_changes_what_it_names(call: Call) -> None:
    call("PUT", "/v1/items/mug", {"title": "Mug", "stock": 3, "colour": "blue", "size": "M"})
    status, body = call("PATCH", "/v1/items/mug", {"stock": 0, "attributes": {"size": None}})
    del body["changed_at"]
    assert (status, body) == (
        200,
        EMPTY | {"item_id": "mug", "title": "Mug", "stock": 0, "attributes": {"colour": "blue"}},
    )


def test_delete(call: Call) -> None:
    call("PUT", "/v1/items/mug", {})
    gone = {"code": "unknown_item", "message": "The catalogue has no item 'mug'."}
    assert call("DELETE", "/v1/items/mug") == (204, None)
    for method, body in (("DELETE", None), ("GET", None), ("PATCH", {})):
        assert call(method, "/v1/items/mug", body) == (404, gone)
    assert events() == ["item_changed", "item_removed"]


@pytest.mark.parametrize("item_id", ["a/b", "日本", "a b", "items", ".."])
def test_ids_are_the_shops_own(call: Call, item_id: str) -> None:
    from urllib.parse import quote

    address = f"/v1/items/{quote(item_id, safe='')}"
    assert call("PUT", address, {"title": "x"})[0] == 201
    assert call("GET", address)[1]["item_id"] == item_id
    assert Item.objects.get().item_id == item_id


def test_one_bad_item_never_fails_its_neighbours(call: Call) -> None:
    items = [
        {"item_id": "a", "title": "A"},
        {"item_id": "b", "price": -1},
        "c",
        {"title": "no id"},
        {"item_id": "a", "title": "again"},
        {"item_id": "d"},
    ]
    rejected = [
        (1, "bad_price", "price -1 is not from 0 to below 10^10."),
        (2, "not_an_object", "An item must be an object with an item_id."),
        (3, "no_item_id", "An item needs an item_id."),
        (4, "repeated_item", "'a' came before."),
    ]
    told = [{"index": i, "code": code, "message": message} for i, code, message in rejected]
    body = {"changed": 2, "unchanged": 0, "rejected": told}
    assert call("POST", "/v1/items", items) == (200, body)
    again = {"changed": 0, "unchanged": 2, "rejected": told}
    assert call("POST", "/v1/items", {"items": items}) == (200, again)
    assert list(Item.objects.values_list("item_id", "title")) == [("a", "A"), ("d", "")]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "/v1/items/mug", {"price": -1}, 422, "bad_price"),
        ("PUT", "/v1/items/mug", {"item_id": "cup"}, 422, "id_changed"),
        ("PUT", "/v1/items/mug", [], 400, "not_an_object"),
        ("PUT", "/v1/items/" + "x" * 129, {}, 422, "bad_item_id"),
        ("GET", "/v1/items/" + "x" * 129, None, 404, "unknown_item"),
        ("DELETE", "/v1/items/" + "x" * 129, None, 404, "unknown_item"),
        ("PATCH", "/v1/items/" + "x" * 129, {}, 404, "unknown_item"),
        ("PATCH", "/v1/items/mug", "text", 400, "not_an_object"),
        ("POST", "/v1/items", {"item_id": "mug"}, 400, "not_a_list"),
        ("POST", "/v1/items", "text", 400, "not_a_list"),
        ("POST", "/v1/items", [{}] * 1_001, 413, "too_many_items"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    call: Call, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answered, problem = call(method, path, body)
    assert (answered, problem["code"]) == (status, code)
    assert problem["message"].endswith(".")
    assert Item.objects.count() == 0


def test_a_bad_patch_changes_nothing(call: Call) -> None:
    _, before = call("PUT", "/v1/items/mug", {"stock": 3})
    assert call("PATCH", "/v1/items/mug", {"stock": -1})[0] == 422
    assert call("GET", "/v1/items/mug") == (200, before)


def test_a_publishable_key_may_not_touch_the_catalogue() -> None:
    client = Client(headers={"Authorization": f"Bearer {keys.create('shop', 'publishable')}"})
    for answer in (client.get("/v1/items/mug"), client.delete("/v1/items/mug")):
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_scope")
    assert Client().post("/v1/items").status_code == 401
