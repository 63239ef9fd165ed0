"""Other vendors' records: each name becomes its kind, each field ours, and nothing is dropped."""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from behavior.dialects import ALIASES, DIALECTS, FOREIGN, Dialect, records, shopify, translate
from behavior.envelope import parse
from behavior.events import BY_NAME, MERCHANT, Event, Kind, Line, Rejection
from recsite.contract import EVENT, LINE
from tests.given import START
from tests.test_events import anything
from tests.test_readme import cells

PAGE: Final = (Path(__file__).resolve().parent.parent / "docs" / "events.md").read_text()
NOW: Final = START
SLATE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"


def heard(raw: object) -> list[Event | Rejection]:
    """What a record becomes, through both doors."""
    return [r if isinstance(r, Rejection) else parse(r, now=NOW) for r in translate(raw)]


def event(raw: object) -> Event:
    """The one event that a record becomes."""
    (parsed,) = heard(raw)
    assert isinstance(parsed, Event), parsed
    return parsed


def codes(raw: object) -> list[str]:
    """The code of each refusal, "" for what is accepted."""
    return [parsed.code if isinstance(parsed, Rejection) else "" for parsed in heard(raw)]


# ── a good record of each vendor, by the name of its event ─────────────────────────────────


def segment_said(name: str) -> dict[str, Any]:
    who = {"userId": "ann", "anonymousId": "x", "messageId": "m1"}
    if name == "alias":
        return {"type": "alias", "userId": "ann", "previousId": "old"}
    if name in ("identify", "page", "screen", "group"):
        return {"type": name, **who}
    properties = {"product_id": "mug", "query": "mugs", "rating": 4}
    return {"type": "track", "event": name, **who, "properties": properties}


def ga4_said(name: str) -> dict[str, Any]:
    params = {"items": [{"item_id": "mug"}], "search_term": "mugs"}
    return {"client_id": "x", "user_id": "ann", "events": [{"name": name, "params": params}]}


VARIANT: Final = {
    "id": "70", "price": {"amount": 7.5, "currencyCode": "EUR"},
    "product": {"id": "gid://shopify/Product/7"},
}  # fmt: skip
DATA: Final[dict[str, dict[str, Any]]] = {
    "collection_viewed": {"collection": {"id": "c1", "productVariants": [VARIANT]}},
    "search_submitted": {"searchResult": {"query": "mugs", "productVariants": [VARIANT]}},
    "product_added_to_cart": {"cartLine": {"merchandise": VARIANT, "quantity": 2}},
    "product_removed_from_cart": {"cartLine": {"merchandise": VARIANT, "quantity": 2}},
    "cart_viewed": {"cart": {"lines": [{"merchandise": VARIANT, "quantity": 2}]}},
    "checkout_started": {"checkout": {"lineItems": [{"variant": VARIANT, "quantity": 2}]}},
    "checkout_completed": {"checkout": {"lineItems": [{"variant": VARIANT, "quantity": 2}]}},
}


def shopify_said(name: str) -> dict[str, Any]:
    data = DATA.get(name, {"productVariant": VARIANT})
    return {"id": "sh-1", "name": name, "clientId": "x", "type": "standard", "data": data}


def retail_said(name: str) -> dict[str, Any]:
    return {
        "eventType": name, "visitorId": "x", "userInfo": {"userId": "ann"},
        "productDetails": [{"product": {"id": "mug"}}], "searchQuery": "mugs",
    }  # fmt: skip


def recombee_said(name: str) -> dict[str, Any]:
    if name == "MergeUsers":
        return {"type": name, "targetUserId": "ann", "sourceUserId": "old"}
    return {"type": name, "userId": "ann", "itemId": "mug", "rating": 0.5}


SAID: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "Segment": segment_said,
    "GA4": ga4_said,
    "Shopify": shopify_said,
    "Google Retail": retail_said,
    "Recombee": recombee_said,
}
OWN: Final = {"user_id": "ann", "item_id": "mug", "query": "mugs", "rating": 4}


# ── the page is true ───────────────────────────────────────────────────────────────────────

