"""Reporting what happened: what is good is kept, what is bad is named, nothing is half done."""

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg
import pytest
from django.test import Client

from behavior.events import BY_NAME
from recsite import keys
from recsite.models import ApiKey
from tests.given import Row, ask, dealings, logged, state

AT = "2026-03-02T09:00:00Z"
"""Minute 0 of tests.given."""


@pytest.fixture
def client(committed: None) -> Iterator[Client]:
    key = keys.create("tests", "publishable")
    yield Client(headers={"Authorization": f"Bearer {key}"})
    ApiKey.objects.all().delete()


def post(client: Client, body: Any) -> tuple[int, Any]:
    """Status and answer of a POST."""
    answer = client.post("/v1/events", orjson.dumps(body), "application/json")
    return answer.status_code, answer.json()


def accepted(client: Client, body: Any) -> tuple[int, int, list[tuple[int, str]]]:
    """(accepted, duplicates, [(index, code) of what was rejected]) of a 202."""
    status, said = post(client, body)
    assert (status, set(said)) == (202, {"accepted", "duplicates", "rejected", "position"}), said
    rejected = [(bad["index"], bad["code"]) for bad in said["rejected"]]
    return said["accepted"], said["duplicates"], rejected


def view(item: str = "mug", user: str = "ann", **more: Any) -> dict[str, Any]:
    return {"event": "view_item", "user_id": user, "item_id": item, "occurred_at": AT} | more


def sizes() -> list[Row]:
    """Rows of everything that an event may touch."""
    return ask(
        "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM user_state),"
        " (SELECT count(*) FROM user_item), (SELECT count(*) FROM item_key),"
        " (SELECT count(*) FROM subject_key), (SELECT count(*) FROM delivery)"
    )


NOTHING = [(0, 0, 0, 0, 0, 0)]


# ── three shapes ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shape", [lambda e: e, lambda e: [e], lambda e: {"events": [e]}])
def test_an_event_a_list_or_an_object_with_events(
    client: Client, shape: Callable[[Any], Any]
) -> None:
    assert accepted(client, shape(view())) == (1, 0, [])
    assert logged() == [(0.0, "view_item", "user:ann", "mug")]


@pytest.mark.parametrize("body", [[], {"events": []}])
def test_no_events_are_fine(client: Client, body: Any) -> None:
    assert accepted(client, body) == (0, 0, [])
    assert sizes() == NOTHING


@pytest.mark.parametrize(
    "body", ["view", 1, None, True, {"events": {}}, {"events": None}, {"events": "x"}]
)
def test_a_body_that_holds_no_events(client: Client, body: Any) -> None:
    said = 'Send an event, a list of events, or {"events": [...]}.'
    assert post(client, body) == (400, {"code": "bad_events", "message": said})


def test_every_kind_is_taken(client: Client) -> None:
    needed = {"anonymous_id": "x", "query": "mugs", "rating": 4}
    events = [view(event=name, event_id=name) | needed for name in BY_NAME]
    assert accepted(client, events) == (len(BY_NAME), 0, [])
    assert {kind for _, kind, _, _ in logged()} == set(BY_NAME)


def test_a_purchase_of_many_items_is_one_event(client: Client) -> None:
    order = {
        "event": "purchase", "event_id": "order 7", "anonymous_id": "c0ffee", "occurred_at": AT,
        "order_id": 7, "currency": "EUR", "value": 22.5,
        "items": [{"item_id": "mug", "quantity": 2, "price": 7.5}, {"item_id": 12, "price": "7.50"}],
    }  # fmt: skip
    assert accepted(client, order) == (1, 0, [])
    assert logged() == [(0.0, "purchase", "anonymous:c0ffee", item) for item in ("mug", "12")]
    assert accepted(client, order) == (0, 1, [])


def test_an_items_place_is_kept_with_its_row(client: Client) -> None:
    items = [{"item_id": "mug", "index": 0}, {"item_id": "cup", "index": 7}, {"item_id": "jug"}]
    shown = view(event="view_item_list", items=items, session_id="s1")
    assert accepted(client, shown) == (1, 0, [])
    kept = "SELECT detail->>'session_id', (detail->>'index')::int FROM event ORDER BY id"
    assert ask(kept) == [("s1", 0), ("s1", 7), ("s1", None)]


