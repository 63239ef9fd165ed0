"""The vocabulary: what is accepted, what is refused and with which code; never an exception."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

import hypothesis
import pytest
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st

from behavior import log
from behavior.envelope import DETAILS, parse
from behavior.events import BY_NAME, MERCHANT, Event, Kind, Line, Rejection, by_content
from tests.given import START

NOW: Final = START
VIEW: Final[dict[str, Any]] = {"event": "view_item", "user_id": "ann", "item_id": "mug"}


def code(**fields: Any) -> str:
    """The code of the refusal of a view with these fields changed; "" where it is accepted."""
    parsed = parse(VIEW | fields, now=NOW)
    return parsed.code if isinstance(parsed, Rejection) else ""


def accepted(raw: Any) -> Event:
    parsed = parse(raw, now=NOW)
    assert isinstance(parsed, Event), parsed
    return parsed


def deep(levels: int) -> list[Any]:
    """A list in a list in a list."""
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


# ── what is refused ────────────────────────────────────────────────────────────────────────

HUGE: Final = 10**5_000  # more digits than Python is willing to write

REFUSED: Final = [
    ("unknown_event", {"event": "viewed"}),
    ("unknown_event", {"event": ""}),
    ("unknown_event", {"event": None}),
    ("unknown_event", {"event": 1}),
    ("unknown_event", {"event": HUGE}),
    ("unknown_event", {"event": deep(2_000)}),
    ("unknown_event", {"event": "item_changed"}),  # only the catalogue writes these
    ("unknown_event", {"event": "item_removed"}),
    ("unknown_event", {"event": "rule_changed"}),
    ("unknown_event", {"event": "subject_quarantined"}),
    ("bad_time", {"occurred_at": "yesterday"}),
    ("bad_time", {"occurred_at": ""}),
    ("bad_time", {"occurred_at": "2026-13-01"}),
    ("bad_time", {"occurred_at": "\ud800"}),
    ("bad_time", {"occurred_at": True}),
    ("bad_time", {"occurred_at": []}),
    ("bad_time", {"occurred_at": deep(2_000)}),
    ("bad_time", {"occurred_at": float("nan")}),
    ("bad_time", {"occurred_at": float("inf")}),
    ("bad_time", {"occurred_at": HUGE}),
    ("bad_time", {"occurred_at": "0001-01-01T00:00:00+14:00"}),
    ("time_in_future", {"occurred_at": (NOW + timedelta(hours=24, seconds=1)).isoformat()}),
    ("time_too_old", {"occurred_at": "1989-12-31T23:59:59Z"}),
    ("time_too_old", {"occurred_at": 0}),
    ("no_subject", {"user_id": None}),
    ("no_subject", {"user_id": "", "anonymous_id": ""}),
    ("bad_user_id", {"user_id": "x" * 129}),
    ("bad_user_id", {"user_id": "a\x00"}),
    ("bad_user_id", {"user_id": "\ud800"}),
    ("bad_user_id", {"user_id": 1.5}),
    ("bad_user_id", {"user_id": True}),
    ("bad_user_id", {"user_id": ["ann"]}),
    ("bad_user_id", {"user_id": HUGE}),
    ("bad_anonymous_id", {"anonymous_id": {}}),
    ("bad_event_id", {"event_id": "x" * 129}),
    ("bad_event_id", {"event_id": [1]}),
    ("no_item", {"item_id": None}),
    ("no_item", {"item_id": ""}),
    ("no_item", {"items": []}),
    ("no_item", {"items": [{}]}),
    ("bad_item_id", {"item_id": "\x00"}),
    ("bad_item_id", {"item_id": 0.5}),
    ("bad_item_id", {"items": [{"item_id": "a"}, {"item_id": "x" * 129}]}),
    ("bad_items", {"items": "mug"}),
    ("bad_items", {"items": {"item_id": "mug"}}),
    ("bad_items", {"items": ["mug"]}),
    ("bad_items", {"items": [{"item_id": "mug"}] * 1_001}),
    ("bad_quantity", {"quantity": -1}),
    ("bad_quantity", {"quantity": 1.5}),
    ("bad_quantity", {"quantity": "two"}),
    ("bad_quantity", {"quantity": True}),
    ("bad_quantity", {"quantity": 1_000_001}),
    ("bad_quantity", {"quantity": HUGE}),
    ("bad_quantity", {"quantity": float("nan")}),
    ("bad_quantity", {"quantity": float("-inf")}),
    ("bad_quantity", {"quantity": "1e999999999"}),
    ("bad_quantity", {"quantity": "1e-999999999"}),
    ("bad_quantity", {"quantity": [1]}),
    ("bad_price", {"price": -0.01}),
    ("bad_price", {"price": "NaN"}),
    ("bad_price", {"price": "sNaN"}),
    ("bad_price", {"price": "Infinity"}),
    ("bad_price", {"price": float("nan")}),
    ("bad_price", {"price": 10**12}),
    ("bad_price", {"price": "1e999999999"}),
    ("bad_price", {"price": "7,50"}),
    ("bad_price", {"price": "7.50 EUR"}),
    ("bad_price", {"price": "1" * 129}),
    ("bad_price", {"price": {"amount": 1}}),
    ("bad_recommendation_id", {"recommendation_id": "7"}),
    ("bad_recommendation_id", {"recommendation_id": 7}),
    ("bad_recommendation_id", {"recommendation_id": deep(2_000)}),
    ("bad_session_id", {"session_id": 1.5}),
    ("bad_session_id", {"session_id": "x" * 1_001}),
    ("bad_order_id", {"order_id": ["7"]}),
    ("bad_query", {"query": "a\x00b"}),
    ("bad_query", {"query": "\udfff"}),
    ("bad_currency", {"currency": False}),
    ("bad_currency", {"currency": "not a currency"}),
    ("bad_currency", {"currency": "€€€"}),
    ("bad_value", {"value": -1}),
    ("bad_value", {"value": "NaN"}),
    ("bad_rating", {"rating": "five"}),
    ("bad_rating", {"rating": 5.01}),
    ("bad_rating", {"rating": -0.5}),
    ("bad_rating", {"rating": HUGE}),
    ("bad_rating", {"event": "rate", "rating": "1e999999999"}),
    ("no_rating", {"event": "rate"}),
    ("no_rating", {"event": "rate", "rating": ""}),
    ("no_query", {"event": "search"}),
    ("no_query", {"event": "search", "query": None}),
    ("bad_query", {"event": "search", "query": ["mug"]}),
    ("bad_index", {"index": -1}),
    ("bad_index", {"index": 10_001}),
    ("bad_index", {"index": 1.5}),
    ("bad_index", {"index": "first"}),
    ("bad_index", {"index": True}),
    ("bad_index", {"items": [{"item_id": "mug", "index": HUGE}]}),
    ("bad_context", {"context": "utm=1"}),
    ("bad_context", {"context": ["utm"]}),
    ("bad_context", {"context": {"text": "x" * 4_001}}),
    ("bad_context", {"context": {"text": "a\x00"}}),
    ("bad_context", {"context": {"a\x00": 1}}),
    ("bad_context", {"context": {"text": "\ud800"}}),
    ("bad_context", {"context": {"number": 2**64}}),
    ("bad_context", {"context": {"deep": deep(300)}}),
    ("bad_context", {"context": {"deep": deep(2_000)}}),
]


JOIN: Final = {"event": "identify", "anonymous_id": "x"}
REFUSED.extend([
    ("bad_identify", {"event": "identify"}),
    ("bad_identify", JOIN | {"user_id": None}),
    ("bad_identify", JOIN | {"user_id": ""}),
    ("bad_identify", JOIN | {"previous_user_id": "old"}),
    ("bad_identify", {"event": "identify", "previous_user_id": "ann"}),
    ("bad_user_id", JOIN | {"user_id": ["ann"]}),
    ("bad_anonymous_id", JOIN | {"anonymous_id": "x" * 129}),
    ("bad_previous_user_id", {"event": "identify", "previous_user_id": {}}),
    ("bad_undo", JOIN | {"undo": "perhaps"}),
    ("bad_undo", JOIN | {"undo": 1}),
    ("bad_undo", JOIN | {"undo": deep(2_000)}),
    ("bad_event_id", JOIN | {"event_id": [1]}),
    ("bad_time", JOIN | {"occurred_at": "soon"}),
])  # fmt: skip


@pytest.mark.parametrize(("expected", "fields"), REFUSED)
def test_a_bad_field_is_refused_with_its_code_and_a_sentence(
    expected: str, fields: dict[str, Any]
) -> None:
    rejection = parse(VIEW | fields, now=NOW)
    assert isinstance(rejection, Rejection)
    assert rejection.code == expected
    assert rejection.message.endswith(".")
    assert len(rejection.message) < 500


@pytest.mark.parametrize("raw", [None, "view_item", 1, True, [VIEW], b"{}"])
def test_what_is_not_an_object_is_refused(raw: object) -> None:
    assert parse(raw, now=NOW) == Rejection("not_an_object", "An event must be a JSON object.")


def test_an_unknown_event_is_told_the_known_ones() -> None:
    rejection = parse(VIEW | {"event": "viewed"}, now=NOW)
    assert isinstance(rejection, Rejection)
    assert rejection.message.startswith("Unknown event 'viewed'. Known: view_item, view_item_list,")


# ── what is accepted, and what becomes of it ───────────────────────────────────────────────


def test_the_whole_envelope_is_read() -> None:
    slate = "01890a5d-ac96-774b-bcce-b302099a8057"
    raw = {
        "event": "purchase",
        "event_id": "e1",
        "occurred_at": "2026-03-02T10:00:00+01:00",
        "user_id": "ann",
        "anonymous_id": "x",
        "session_id": "s1",
        "recommendation_id": slate,
        "items": [{"item_id": "mug", "quantity": 2, "price": 7.5, "index": 1}, {"item_id": "cup"}],
        "value": 15,
        "currency": "EUR",
        "order_id": "o1",
        "query": "mugs",
        "rating": "4.5",
        "context": {"utm": ["a", {"b": None}]},
        "nobody_knows": "this",
    }
    assert accepted(raw) == Event(
        kind=Kind.PURCHASE,
        occurred_at=START,
        subject="user:ann",
        lines=(Line("mug", 2, Decimal("7.5000"), 1), Line("cup")),
        key="e1",
        slate=uuid.UUID(slate),
        detail={
            "session_id": "s1",
            "value": 15.0,
            "currency": "EUR",
            "order_id": "o1",
            "query": "mugs",
            "rating": 4.5,
            "context": {"utm": ["a", {"b": None}]},
        },
    )


def test_the_shortest_event_takes_the_servers_time() -> None:
    assert accepted(VIEW) == Event(
        kind=Kind.VIEW_ITEM,
        occurred_at=NOW,
        subject="user:ann",
        lines=(Line("mug"),),
    )


@pytest.mark.parametrize(
    "when",
    [
        "2026-03-02T09:00:00Z",
        "2026-03-02T09:00:00",  # UTC where no zone is given
        "2026-03-02 09:00",
        "20260302T090000Z",
        "2026-03-02T17:00:00+08:00",
        START.timestamp(),
        int(START.timestamp()),
        START,
        START.replace(tzinfo=None),
        START.astimezone(timezone(timedelta(hours=-5))),
    ],
)
def test_a_time_may_be_written_in_many_ways(when: object) -> None:
    event = accepted(VIEW | {"occurred_at": when})
    assert event.occurred_at == START
    assert event.occurred_at.tzinfo is UTC


@pytest.mark.parametrize(
    "when", ["1990-01-01T00:00:00Z", (NOW + timedelta(hours=24)).isoformat()], ids=["old", "ahead"]
)
def test_the_ends_of_the_allowed_times_belong_to_them(when: str) -> None:
    assert code(occurred_at=when) == ""


@pytest.mark.parametrize("value", ["é" * 128, " ", "漢字", "a/b?c", "👩‍👩‍👧", "NULL", "0", 0, -5])
def test_an_id_is_any_text_of_1_to_128_characters_or_a_whole_number(value: object) -> None:
    event = accepted(VIEW | {"user_id": value, "item_id": value, "event_id": value})
    assert (event.subject, event.lines, event.key) == (
        f"user:{value}",
        (Line(str(value)),),
        str(value),
    )


def test_an_id_that_a_file_wrote_as_5_0_is_5_as_in_the_catalogue() -> None:
    event = accepted(VIEW | {"user_id": 5.0, "item_id": -0.0, "event_id": 1e15})
    assert (event.subject, event.lines, event.key) == ("user:5", (Line("0"),), "1000000000000000")
    assert code(item_id=2.0**53) == "bad_item_id"


def test_a_known_user_wins_over_an_anonymous_one() -> None:
    assert accepted(VIEW | {"anonymous_id": "x"}).subject == "user:ann"
    assert accepted(VIEW | {"user_id": None, "anonymous_id": "x"}).subject == "anonymous:x"


@pytest.mark.parametrize(
    ("given", "read"),
    [(0, 0), (1_000_000, 1_000_000), ("3", 3), (2.0, 2), (" 4 ", 4), ("", None), (None, None)],
)
def test_a_quantity_is_a_whole_number(given: object, read: int | None) -> None:
    assert accepted(VIEW | {"quantity": given}).lines[0].quantity == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (0, "0"), ("0.00005", "0"), ("0.00015", "0.0002"), (7, "7"), (0.1, "0.1"),
        ("999999999999.9999", "999999999999.9999"), ("1e-999999999", "0"), (Decimal("2.5"), "2.5"),
    ],
)  # fmt: skip
def test_a_price_has_four_digits_after_the_point(given: object, read: str) -> None:
    assert accepted(VIEW | {"price": given}).lines[0].price == Decimal(read)


@pytest.mark.parametrize("name", ["search", "view_cart", "begin_checkout"])
def test_some_events_are_about_no_item(name: str) -> None:
    event = {"event": name, "user_id": "ann", "query": "mugs"}
    assert accepted(event).lines == (Line(None),)
    assert accepted(event | {"item_id": "mug"}).lines == (Line("mug"),)


def test_all_others_need_an_item() -> None:
    event = {"user_id": "ann", "anonymous_id": "x", "query": "mugs", "rating": 1}
    parsed = {name: parse({"event": name, **event}, now=NOW) for name in BY_NAME}
    assert {name for name, each in parsed.items() if isinstance(each, Event)} == {
        "search", "view_cart", "begin_checkout", "identify",
    }  # fmt: skip
    assert {each.code for each in parsed.values() if isinstance(each, Rejection)} == {"no_item"}


@pytest.mark.parametrize("given", [0, 5, 0.5, "3.5", 2.75, 4.0])
def test_a_rating_is_kept_as_it_was_sent(given: object) -> None:
    event = accepted(VIEW | {"event": "rate", "rating": given})
    assert event.detail == {"rating": float(str(given))}


@pytest.mark.parametrize(("given", "read"), [(0, 0), ("7", 7), (10_000, 10_000), ("", None)])
def test_an_items_place_in_its_list_is_a_whole_number(given: object, read: int | None) -> None:
    assert accepted(VIEW | {"event": "select_item", "index": given}).lines[0].place == read


# ── who is who ─────────────────────────────────────────────────────────────────────────────


def test_a_browser_is_joined_to_a_user() -> None:
    event = accepted(JOIN | {"user_id": "ann", "event_id": "j1", "item_id": "mug", "query": "x"})
    assert event == Event(
        kind=Kind.IDENTIFY,
        occurred_at=NOW,
        subject="anonymous:x",
        lines=(Line(None),),
        key="j1",
        detail={"person": "user:ann"},
    )


def test_an_account_is_joined_to_another() -> None:
    event = accepted({"event": "identify", "user_id": "ann", "previous_user_id": 7})
    assert (event.subject, event.detail) == ("user:7", {"person": "user:ann"})


def test_a_browser_may_have_the_name_of_its_user() -> None:
    event = accepted(JOIN | {"user_id": "x"})
    assert (event.subject, event.detail) == ("anonymous:x", {"person": "user:x"})


@pytest.mark.parametrize(
    ("given", "undone"),
    [(True, True), ("True", True), ("true", True), (False, False), ("false", False), ("", False),
     (None, False)],
)  # fmt: skip
def test_a_joining_can_be_taken_back(given: object, undone: bool) -> None:
    event = accepted(JOIN | {"user_id": "ann", "undo": given})
    assert event.detail == {"person": "user:ann"} | ({"undo": True} if undone else {})


def test_the_merchants_own_kinds_are_these() -> None:
    assert {kind.label: int(kind) for kind in sorted(MERCHANT)} == {
        "item_changed": 20, "item_removed": 21, "rule_changed": 22, "subject_quarantined": 23,
    }  # fmt: skip


def test_the_kinds_a_shop_may_send_are_these() -> None:
    assert {name: int(kind) for name, kind in BY_NAME.items()} == {
        "view_item": 1, "view_item_list": 2, "select_item": 3, "add_to_cart": 4,
        "remove_from_cart": 5, "view_cart": 6, "begin_checkout": 7, "purchase": 8, "refund": 9,
        "add_to_wishlist": 10, "remove_from_wishlist": 11, "search": 12, "rate": 13,
        "dismiss": 14, "share": 15, "follow": 16, "identify": 17,
    }  # fmt: skip


# ── rows of a file, known by what they say ─────────────────────────────────────────────────


def test_a_row_without_a_key_is_known_by_its_content_however_it_is_written() -> None:
    row = VIEW | {"occurred_at": "2026-03-02T09:00:00Z"}
    written = [
        row | {"quantity": "2", "price": "7.50", "order_id": "7"},
        row | {"quantity": 2, "price": 7.5, "order_id": 7, "value": ""},
        row | {"quantity": 2.0, "price": Decimal("7.5"), "order_id": "7", "event_id": None},
    ]
    assert len({by_content(accepted(each)).key for each in written}) == 1


def test_rows_that_say_different_things_have_different_keys() -> None:
    rows = [
        VIEW,
        VIEW | {"item_id": "cup"},
        VIEW | {"user_id": "bob"},
        VIEW | {"user_id": None, "anonymous_id": "ann"},
        VIEW | {"event": "purchase"},
        VIEW | {"quantity": 1},
        VIEW | {"price": 1},
        VIEW | {"order_id": "1"},
        VIEW | {"query": "1"},
        VIEW | {"items": [{"item_id": "mug"}, {"item_id": "cup"}]},
        VIEW | {"items": [{"item_id": "mug"}, {"item_id": "jug"}]},
        JOIN | {"user_id": "ann"},
        JOIN | {"user_id": "bob"},
        JOIN | {"user_id": "ann", "undo": True},
    ]
    assert len({by_content(accepted(row)).key for row in rows}) == len(rows)


def test_a_key_that_was_given_stays() -> None:
    assert by_content(accepted(VIEW | {"event_id": "e1"})).key == "e1"


# ── anything at all ────────────────────────────────────────────────────────────────────────

numbers = st.one_of(
    st.integers(),
    st.integers(min_value=10**4_300, max_value=10**4_400),
    st.floats(),
    st.sampled_from(["1e999999999", "-0", "NaN", "1e-400", "٣", "1_000", " 7 ", "0x10", ""]),
)
texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=140)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.one_of(
    st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.integers(200, 3_000).map(deep),
)
names = st.sampled_from(tuple(BY_NAME))
ids = st.one_of(st.sampled_from(("a", "b", 7)), st.text(max_size=8), anything)
whens = st.one_of(
    st.none(),
    st.datetimes(datetime(1999, 12, 1), datetime(2026, 3, 4)).map(str),  # noqa: DTZ001
    st.floats(9e8, 1.8e9),
    anything,
)
lines = st.fixed_dictionaries(
    {"item_id": ids},
    optional={
        "quantity": st.one_of(st.integers(0, 9), anything),
        "price": st.one_of(st.decimals(0, 99), anything),
        "index": st.one_of(st.integers(0, 9), anything),
    },
)
envelopes = st.fixed_dictionaries(
    {"event": st.one_of(names, anything)},
    optional={
        "user_id": ids,
        "anonymous_id": ids,
        "item_id": ids,
        "quantity": st.one_of(st.integers(0, 9), anything),
        "price": st.one_of(st.decimals(0, 99), anything),
        "items": st.one_of(st.lists(lines, max_size=3), anything),
        "occurred_at": whens,
        "event_id": ids,
        "previous_user_id": ids,
        "undo": st.one_of(st.booleans(), anything),
        "recommendation_id": st.one_of(st.uuids().map(str), anything),
        **{name: st.one_of(st.text(max_size=5), anything) for name in DETAILS},
        "context": st.one_of(st.dictionaries(st.text(max_size=5), anything, max_size=2), anything),
    },
)
# Mostly right, so that much is accepted: a good record with one or two fields of any kind.
keys = st.one_of(st.sampled_from(("a", "b", 7)), st.text(min_size=1, max_size=8), texts)
good = st.fixed_dictionaries(
    {"event": names, "user_id": keys, "item_id": keys},
    optional={"anonymous_id": keys, "query": keys, "rating": st.floats(0, 5)},
)
nearly = st.tuples(good, st.dictionaries(st.sampled_from((*DETAILS, "occurred_at", "price",
    "quantity", "items", "event_id", "recommendation_id", "index", "undo")), anything, max_size=2)).map(
    lambda parts: parts[0] | parts[1])  # fmt: skip


@settings(max_examples=300)
@hypothesis.given(st.one_of(anything, envelopes, nearly))
def test_whatever_comes_becomes_an_event_or_a_rejection(raw: object) -> None:
    parsed = parse(raw, now=NOW)
    assert isinstance(parsed, Event | Rejection)
    if isinstance(parsed, Rejection):
        parsed.message.encode()  # it goes into an answer, so it can be written


@pytest.mark.django_db
@settings(max_examples=80)
@hypothesis.given(st.lists(nearly, min_size=1, max_size=8))
def test_whatever_is_accepted_can_be_appended(raws: list[object]) -> None:
    parsed = [parse(raw, now=NOW) for raw in raws]
    events = [event for event in parsed if isinstance(event, Event)]
    hypothesis.target(float(len(events)))
    fresh = [e._replace(key=f"{n}") for n, e in zip(itertools.count(), events, strict=False)]
    with transaction.atomic():
        done = log.append(fresh)
        assert (done.accepted, done.duplicates) == (len(events), 0)
        log.append(events)  # with the keys that were drawn
        transaction.set_rollback(True)