NAMES: Final = [(vendor, name, kind) for vendor, name, kind in cells(PAGE, "### Names\n")]
NOTHING_HERE: Final = [
    (vendor, name)
    for vendor, names in cells(PAGE, "### Names that tell nothing here")
    for name in names.split("`, `")
]


def test_the_page_has_every_name_and_no_other() -> None:
    assert [(d.NAME, n, k.label) for d in DIALECTS for n, k in d.NAMES.items()] == NAMES
    assert [(d.NAME, name) for d in DIALECTS for name in sorted(d.FOREIGN)] == NOTHING_HERE


def test_the_page_has_every_field_and_no_other() -> None:
    maps = [(d.NAME, d.FIELDS, d.LINE) for d in DIALECTS]
    maps += [
        ("Shopify order", shopify.ORDER, shopify.ORDER_LINE),
        ("Shopify refund", shopify.REFUND, shopify.REFUND_LINE),
    ]
    rows = [
        (vendor, before + ".".join(place), ours)
        for vendor, fields, line in maps
        for before, asked in (("", fields), ("[].", line))
        for ours, places in asked.items()
        for place in places
    ]
    assert sorted(map(tuple, cells(PAGE, "### Fields of theirs"))) == sorted(rows)


# ── every field, in every place where a vendor keeps it ────────────────────────────────────

Record = dict[str, Any]

BARE: Final[dict[str, Callable[[], Record]]] = {
    "Segment": lambda: {"type": "track", "event": "Order Completed",
                        "properties": {"products": [{}]}},
    "GA4": lambda: {"app_instance_id": None, "client_id": None,
                    "events": [{"name": "purchase", "params": {"items": [{}]}}]},
    "Shopify": lambda: {"name": "cart_viewed", "clientId": None,
                        "data": {"cart": {"lines": [{}]}}},
    "Shopify order": lambda: {"line_items": [{}]},
    "Shopify refund": lambda: {"refund_line_items": [{}]},
    "Google Retail": lambda: {"eventType": "purchase-complete", "productDetails": [{}]},
    "Recombee": lambda: {"type": "AddPurchase"},
}  # fmt: skip
"""A record of each vendor in which every field is still to be filled."""

LINES_AT: Final[dict[str, Callable[[Record], Record]]] = {
    "Segment": lambda record: record["properties"]["products"][0],
    "GA4": lambda record: record["events"][0]["params"]["items"][0],
    "Shopify": lambda record: record["data"]["cart"]["lines"][0],
    "Shopify order": lambda record: record["line_items"][0],
    "Shopify refund": lambda record: record["refund_line_items"][0],
    "Google Retail": lambda record: record["productDetails"][0],
    "Recombee": lambda record: record,
}

SENT: Final[dict[str, Any]] = {
    "event_id": "e1", "occurred_at": "2026-03-02T09:00:00Z", "user_id": "zoe",
    "anonymous_id": "tab", "previous_user_id": "old", "order_id": "o1", "query": "mugs",
    "value": 12.5, "currency": "EUR", "rating": 4, "session_id": "s1",
    "recommendation_id": "018f3c3e-0000-7000-8000-000000000001",
    "item_id": "mug", "quantity": 2, "price": 7.5, "index": 3,
}  # fmt: skip
OTHERWISE: Final[dict[tuple[str, str], tuple[Any, Any]]] = {
    ("GA4", "occurred_at"): (1_772_442_000_000_000, 1_772_442_000.0),
    ("Recombee", "rating"): (0.5, Decimal("3.75")),
}
"""What is sent, and what comes of it, where these are not the same."""

FIELD_PLACES: Final = [(vendor, theirs, ours) for vendor, theirs, ours in
                       cells(PAGE, "### Fields of theirs")]  # fmt: skip


def fill(record: Record, vendor: str, theirs: str, value: Any) -> None:
    *steps, last = theirs.removeprefix("[].").split(".")
    holder = LINES_AT[vendor](record) if theirs.startswith("[].") else record
    if vendor == "GA4" and steps == ["params"]:
        holder = record["events"][0]
    for step in steps:
        holder = holder.setdefault(step, {})
    holder[last] = value