# ── in the words of other vendors ──────────────────────────────────────────────────────────


def viewed(item: str = "mug", **more: Any) -> dict[str, Any]:
    """Segment's view of an item."""
    return {
        "type": "track", "event": "Product Viewed", "userId": "ann", "timestamp": AT,
        "properties": {"product_id": item}, **more,
    }  # fmt: skip


def test_a_retry_of_segments_batch_changes_nothing(client: Client) -> None:
    batch = {"batch": [viewed(messageId="m1"), viewed("cup", messageId="m2")], "sentAt": AT}
    assert accepted(client, batch) == (2, 0, [])
    assert accepted(client, batch) == (0, 2, [])
    assert sorted(logged()) == [(0.0, "view_item", "user:ann", item) for item in ("cup", "mug")]


def test_what_is_rejected_in_a_batch_is_named_by_its_place_there(client: Client) -> None:
    page = {"type": "page", "userId": "ann"}
    batch = {"batch": [page, viewed(), viewed(event="Coffee Spilled"), viewed("")]}
    assert accepted(client, batch) == (
        1, 0, [(0, "not_a_shop_event"), (2, "unknown_event"), (3, "no_item")],
    )  # fmt: skip


def ga4(*names: str) -> dict[str, Any]:
    events = [{"name": name, "params": {"items": [{"item_id": "mug"}]}} for name in names]
    return {"client_id": "x", "timestamp_micros": 1_772_442_000_000_000, "events": events}


def test_each_event_of_a_ga4_request_is_named_by_its_place_in_it(client: Client) -> None:
    body = ga4("view_item", "scroll", "add_to_cart")
    assert accepted(client, body) == (2, 0, [(1, "not_a_shop_event")])
    assert {row[1:] for row in logged()} == {
        (kind, "anonymous:x", "mug") for kind in ("view_item", "add_to_cart")
    }


def test_a_record_of_several_events_in_a_list_is_named_by_its_own_place(client: Client) -> None:
    sent = [view(), ga4("view_item", "scroll"), viewed("cup"), ga4("scroll", "scroll")]
    assert accepted(client, sent) == (3, 0, [(n, "not_a_shop_event") for n in (1, 3, 3)])


def test_the_limit_counts_the_events_inside_the_records(client: Client) -> None:
    full = ga4(*["view_item"] * 500)
    said = "At most 1000 events a call; this one has 1001."
    refused = (413, {"code": "too_many_events", "message": said})
    assert post(client, [full, full, view()]) == refused
    assert post(client, ga4(*["view_item"] * 1_001)) == refused
    assert sizes() == NOTHING
    assert accepted(client, [full, full]) == (1_000, 0, [])


@pytest.mark.parametrize("body", [{"batch": "x"}, {"requests": {}}, {"batch": {"batch": []}}])
def test_a_batch_that_is_no_list(client: Client, body: Any) -> None:
    assert post(client, body)[1]["code"] == "bad_events"


def test_an_order_of_shopifys_counts_once(client: Client) -> None:
    order = {
        "id": 900, "customer": {"id": 42}, "created_at": AT,
        "line_items": [{"product_id": 7, "quantity": 2, "price": "7.50"}],
        "refunds": [{"id": 31, "created_at": AT, "refund_line_items": [
            {"quantity": 1, "line_item": {"product_id": 7}}]}],
    }  # fmt: skip
    assert accepted(client, order) == (2, 0, [])
    assert accepted(client, [order]) == (0, 2, [])
    assert {row[1:] for row in logged()} == {
        (kind, "user:42", "7") for kind in ("purchase", "refund")
    }


# ── one bad event never fails its neighbours ───────────────────────────────────────────────

SOON = (datetime.now(UTC) + timedelta(hours=25)).isoformat()

