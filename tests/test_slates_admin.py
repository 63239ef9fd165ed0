"""The page of served lists: by title, in the shop's words, and never counted."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from recommend import pipeline
from recommend.pipeline import Ask
from tests.given import advance, given, item, rule, serve, view
from tests.test_dashboard import words

pytestmark = pytest.mark.usefixtures("committed")

LIST = "/admin/recsite/slaterow/"


@pytest.fixture
def admin(committed: None) -> Iterator[Client]:
    """Signed in; the one who signs in is taken away again."""
    boss = User.objects.create_superuser("boss")
    client = Client()
    client.force_login(boss)
    yield client
    boss.delete()


def rows(client: Client, query: str = "") -> list[Any]:
    return list(client.get(LIST + query).context["cl"].result_list)


def page(client: Client, slate: object) -> str:
    return words(client, f"{LIST}{slate}/change/")


def test_lists_are_told_by_titles_and_by_ids_where_there_is_none(admin: Client) -> None:
    item("mug", title="Blue mug")
    item("cup")
    given(view("ann", "mug"))
    serve("cup", "mug", "gone")
    serve("mug", "cup", "gone", "more", user="user:ann")
    assert [row.first for row in rows(admin)] == [
        "Blue mug; cup; gone", "cup; Blue mug; gone",
    ]  # fmt: skip
    said = words(admin, LIST)
    assert "Home page home user:ann Blue mug; cup; gone … 4 items" in said
    assert "Home page home nobody named cup; Blue mug; gone 3 items" in said


def test_a_scenario_that_is_gone_keeps_its_name(admin: Client) -> None:
    serve("mug", scenario="christmas")
    assert "christmas nobody named mug 1 item" in words(admin, LIST)


@pytest.mark.parametrize(
    ("query", "found"),
    [("?q=home", 2), ("?q=cart", 0), ("?q=user:ann", 1), ("?q=ann", 0), ("?q=Home page", 0)],
)
def test_finding_lists(admin: Client, query: str, found: int) -> None:
    given(view("ann", "mug"))
    serve("mug", user="user:ann")
    slate = serve("mug")
    assert len(rows(admin, query)) == found
    assert [row.pk for row in rows(admin, f"?q={slate}")] == [slate]


def test_lists_are_never_counted(admin: Client) -> None:
    serve("mug")
    with CaptureQueriesContext(connection) as asked:
        rows(admin)
    said = [query["sql"] for query in asked if "slate_log" in query["sql"]]
    assert said
    assert not [sql for sql in said if "COUNT(" in sql]


def test_a_list_of_which_nothing_is_kept_is_shown_all_the_same(admin: Client) -> None:
    said = page(admin, serve("mug"))
    assert "what the scenario says" in said
    assert re.search(r"rules that acted none", said, re.IGNORECASE)


@pytest.fixture
def served(committed: None) -> uuid.UUID:
    """A short list of one category, on which three rules acted."""
    for item_id, brand in (("mug", "Ono"), ("cup", ""), ("jug", "Ume"), ("pot", "Ume")):
        item(item_id, title=f"Blue {item_id}", category="Home", brand=brand)
    given([view(f"u{n}", one) for n, one in enumerate(("mug", "cup", "cup", "jug", "pot"))])
    advance()
    rule(id=1, action="hide", brand="Ume")
    rule(id=2, action="boost", item_id="cup", factor=2)
    rule(id=3, action="pin", item_id="pot", slot=1)
    ask = Ask("similar", None, ("mug",), "Home", 5, "interacted")
    return uuid.UUID(pipeline.serve(ask, datetime.now(UTC))[0])


def test_the_page_of_a_list_is_in_words(served: uuid.UUID, admin: Client) -> None:
    said = page(admin, served)
    assert "5 items, beside mug, in Home, leaving out everything the shopper has touched" in said
    assert "2 items, 3 short" in said
    assert "Blue pot pot Picked by the shop · score 0.000" in said
    assert "Blue cup cup Popular right now · score 0.040" in said
    assert "#1 hid 2 items; #2 moved 1 item; #3 pinned 1 item" in said
    assert "{" not in said.partition("asked for")[2].partition("receipt")[0]