def of_an_item(vendor: str) -> Record:
    """Without an item a line is no line."""
    record = BARE[vendor]()
    place = next(theirs for v, theirs, ours in FIELD_PLACES if (v, ours) == (vendor, "item_id"))
    fill(record, vendor, place, SENT["item_id"])
    return record


def understood(record: Record, ours: str) -> Any:
    said, *_ = translate(record)
    assert isinstance(said, dict), said
    (line, *_) = said.get("items") or [{}]
    return said.get(ours, line.get(ours))


@pytest.mark.parametrize(("vendor", "theirs", "ours"), FIELD_PLACES)
def test_a_field_is_read_where_the_vendor_keeps_it(vendor: str, theirs: str, ours: str) -> None:
    sent, becomes = OTHERWISE.get((vendor, ours), (SENT[ours], SENT[ours]))
    record = BARE[vendor]() if ours == "item_id" else of_an_item(vendor)
    assert understood(record, ours) is None
    fill(record, vendor, theirs, sent)
    assert understood(record, ours) == becomes


def test_the_page_has_every_kind_and_every_field_of_the_envelope() -> None:
    assert [row[0] for row in cells(PAGE, "## The kinds")] == list(BY_NAME)
    merchants = [row[0] for row in cells(PAGE, "The merchant's own facts")]
    assert merchants == [kind.label for kind in sorted(MERCHANT)]
    fields = {row[0] for row in cells(PAGE, "## The fields")}
    assert fields == {*EVENT["properties"], *LINE["properties"]}


@pytest.mark.parametrize(("name", "needs", "example"), [
    (row[0], row[2], json.loads(row[3])) for row in cells(PAGE, "## The kinds")
])  # fmt: skip
def test_each_example_is_accepted_and_needs_what_the_page_says(
    name: str, needs: str, example: dict[str, Any]
) -> None:
    assert event(example).kind.label == name
    for need in needs.replace("·", "").split(", "):
        fields = ("item_id", "items") if need == "item" else (need,)
        without = {field: given for field, given in example.items() if field not in fields}
        assert codes(without) != [""] or not need


# ── every alias, in its own shape and in ours ──────────────────────────────────────────────


@pytest.mark.parametrize(("vendor", "name", "kind"), NAMES)
def test_a_vendors_record_becomes_the_kind_of_its_name(vendor: str, name: str, kind: str) -> None:
    assert event(SAID[vendor](name)).kind.label == kind


@pytest.mark.parametrize(("vendor", "name", "kind"), NAMES)
def test_a_vendors_name_is_taken_in_our_envelope(vendor: str, name: str, kind: str) -> None:
    other = {"anonymous_id": "x"} if kind == "identify" else {}
    assert event({"event": name, **OWN, **other}).kind.label == kind


@pytest.mark.parametrize(("vendor", "name"), NOTHING_HERE)
def test_what_tells_nothing_is_refused_and_not_dropped(vendor: str, name: str) -> None:
    for raw in (SAID[vendor](name), {"event": name, **OWN}):
        (refused,) = heard(raw)
        said = f"{name!r} tells of nothing that a shopper does with items."
        assert refused == Rejection("not_a_shop_event", said)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.NAME)
def test_a_name_that_nobody_knows_is_told_the_known_ones(dialect: Dialect) -> None:
    (refused,) = heard(SAID[dialect.NAME]("Coffee Spilled"))
    assert isinstance(refused, Rejection)
    assert refused.code == "unknown_event"


def test_no_name_means_two_things() -> None:
    pairs = {(name, kind) for d in DIALECTS for name, kind in d.NAMES.items()}
    assert len({name for name, _ in pairs}) == len(pairs)
    assert not FOREIGN & {*ALIASES, *BY_NAME}
    assert all(ALIASES[name] == name for name in BY_NAME)


# ── Segment ────────────────────────────────────────────────────────────────────────────────


