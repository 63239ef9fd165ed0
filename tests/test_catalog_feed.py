"""The feed: what a record becomes, and the sentence that a bad one gets."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behavior.events import Rejection
from catalog import feed
from catalog.feed import Batch, ItemContent, amend, parse, parse_all

MUG = ItemContent(
    item_id="mug-1",
    title="Blue mug",
    description="Holds 300 ml.",
    category="Home > Kitchen > Mugs",
    brand="Ono",
    seller="Ono Direct",
    price=Decimal("7.5000"),
    currency="EUR",
    stock=12,
    available=True,
    image="https://shop.example/mug.jpg",
    attributes={"colour": "blue", "size": "M"},
)


def test_known_columns_are_read_and_unknown_ones_become_attributes() -> None:
    raw = {
        "item_id": "mug-1",
        "title": " Blue mug ",
        "description": "Holds 300 ml.",
        "category": "Home>Kitchen > Mugs",
        "brand": "Ono",
        "seller": "Ono Direct",
        "price": "7.50",
        "currency": "eur",
        "stock": "12",
        "available": "yes",
        "image": "https://shop.example/mug.jpg",
        "size": "M",
        "attributes": {"colour": "blue"},
    }
    assert parse(raw) == MUG


def test_an_item_needs_nothing_but_its_id() -> None:
    assert parse({"item_id": "7"}) == ItemContent(item_id="7")


@pytest.mark.parametrize("empty", [None, "", float("nan")])
def test_empty_cells_are_as_if_absent(empty: Any) -> None:
    raw = dict.fromkeys(feed.READERS, empty) | {
        "item_id": "7",
        "colour": empty,
        "attributes": empty,
    }
    assert parse(raw) == ItemContent(item_id="7")


@pytest.mark.parametrize(
    ("given_id", "kept"),
    [(7, "7"), (7.0, "7"), ("007", "007"), (Decimal(7), "7"), (" 7", " 7"), ("日本", "日本")],
)
def test_ids_are_kept_as_they_are_and_numbers_become_digits(given_id: Any, kept: str) -> None:
    assert parse({"item_id": given_id}) == ItemContent(item_id=kept)


@pytest.mark.parametrize(
    "path", [["Home", "Kitchen"], "Home > Kitchen", "Home>Kitchen", " > Home>>Kitchen >"]
)
def test_a_category_is_a_path_or_the_list_of_its_levels(path: Any) -> None:
    content = parse({"item_id": "7", "category": path})
    assert content == ItemContent(item_id="7", category="Home > Kitchen")


@pytest.mark.parametrize(
    ("value", "read"),
    [("true", True), ("FALSE", False), ("1", True), (0, False), ("Yes", True), ("no", False),
     (True, True), (1.0, True), ("", True)],
)  # fmt: skip
def test_booleans_as_files_write_them(value: Any, read: bool) -> None:
    assert parse({"item_id": "7", "available": value}) == ItemContent("7", available=read)


@pytest.mark.parametrize(
    ("value", "read"),
    [(7, "7.0000"), ("7.12345", "7.1234"), (0.1, "0.1000"), ("-0", "0.0000"), ("1e3", "1000.0000")],
)
def test_prices_are_exact_to_four_places(value: Any, read: str) -> None:
    content = parse({"item_id": "7", "price": value})
    assert isinstance(content, ItemContent)
    assert str(content.price) == read


def test_attributes_keep_json_and_write_times_as_text() -> None:
    given_attributes = {"tags": ["a", None], "made": date(2026, 1, 2), "size": Decimal("1.5")}
    assert parse({"item_id": "7", "attributes": given_attributes}) == ItemContent(
        "7", attributes={"tags": ["a", None], "made": "2026-01-02", "size": 1.5}
    )


def test_attributes_may_be_json_in_a_cell_or_the_pairs_of_a_map() -> None:
    wanted = ItemContent("7", attributes={"colour": "red"})
    assert parse({"item_id": "7", "attributes": '{"colour": "red"}'}) == wanted
    assert parse({"item_id": "7", "attributes": [("colour", "red")]}) == wanted


BAD = [
    ("text", "not_an_object"),
    ({}, "no_item_id"),
    ({"item_id": "x" * 129}, "bad_item_id"),
    ({"item_id": True}, "bad_item_id"),
    ({"item_id": "a\0"}, "bad_item_id"),
    ({"item_id": "\ud800"}, "bad_item_id"),
    ({"item_id": ["a"]}, "bad_item_id"),
    ({"item_id": "7", "title": "x" * 501}, "bad_title"),
    ({"item_id": "7", "title": "a\0"}, "bad_title"),
    ({"item_id": "7", "title": {"en": "Mug"}}, "bad_title"),
    ({"item_id": "7", "description": "x" * 20_001}, "bad_description"),
    ({"item_id": "7", "category": [f"L{n}" for n in range(11)]}, "bad_category"),
    ({"item_id": "7", "category": "x" * 201}, "bad_category"),
    ({"item_id": "7", "category": [{"a": 1}]}, "bad_category"),
    ({"item_id": "7", "brand": "\udc80"}, "bad_brand"),
    ({"item_id": "7", "price": -0.01}, "bad_price"),
    ({"item_id": "7", "price": float("inf")}, "bad_price"),
    ({"item_id": "7", "price": "NaN"}, "bad_price"),
    ({"item_id": "7", "price": "1e999999999"}, "bad_price"),
    ({"item_id": "7", "price": "9999999999.99999"}, "bad_price"),
    ({"item_id": "7", "price": "1,299.00"}, "bad_price"),
    ({"item_id": "7", "price": True}, "bad_price"),
    ({"item_id": "7", "currency": "EURO"}, "bad_currency"),
    ({"item_id": "7", "stock": -1}, "bad_stock"),
    ({"item_id": "7", "stock": 1.5}, "bad_stock"),
    ({"item_id": "7", "stock": 2**31}, "bad_stock"),
    ({"item_id": "7", "available": "perhaps"}, "bad_available"),
    ({"item_id": "7", "available": 2}, "bad_available"),
    ({"item_id": "7", "image": "x" * 2_001}, "bad_image"),
    ({"item_id": "7", "attributes": {"a": "\0"}}, "bad_attributes"),
    ({"item_id": "7", "attributes": {"": 1}}, "bad_attributes"),
    ({"item_id": "7", "attributes": [1]}, "bad_attributes"),
    ({"item_id": "7", "attributes": "{broken"}, "bad_attributes"),
    ({"item_id": "7", "attributes": {str(n): n for n in range(51)}}, "bad_attributes"),
    ({"item_id": "7", "attributes": {"a": "x" * 16_000}}, "bad_attributes"),
    ({"item_id": "7", "attributes": {"a": [[[[[[1]]]]]]}}, "bad_attributes"),
    ({"item_id": "7", "attributes": {"a": 2**70}}, "bad_attributes"),
    ({"item_id": "7", "attributes": {"a": float("-inf")}}, "bad_attributes"),
    ({"item_id": "7", "colour": b"red"}, "bad_attributes"),
]


@pytest.mark.parametrize(("raw", "code"), BAD)
def test_a_bad_record_gets_a_code_and_a_sentence(raw: Any, code: str) -> None:
    refused = parse(raw)
    assert isinstance(refused, Rejection)
    assert refused.code == code
    assert refused.message.endswith(".")
    assert refused.message.encode()  # can be written whatever the value was


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*feed.READERS, "attributes", "colour", ""]), JSON))
def test_whatever_comes_is_content_or_a_rejection_and_reads_back_the_same(raw: Any) -> None:
    read = parse(raw)
    if isinstance(read, ItemContent):
        assert parse({"item_id": read.item_id, **read.as_json()}) == read


def test_a_repeated_id_is_refused_and_the_first_one_counts() -> None:
    seen = {"old"}
    rows: list[tuple[int, object]] = [
        (2, {"item_id": "a", "title": "first"}),
        (3, {"item_id": "a", "title": "second"}),
        (4, Rejection("unreadable_line", "No.")),
        (5, {"item_id": "old"}),
    ]
    assert parse_all(rows, seen) == Batch(
        [ItemContent("a", title="first")],
        [
            (3, Rejection("repeated_item", "'a' came before.")),
            (4, Rejection("unreadable_line", "No.")),
            (5, Rejection("repeated_item", "'old' came before.")),
        ],
    )
    assert seen == {"old", "a"}


def test_amending_changes_the_named_fields_and_null_clears() -> None:
    changed = amend(MUG, {"price": 8, "stock": None, "attributes": {"size": None, "deep": True}})
    assert changed == ItemContent(
        item_id="mug-1",
        title="Blue mug",
        description="Holds 300 ml.",
        category="Home > Kitchen > Mugs",
        brand="Ono",
        seller="Ono Direct",
        price=Decimal("8.0000"),
        currency="EUR",
        stock=None,
        available=True,
        image="https://shop.example/mug.jpg",
        attributes={"colour": "blue", "deep": True},
    )


def test_amending_with_nothing_changes_nothing() -> None:
    assert amend(MUG, {}) == MUG
    assert amend(MUG, {"item_id": "mug-1"}) == MUG


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"item_id": "mug-2"}, "id_changed"),
        (["price"], "not_an_object"),
        ({"price": -1}, "bad_price"),
        ({"attributes": {"a": "\0"}}, "bad_attributes"),
    ],
)
def test_a_bad_amendment_is_refused(fields: Any, code: str) -> None:
    refused = amend(MUG, fields)
    assert isinstance(refused, Rejection)
    assert refused.code == code
