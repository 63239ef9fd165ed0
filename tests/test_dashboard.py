"""The overview and the windows onto the log: right figures, nothing to change, no full counts."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from behavior import log
from behavior.events import Event, Kind, Line
from recsite import dashboard
from recsite.models import ApiKey

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENTS = "/admin/recsite/eventrow/"


def happened(kind: Kind, ago: timedelta, subject: str = "user:7", item: str = "mug") -> Event:
    return Event(kind, NOON - ago, subject, (Line(item),))


@pytest.fixture
def shop() -> None:
    """A week of one shopper's events, and an old one of another's."""
    day = timedelta(days=1)
    with transaction.atomic():
        log.append(
            [
                happened(Kind.VIEW_ITEM, 0 * day),
                happened(Kind.VIEW_ITEM, day / 2),
                happened(Kind.PURCHASE, day),
                happened(Kind.VIEW_ITEM, 6 * day, item="bowl"),
                happened(Kind.VIEW_ITEM, 7 * day),
                happened(Kind.REFUND, 40 * day, subject="anonymous:a"),
            ]
        )


def words(client: Client, address: str) -> str:
    """All that a page says, with one space between any two words."""
    page = client.get(address).content.decode()
    return " ".join(re.sub("<[^>]*>", " ", page).split())


def figures() -> dict[str, Any]:
    return dashboard.add_figures(RequestFactory().get("/admin/"), {})


def test_a_catalogue_that_was_imported_after_the_history_hides_none_of_it(shop: None) -> None:
    """The shop's last day is that of its shoppers, and thousands of items are no bar beside them."""
    later = [happened(Kind.ITEM_CHANGED, timedelta(days=-9 - n), item=f"i{n}") for n in range(40)]
    with transaction.atomic():
        log.append(later)
    said = figures()
    assert said["newest"] == NOON
    chart = orjson.loads(said["chart"])
    assert {layer["label"] for layer in chart["datasets"]} == {"view item", "purchase"}
    assert {row["name"]: row["week"] for row in said["kinds"]}["item changed"] == 40


def test_of_a_catalogue_alone_the_newest_change_is_the_newest_event() -> None:
    with transaction.atomic():
        log.append([happened(Kind.ITEM_CHANGED, timedelta(0))])
    assert figures()["newest"] == NOON


def test_an_empty_shop(admin_client: Client) -> None:
    said = figures()
    assert (said["newest"], said["chart"], said["kinds"], said["projections"]) == (
        None,
        None,
        [],
        [],
    )
    assert [card["figure"] for card in said["cards"]] == ["0", "0", "0", "0", "0"]
    assert b"No event yet." in admin_client.get("/admin/").content


def test_time_is_the_logs(shop: None) -> None:
    said = figures()
    assert said["newest"] == NOON
    assert said["kinds"] == [
        {"kind": "view_item", "name": "view item", "day": 2, "week": 3},
        {"kind": "purchase", "name": "purchase", "day": 0, "week": 1},
    ]
    assert said["cards"][0] == {
        "title": "Events in the log", "figure": "6",
        "note": "2 in the log's last 24 hours", "link": EVENTS,
    }  # fmt: skip


def test_a_bar_a_day(shop: None) -> None:
    chart = orjson.loads(figures()["chart"])
    assert chart["labels"] == ["Wed 4", "Thu 5", "Fri 6", "Sat 7", "Sun 8", "Mon 9", "Tue 10"]
    layers = {layer["label"]: layer["data"] for layer in chart["datasets"]}
    assert layers == {
        "view item": [1, 0, 0, 0, 0, 0, 2],
        "purchase": [0, 0, 0, 0, 0, 1, 0],
    }


def test_a_projection_that_waits(shop: None, admin_client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO projection (name, version, epoch, snapshot, events, seconds, folded_at)"
            " VALUES ('popularity', 1, 'x', '1:1:', 3, .5, now())"
        )
    (said,) = figures()["projections"]
    assert (said["name"], said["waiting"], said["events"], said["seconds"]) == (
        "popularity", "6", 3, 0.5,
    )  # fmt: skip
    assert "popularity" in admin_client.get("/admin/recsite/projectionrow/").content.decode()


def test_a_figure_that_takes_too_long_says_so() -> None:
    assert dashboard.read("SELECT 1 FROM pg_sleep(60)") is None
    assert dashboard.read("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("number", "said"),
    [(999, "999"), (23_456, "23.5 k"), (1_470_000, "1.47 M"), (2 * 10**9, "2 B")],
)
def test_estimates_are_short(number: int, said: str) -> None:
    assert dashboard._short(number) == said


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 5), ("?period=all", 6), ("?period=day", 3), ("?period=week", 5),
        ("?event=purchase", 1), ("?q=bowl", 1), ("?q=user:7", 5), ("?q=mu", 0),
        ("?q=anonymous:a", 0), ("?q=anonymous:a&period=all", 1), ("?q=user:7&event=refund", 0),
    ],
)  # fmt: skip
def test_finding_events(shop: None, admin_client: Client, query: str, count: int) -> None:
    rows = admin_client.get(EVENTS + query).context["cl"].result_list
    assert len(rows) == count