def test_a_whole_segment_order() -> None:
    raw = {
        "type": "track", "event": "Order Completed", "messageId": "ajs-1", "userId": "ann",
        "anonymousId": "x", "timestamp": "2026-03-02T09:00:00.000Z",
        "context": {"page": {"url": "x" * 9_000}},
        "properties": {
            "order_id": "50314b8e9bcf000000000000", "total": 27.5, "revenue": 25,
            "currency": "USD", "recommendation_id": SLATE, "coupon": "hasbros",
            "products": [
                {"product_id": "mug", "sku": "45790-32", "price": 19, "quantity": 1, "position": 2},
                {"sku": "46493-32", "price": 3, "quantity": 2},
            ],
        },
    }  # fmt: skip
    said = event(raw)
    assert (said.kind, said.subject, said.key, said.occurred_at) == (
        Kind.PURCHASE, "user:ann", "ajs-1", START,
    )  # fmt: skip
    assert said.lines == (Line("mug", 1, Decimal(19), 2), Line("46493-32", 2, Decimal(3)))
    assert str(said.slate) == SLATE
    assert said.detail == {
        "order_id": "50314b8e9bcf000000000000", "value": 25.0, "currency": "USD",
    }  # fmt: skip


def test_a_segment_call_to_its_own_address_has_no_type() -> None:
    track = {"event": "Product Viewed", "anonymousId": "x", "properties": {"product_id": 7}}
    assert (event(track).subject, event(track).lines) == ("anonymous:x", (Line("7"),))
    assert event({"previousId": "old", "userId": "ann"}).subject == "user:old"


def test_our_own_names_may_be_segments_events() -> None:
    properties = {"products": [{"product_id": "mug"}]}
    raw = {"type": "track", "event": "purchase", "userId": "ann", "properties": properties}
    assert event(raw).lines == (Line("mug"),)


def test_segment_joins_with_identify_and_alias() -> None:
    joined = event(segment_said("identify"))
    assert (joined.subject, joined.detail) == ("anonymous:x", {"person": "user:ann"})
    merged = event(segment_said("alias"))
    assert (merged.subject, merged.detail) == ("user:old", {"person": "user:ann"})
    assert codes({"type": "identify", "userId": "ann", "traits": {}}) == ["bad_identify"]


def test_an_alias_of_the_browser_that_sends_it_joins_the_browser() -> None:
    alias = {"type": "alias", "userId": "ann", "anonymousId": "x"}
    assert event(alias | {"previousId": "old"}).subject == "user:old"
    assert event(alias | {"previousId": "x"}).subject == "anonymous:x"
    assert codes(alias) == codes({"type": "alias", "userId": "ann"}) == ["bad_identify"]


def test_a_segment_list_without_products_is_refused_as_ours_would_be() -> None:
    raw = {"type": "track", "event": "Product List Viewed", "userId": "ann"}
    assert codes(raw) == ["no_item"]
    assert codes(raw | {"properties": {"products": "mug"}}) == ["bad_items"]
    assert codes(raw | {"properties": {"products": ["mug"]}}) == ["bad_items"]


# ── GA4 ────────────────────────────────────────────────────────────────────────────────────


def test_a_ga4_request_of_several_events() -> None:
    micros = int(START.timestamp() * 1e6)
    raw = {
        "client_id": "123.456", "user_id": "ann", "timestamp_micros": str(micros),
        "events": [
            {"name": "view_item_list", "params": {"session_id": 17, "items": [
                {"item_id": "mug", "index": 0, "price": 7.5}, {"item_id": "cup", "index": 1}]}},
            {"name": "page_view", "params": {}},
            {"name": "purchase", "timestamp_micros": micros + 500_000, "params": {
                "transaction_id": "T1", "value": 15, "currency": "eur",
                "items": [{"item_id": "mug", "quantity": 2, "price": 7.5}]}},
        ],
    }  # fmt: skip
    shown, refused, bought = heard(raw)
    assert isinstance(refused, Rejection)
    assert isinstance(shown, Event)
    assert isinstance(bought, Event)
    assert refused.code == "not_a_shop_event"
    assert shown.lines == (Line("mug", None, Decimal("7.5"), 0), Line("cup", place=1))
    assert (shown.subject, shown.occurred_at, shown.key) == ("user:ann", START, None)
    assert shown.detail == {"session_id": "17"}
    assert bought.occurred_at == START.replace(microsecond=500_000)
    assert bought.lines == (Line("mug", 2, Decimal("7.5")),)
    assert bought.detail == {"order_id": "T1", "value": 15.0, "currency": "EUR"}