BAD: list[tuple[Any, str]] = [
    (view(event="teleport"), "unknown_event"),
    (view(event=None), "unknown_event"),
    (view(event="item_changed"), "unknown_event"),
    (view(occurred_at=SOON), "time_in_future"),
    (view(occurred_at="yesterday"), "bad_time"),
    (view(occurred_at="1989-12-31T23:59:59Z"), "time_too_old"),
    (view(occurred_at=10**18), "bad_time"),
    (view(user_id="a\0"), "bad_user_id"),
    (view(user_id="x" * 129), "bad_user_id"),
    ({"event": "view_item", "item_id": "mug"}, "no_subject"),
    ({"event": "view_item", "user_id": "ann"}, "no_item"),
    (view(items=[]), "no_item"),
    (view(items=[{"item_id": "mug"}, {"item_id": None}]), "no_item"),
    (view(items="mug"), "bad_items"),
    (view(items=["mug"]), "bad_items"),
    (view(quantity=-1), "bad_quantity"),
    (view(quantity=1.5), "bad_quantity"),
    (view(price=-0.01), "bad_price"),
    (view(price="NaN"), "bad_price"),
    (view(price="-Infinity"), "bad_price"),
    (view(price=True), "bad_price"),
    (view(value="1e999"), "bad_value"),
    (view(recommendation_id="7"), "bad_recommendation_id"),
    (view(context=[]), "bad_context"),
    (view(context={"a": "\0"}), "bad_context"),
    (view(event_id="x" * 129), "bad_event_id"),
    ("view_item", "not_an_object"),
    (None, "not_an_object"),
    ([], "not_an_object"),
]


def test_between_bad_ones_every_good_one_is_kept(client: Client) -> None:
    events: list[Any] = []
    for number, (bad, _) in enumerate(BAD):
        events += [bad, view(event_id=str(number))]
    expected = [(2 * number, code) for number, (_, code) in enumerate(BAD)]
    assert accepted(client, events) == (len(BAD), 0, expected)
    assert logged() == [(0.0, "view_item", "user:ann", "mug")] * len(BAD)


def test_a_rejection_says_which_what_and_why(client: Client) -> None:
    status, said = post(client, [view(), view(price="NaN")])
    assert status == 202
    assert said["rejected"] == [
        {"index": 1, "code": "bad_price", "message": "price must be a finite number."}
    ]


def test_a_purchase_with_one_bad_line_is_bad_as_a_whole(client: Client) -> None:
    order = view(event="purchase", items=[{"item_id": "mug"}, {"item_id": "cup", "price": -1}])
    assert accepted(client, order) == (0, 0, [(0, "bad_price")])
    assert sizes() == NOTHING


# ── limits ─────────────────────────────────────────────────────────────────────────────────


def test_a_thousand_events_are_taken_and_one_more_is_not(client: Client) -> None:
    events = [view(f"i{n % 50}", event_id=str(n)) for n in range(1_001)]
    said = "At most 1000 events a call; this one has 1001."
    assert post(client, events) == (413, {"code": "too_many_events", "message": said})
    assert sizes() == NOTHING
    assert accepted(client, events[:1_000]) == (1_000, 0, [])


def test_the_items_of_a_call_are_bounded_over_all_its_events(client: Client) -> None:
    def order(number: int, lines: int) -> dict[str, Any]:
        items = [{"item_id": n} for n in range(lines)]
        return view(event="purchase", event_id=str(number), items=items)

    said = "At most 5000 items a call, over all events."
    too_many = [*(order(n, 1_000) for n in range(5)), order(5, 1)]
    assert post(client, too_many) == (413, {"code": "too_many_items", "message": said})
    assert sizes() == NOTHING
    assert accepted(client, too_many[:5]) == (5, 0, [])
    assert accepted(client, order(6, 1_001)) == (0, 0, [(0, "bad_items")])


def test_two_megabytes_are_read_and_one_byte_more_is_not(client: Client) -> None:
    def sized(size: int) -> bytes:
        body = orjson.dumps([view()])
        return body[:-1] + b" " * (size - len(body)) + b"]"

    for size, status in ((2 * 1024 * 1024, 202), (2 * 1024 * 1024 + 1, 413)):
        answer = client.post("/v1/events", sized(size), "application/json")
        assert answer.status_code == status
    assert answer.json()["code"] == "too_large"
    assert len(logged()) == 1


# ── once, and at once ──────────────────────────────────────────────────────────────────────