def test_the_log_is_never_counted(shop: None, admin_client: Client) -> None:
    with CaptureQueriesContext(connection) as asked:
        admin_client.get(EVENTS)
    said = [query["sql"] for query in asked if "event_log" in query["sql"]]
    assert said
    assert not [sql for sql in said if "COUNT(" in sql]


@pytest.mark.parametrize(
    ("events", "ways"),
    [
        (50, [[]]),
        (51, [["Next"], ["Previous"]]),
        (101, [["Next"], ["Previous", "Next"], ["Previous"]]),
    ],
)
def test_a_page_leads_only_to_pages_that_there_are(
    admin_client: Client, events: int, ways: list[list[str]]
) -> None:
    minute = timedelta(minutes=1)
    with transaction.atomic():
        log.append([happened(Kind.VIEW_ITEM, n * minute) for n in range(events)])
    pages = [admin_client.get(f"{EVENTS}?p={n}") for n in range(1, len(ways) + 1)]
    found = [re.findall(r">(Previous|Next)</a>", page.content.decode()) for page in pages]
    assert found == ways
    assert sum(len(page.context["cl"].result_list) for page in pages) == events


def test_counted_lists_part_their_thousands(admin_client: Client) -> None:
    made = [ApiKey(label=f"key {n}", digest=str(n)) for n in range(1_234)]
    ApiKey.objects.bulk_create(made)
    bare, all_found, some_found = (
        words(admin_client, f"/admin/recsite/apikey/{query}")
        for query in ("", "?q=key", "?q=key 123")
    )
    assert "- 1,234 API keys" in bare
    assert "1,234 results" not in bare
    assert "- 1,234 API keys" in all_found
    assert "6 results ( 1,234 total )" in some_found


@pytest.mark.parametrize(
    "window", ["eventrow", "slaterow", "projectionrow", "rankerrow", "tuningrow", "finetuningrow"]
)
def test_windows_are_for_looking(admin_client: Client, window: str) -> None:
    at = f"/admin/recsite/{window}/"
    assert admin_client.get(at).status_code == 200
    assert admin_client.post(f"{at}add/", {}).status_code == 403


def test_one_event(shop: None, admin_client: Client) -> None:
    (newest, *_) = admin_client.get(EVENTS).context["cl"].result_list
    page = admin_client.get(f"{EVENTS}{newest.pk}/change/").content.decode()
    assert re.search(r">\s*view item\s*<", page)
    assert 'name="_save"' not in page
    for path, form in (("change", {"kind": "refund"}), ("delete", {"post": "yes"})):
        assert admin_client.post(f"{EVENTS}{newest.pk}/{path}/", form).status_code == 403


def test_what_more_is_known_of_an_event_stands_in_lines(admin_client: Client) -> None:
    rated = happened(Kind.RATE, timedelta())._replace(detail={"rating": 4.5, "note": "schön"})
    with transaction.atomic():
        log.append([rated, happened(Kind.VIEW_ITEM, timedelta(minutes=1))])
    told, untold = admin_client.get(EVENTS).context["cl"].result_list
    page = admin_client.get(f"{EVENTS}{told.pk}/change/").content.decode()
    assert "{\n  &quot;note&quot;: &quot;schön&quot;,\n  &quot;rating&quot;: 4.5\n}</pre>" in page
    assert "</pre>" not in admin_client.get(f"{EVENTS}{untold.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ("catalog/item", "No item yet"),
        ("recsite/eventrow", "No event yet"),
        ("recsite/suspectrow", "Nobody looks suspect"),
        ("recsite/erasurerow", "Nobody was erased"),
        ("recsite/rejectedrow", "Nothing was rejected"),
    ],
)
def test_an_empty_window_says_what_is_missing(admin_client: Client, window: str, says: str) -> None:
    page = admin_client.get(f"/admin/{window}/").content.decode()
    assert says in page
    assert ("Add item" in page) == (window == "catalog/item")


def test_a_search_that_finds_nothing_says_so(shop: None, admin_client: Client) -> None:
    page = admin_client.get(f"{EVENTS}?q=nothing-of-the-kind").content.decode()
    assert "Nothing matches" in page
    assert "No event yet" not in page