def test_a_ga4_share_names_its_one_item() -> None:
    events = [{"name": "share", "params": {"method": "mail", "item_id": "mug"}}]
    assert event({"app_instance_id": "x", "events": events}).lines == (Line("mug"),)


def test_who_logs_in_is_joined() -> None:
    said = event(ga4_said("login"))
    assert (said.subject, said.detail) == ("anonymous:x", {"person": "user:ann"})


def test_a_ga4_request_without_events_says_so() -> None:
    assert codes({"client_id": "x", "events": []}) == ["no_events"]
    assert codes({"client_id": "x", "events": [1]}) == ["not_an_object"]


# ── Shopify ────────────────────────────────────────────────────────────────────────────────


def test_a_shopify_checkout() -> None:
    checkout = {
        "currencyCode": "CAD", "totalPrice": {"amount": 15.0, "currencyCode": "CAD"},
        "lineItems": [{"id": "1", "quantity": 2, "variant": VARIANT},
                      {"id": "2", "quantity": 1, "title": "Tip", "variant": None}],
        "order": {"id": "gid://shopify/Order/900", "customer": {"id": "42"}},
    }  # fmt: skip
    raw = {
        "id": "sh-9", "name": "checkout_completed", "clientId": "c-1", "type": "standard",
        "timestamp": "2026-03-02T09:00:00.000Z", "data": {"checkout": checkout},
    }  # fmt: skip
    assert event(raw) == Event(
        kind=Kind.PURCHASE,
        occurred_at=START,
        subject="user:42",
        lines=(Line("7", 2, Decimal("7.5")),),
        key="shopify-order-900",
        detail={"order_id": "900", "value": 15.0, "currency": "CAD"},
    )


def test_a_shopify_view_has_its_own_key_and_takes_what_the_pixel_adds() -> None:
    said = event(shopify_said("product_viewed") | {"user_id": 42, "recommendation_id": SLATE})
    assert (said.key, said.subject, said.lines) == (
        "sh-1", "user:42", (Line("7", None, Decimal("7.5")),),
    )  # fmt: skip
    assert str(said.slate) == SLATE


ORDER: Final[dict[str, Any]] = {
    "id": 900, "user_id": 5, "customer": {"id": 42}, "currency": "EUR", "total_price": "22.50",
    "created_at": "2026-03-02T10:00:00+01:00", "name": "#1001",
    "line_items": [{"id": 1, "product_id": 7, "quantity": 2, "price": "7.50"},
                   {"id": 2, "product_id": 8, "quantity": 1, "price": "7.50"},
                   {"id": 3, "product_id": None, "quantity": 1, "price": "1.00"}],
}  # fmt: skip
REFUND: Final[dict[str, Any]] = {
    "id": 31, "order_id": 900, "user_id": 5, "created_at": "2026-03-02T09:30:00Z",
    "refund_line_items": [{"quantity": 1, "line_item": {"product_id": 7, "price": "7.50"}}],
}  # fmt: skip


def test_a_shopify_order_is_a_purchase_and_its_refunds() -> None:
    bought, returned = heard(ORDER | {"refunds": [REFUND]})
    assert bought == Event(
        kind=Kind.PURCHASE,
        occurred_at=START,
        subject="user:42",
        lines=(Line("7", 2, Decimal("7.5")), Line("8", 1, Decimal("7.5"))),
        key="shopify-order-900",
        detail={"order_id": "900", "value": 22.5, "currency": "EUR"},
    )
    assert returned == Event(
        kind=Kind.REFUND,
        occurred_at=START.replace(minute=30),
        subject="user:42",
        lines=(Line("7", 1, Decimal("7.5")),),
        key="shopify-refund-31",
        detail={"order_id": "900", "currency": "EUR"},
    )