def test_a_repeated_delivery_is_counted_and_changes_nothing(client: Client) -> None:
    events = [view(event_id="1"), view("cup", event_id="2"), view(event_id="1")]
    assert accepted(client, events) == (2, 1, [])
    before = sizes(), dealings()
    assert accepted(client, [*events, view("jug", event_id="3")]) == (1, 3, [])
    assert accepted(client, [*events, view("jug", event_id="3")]) == (0, 4, [])
    assert sizes() == [(3, 1, 3, 3, 1, 3)]
    assert {key: dealings()[key] for key in before[1]} == before[1]


def test_a_retry_without_a_time_is_the_same_event(client: Client) -> None:
    event = {"event": "view_item", "event_id": "1", "user_id": "ann", "item_id": "mug"}
    assert accepted(client, event) == (1, 0, [])
    assert accepted(client, event) == (0, 1, [])


def test_the_position_never_goes_back_and_lists_know_it(client: Client) -> None:
    said = [int(post(client, view(event_id=str(n)))[1]["position"]) for n in range(3)]
    assert said == sorted(set(said))
    nothing_new = int(post(client, [])[1]["position"])
    listed = client.get("/v1/recommend/home?user_id=ann").json()
    assert int(listed["position"]) >= nothing_new >= said[-1]


def test_the_shoppers_own_state_has_moved_when_the_answer_comes(client: Client) -> None:
    post(client, [view(), view("cup", event="add_to_cart", occurred_at="2026-03-02T09:01:00Z")])
    assert state("ann") == [("add_to_cart", "cup"), ("view_item", "mug")]


def test_a_recommendation_id_that_nobody_served_is_kept_all_the_same(client: Client) -> None:
    nobodys = uuid.uuid4()
    assert accepted(client, view(recommendation_id=str(nobodys))) == (1, 0, [])
    assert ask("SELECT slate FROM event") == [(nobodys,)]


# ── when the database has to give up ───────────────────────────────────────────────────────

BUSY = {
    "code": "database_busy",
    "message": "The database gave up on this request. Try it again.",
}


@pytest.fixture
def hurried(committed: None) -> Iterator[None]:
    """Our session gives up on a lock after 50 ms."""
    ask_nothing("SET lock_timeout = '50ms'")
    yield
    ask_nothing("RESET lock_timeout")


def ask_nothing(sql: str) -> None:
    from recsite.db import cursor

    with cursor() as hot:
        hot.execute(sql)


@pytest.mark.parametrize("table", ["subject_key", "item_key", "event", "user_state", "user_item"])
def test_a_database_that_gives_up_in_the_middle_leaves_nothing_half_written(
    client: Client, hurried: None, stranger: psycopg.Connection[Any], table: str
) -> None:
    assert accepted(client, view("pot", event_id="0")) == (1, 0, [])
    before = sizes(), dealings()
    events = [view(event_id="1"), {**view(user="bob"), "occurred_at": None, "event_id": "2"}]
    with stranger.transaction():
        stranger.execute(f"LOCK TABLE {table} IN SHARE MODE")
        answer = client.post("/v1/events", orjson.dumps(events), "application/json")
        assert (answer.status_code, answer.json()) == (503, BUSY)
        assert answer["Retry-After"] == "5"
    assert (sizes(), dealings()) == before
    assert accepted(client, events) == (2, 0, [])


def test_a_session_that_is_cut_off_is_replaced_and_the_retry_is_kept_once(
    client: Client, stranger: psycopg.Connection[Any]
) -> None:
    """The server ends our session while it waits in the middle of the append."""
    from django.db import connection

    ours = connection.connection.info.backend_pid
    with stranger.transaction():
        stranger.execute("LOCK TABLE user_item IN SHARE MODE")
        cut = threading.Timer(0.1, stranger_cuts, (stranger, ours))
        cut.start()
        answer = client.post("/v1/events", orjson.dumps(view(event_id="1")), "application/json")
        cut.join()
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unreachable")
    assert accepted(client, view(event_id="1")) == (1, 0, [])
    assert sizes() == [(1, 1, 1, 1, 1, 1)]


def stranger_cuts(stranger: psycopg.Connection[Any], session: int) -> None:
    stranger.execute("SELECT pg_terminate_backend(%s)", [session])