def test_a_shopify_order_of_no_products_is_refused() -> None:
    tip = {"line_items": ORDER["line_items"][2:], "refunds": ["x", REFUND]}
    assert codes(ORDER | tip) == ["no_item", "not_an_object", ""]


def test_a_shopify_refund_alone_is_nobodys_and_never_the_employees() -> None:
    assert codes(REFUND) == ["no_subject"]
    assert event(REFUND | {"customer": {"id": 42}}).subject == "user:42"


@pytest.mark.parametrize("name", ["advanced_dom_clicked", "advanced_dom_anything"])
def test_what_shopify_says_of_its_pages_is_refused(name: str) -> None:
    assert codes(shopify_said(name)) == ["not_a_shop_event"]


# ── Google Retail ──────────────────────────────────────────────────────────────────────────


def test_a_whole_retail_purchase() -> None:
    raw = {
        "eventType": "purchase-complete", "visitorId": "x", "userInfo": {"userId": "ann"},
        "eventTime": "2026-03-02T09:00:00.123456789Z", "sessionId": "s1",
        "attributionToken": SLATE,
        "productDetails": [
            {"product": {"id": "mug", "priceInfo": {"price": 7.5}}, "quantity": 2},
            {"product": {"id": "cup"}},
        ],
        "purchaseTransaction": {"id": "T1", "revenue": 20.5, "currencyCode": "EUR"},
    }  # fmt: skip
    said = event(raw)
    assert said.lines == (Line("mug", 2, Decimal("7.5")), Line("cup"))
    assert (said.subject, str(said.slate)) == ("user:ann", SLATE)
    assert said.occurred_at == START.replace(microsecond=123_456)
    assert said.detail == {
        "session_id": "s1", "order_id": "T1", "value": 20.5, "currency": "EUR",
    }  # fmt: skip


def test_a_token_of_googles_own_costs_nothing() -> None:
    assert event(retail_said("search") | {"attributionToken": "abc~XAAA"}).slate is None


def test_a_search_without_words_is_browsing() -> None:
    assert event(retail_said("search") | {"searchQuery": ""}).kind is Kind.VIEW_ITEM_LIST


# ── Recombee ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rating", "stars"), [(-1, 0.0), (0, 2.5), (1, 5.0), (0.4, 3.5), ("-0.5", 1.25)]
)
def test_recombees_ratings_become_stars(rating: object, stars: float) -> None:
    assert event(recombee_said("AddRating") | {"rating": rating}).detail == {"rating": stars}


@pytest.mark.parametrize("rating", [1.1, -1.1, "good", "1e999999", [1], float("nan")])
def test_a_rating_out_of_bounds_is_refused(rating: object) -> None:
    assert codes(recombee_said("AddRating") | {"rating": rating}) == ["bad_rating"]


def test_recombees_price_is_that_of_all_the_pieces() -> None:
    raw = {"userId": "ann", "itemId": "mug", "amount": 3, "price": 22.5, "recommId": SLATE}
    said = event({"type": "AddPurchase", **raw})
    assert (said.lines, str(said.slate)) == ((Line("mug", 3, Decimal("7.5")),), SLATE)
    assert event({"method": "POST", "path": "/purchases/", "params": raw}) == said
    assert codes({"type": "AddPurchase", **raw, "amount": 0}) == [""]
    assert codes({"type": "AddPurchase", **raw, "amount": "many"}) == ["bad_quantity"]


def test_a_time_of_recombees_is_iso_or_seconds() -> None:
    for when in ("2026-03-02T09:00:00Z", START.timestamp()):
        assert event(recombee_said("AddBookmark") | {"timestamp": when}).occurred_at == START


@pytest.mark.parametrize(
    "request_", [{"method": "DELETE", "path": "/purchases/"}, {"method": "PUT", "path": "/items/7"}]
)
def test_what_is_no_interaction_is_refused(request_: dict[str, Any]) -> None:
    raw = {**request_, "params": {"userId": "ann", "itemId": "mug"}}
    assert codes(raw) == ["not_a_shop_event"]


# ── bodies of many ─────────────────────────────────────────────────────────────────────────


def test_a_body_of_many_is_opened() -> None:
    calls = [segment_said("Product Viewed"), segment_said("page")]
    assert records({"batch": calls, "sentAt": "…"}) == calls
    inline = {"inputConfig": {"userEventInlineSource": {"userEvents": calls}}}
    assert records(inline) == calls
    assert records({"requests": calls}) == calls
    events = [{"name": "view_item"}, {"name": "view_cart"}]
    assert records({"client_id": "x", "user_id": "ann", "consent": {}, "events": events}) == [
        {"client_id": "x", "user_id": "ann", "events": [each]} for each in events
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"event": "view_item", "user_id": "ann", "batch": "7", "requests": []},
        {"events": [{"event": "view_item"}]},
        {"client_id": "x", "events": [{"event": "view_item"}]},
        segment_said("page"),
    ],
)
def test_our_own_bodies_are_not_taken_for_anothers(body: dict[str, Any]) -> None:
    assert records(body) is None


# ── ours goes through untouched, and fast ──────────────────────────────────────────────────


@pytest.mark.parametrize("more", [{}, {"type": "page", "name": "x"}, {"properties": {}},
                                  {"eventType": "x", "clientId": "c", "path": "/p"}])  # fmt: skip
def test_our_own_record_goes_through_as_it_is(more: dict[str, Any]) -> None:
    raw = {"event": "view_item", "user_id": "ann", "item_id": "mug", **more}
    (same,) = translate(raw)
    assert same is raw


@pytest.mark.parametrize("raw", [None, 1, "view", [], b"{}"])
def test_what_is_no_object_is_left_to_the_envelope(raw: object) -> None:
    assert translate(raw) == [raw]


def test_a_million_rows_of_ours_cost_less_than_a_second() -> None:
    raw = {"event": "view_item", "user_id": "ann", "item_id": "mug"}
    began = time.process_time()
    for _ in range(100_000):
        translate(raw)
    assert time.process_time() - began < 0.1


# ── anything at all ────────────────────────────────────────────────────────────────────────

GOOD: Final = [SAID[vendor](name) for vendor, name, _ in NAMES] + [
    ORDER, REFUND, ORDER | {"refunds": [REFUND]},
    {"method": "POST", "path": "/ratings/", "params": {"userId": 1, "itemId": 2, "rating": 1}},
]  # fmt: skip


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a record, as far down as a vendor has any."""
    if len(before) == 8:
        return [before]
    inside = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, list) else ())  # fmt: skip
    return [before, *(p for key, each in inside for p in paths(each, (*before, key)))]


def put(value: Any, path: tuple[Any, ...], given: Any) -> Any:
    """The record with something else at one place."""
    if not path:
        return given
    copy = value.copy()
    copy[path[0]] = put(value[path[0]], path[1:], given)
    return copy


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A good record of a vendor's with something else in one to three places."""
    raw = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 3))):
        raw = put(raw, draw(st.sampled_from(paths(raw))), draw(anything))
    return raw


@settings(max_examples=500)
@hypothesis.given(st.one_of(anything, mutated()))
def test_whatever_comes_becomes_events_or_rejections(raw: object) -> None:
    for parsed in heard(raw):
        assert isinstance(parsed, Event | Rejection)
        if isinstance(parsed, Rejection):
            parsed.message.encode()
    if isinstance(raw, dict):
        records(raw)


@settings(max_examples=200)
@hypothesis.given(mutated())
def test_a_record_is_never_dropped(raw: object) -> None:
    assert heard(raw)


def test_the_largest_times_are_no_trouble() -> None:
    for micros in (10**5_000, 1e308, "9" * 400, True, "²", [1]):
        assert codes(ga4_said("view_item") | {"timestamp_micros": micros}) == ["bad_time"]
    early = ga4_said("view_item") | {"timestamp_micros": 1}
    assert codes(early) == ["time_too_old"]
