"""The page of what was rejected: found, read again or deleted, by those who may."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from behavior import rejected
from behavior.admin import pretty
from behavior.events import Rejection
from behavior.rejected import Refused
from recsite import dashboard
from recsite.models import RejectedRow
from tests.given import ask, logged

pytestmark = pytest.mark.django_db

LIST = reverse("admin:recsite_rejectedrow_changelist")
AT = "2026-03-02T09:00:00Z"


def view(**more: Any) -> dict[str, Any]:
    return {"event": "view_item", "user_id": "ann", "item_id": "mug", "occurred_at": AT} | more


@pytest.fixture
def rows() -> list[int]:
    """One that is fine by now, one that never will be, one that was cut, one of a file."""
    with transaction.atomic():
        for n, raw in enumerate((view(), view(event="fly"), view(page="x" * 5_000))):
            rejected.keep("http", [Refused(n, Rejection("time_in_future", "Too early."), raw)])
        unread = Rejection("unreadable_line", "The line is not JSON.")
        rejected.keep("log.jsonl", [Refused(7, unread)])
    return list(RejectedRow.objects.order_by("pk").values_list("pk", flat=True))


def staff(*permissions: str) -> Client:
    """Somebody who may sign in and has just these permissions."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, action: str, *rows: int, **more: str) -> Any:
    form = {"action": action, "_selected_action": [str(row) for row in rows]} | more
    return client.post(LIST, form, follow=True)


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def left() -> list[tuple[int, str]]:
    return list(RejectedRow.objects.order_by("pk").values_list("line", "code"))


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("", [0, 1, 2, 7]),
        ("?code=unreadable_line", [7]),
        ("?source=http", [0, 1, 2]),
        ("?since=day", [0, 2, 7]),
        ("?since=week", [0, 2, 7]),
        ("?since=never", [0, 1, 2, 7]),
        ("?q=fly", [1]),
        ("?q=not+json", [7]),
        ("?q=user:ann", [0, 1, 2]),
        ("?q=user:an", []),
        ("?q=anonymous:ann&source=http", []),
    ],
)
def test_finding_records(
    rows: list[int], admin_client: Client, query: str, lines: list[int]
) -> None:
    ask("UPDATE rejected SET rejected_at = now() - interval '8 days' WHERE line = 1 RETURNING id")
    found = admin_client.get(LIST + query).context["cl"].result_list
    assert sorted(row.line for row in found) == lines


def test_a_records_page_shows_it_in_lines(rows: list[int], admin_client: Client) -> None:
    page = admin_client.get(f"{LIST}{rows[0]}/change/").content.decode()
    assert "Too early." in page
    assert "  &quot;item_id&quot;: &quot;mug&quot;,\n" in page
    assert f'action="{LIST}{rows[0]}/retry/"' in page
    assert 'name="_save"' not in page


@pytest.mark.parametrize(
    ("row", "sentence"),
    [(2, "It is not kept as it came"), (3, "It could not be read, and is not kept.")],
)
def test_what_is_not_whole_offers_no_retry(
    rows: list[int], admin_client: Client, row: int, sentence: str
) -> None:
    page = admin_client.get(f"{LIST}{rows[row]}/change/").content.decode()
    assert sentence in page
    assert "/retry/" not in page


def test_retrying_from_the_list(rows: list[int], admin_client: Client) -> None:
    answer = act(admin_client, "read_again", *rows)
    assert said(answer) == ["Accepted now: 1. Still refused: 1. Gone, or not kept whole: 2."]
    assert logged() == [(0.0, "view_item", "user:ann", "mug")]
    assert left() == [(1, "unknown_event"), (2, "time_in_future"), (7, "unreadable_line")]


def test_retrying_all_that_were_found(rows: list[int], admin_client: Client) -> None:
    act(admin_client, "read_again", rows[0], select_across="1")
    assert left() == [(1, "unknown_event"), (2, "time_in_future"), (7, "unreadable_line")]


def test_retrying_from_a_records_page(rows: list[int], admin_client: Client) -> None:
    accepted = admin_client.post(f"{LIST}{rows[0]}/retry/", follow=True)
    assert (accepted.redirect_chain, said(accepted)) == ([(LIST, 302)], ["Accepted now: 1."])
    refused = admin_client.post(f"{LIST}{rows[1]}/retry/", follow=True)
    assert refused.redirect_chain == [(f"{LIST}{rows[1]}/change/", 302)]
    assert said(refused) == ["Accepted now: 0. Still refused: 1."]
    gone = admin_client.post(f"{LIST}{rows[0]}/retry/", follow=True)
    assert said(gone) == ["Accepted now: 0. Gone, or not kept whole: 1."]
    assert logged() == [(0.0, "view_item", "user:ann", "mug")]


def test_a_link_never_retries(rows: list[int], admin_client: Client) -> None:
    assert admin_client.get(f"{LIST}{rows[0]}/retry/").status_code == 405
    assert len(left()) == 4


def test_deleting(rows: list[int], admin_client: Client) -> None:
    asked = act(admin_client, "delete_selected", *rows[:3])
    assert "time in future, POST, index 0" in asked.content.decode()
    assert len(left()) == 4
    act(admin_client, "delete_selected", *rows[:3], post="yes")
    assert left() == [(7, "unreadable_line")]
    admin_client.post(f"{LIST}{rows[3]}/delete/", {"post": "yes"})
    assert left() == []


def test_who_may_only_look_can_neither_retry_nor_delete(rows: list[int]) -> None:
    client = staff("view_rejectedrow")
    page = client.get(f"{LIST}{rows[0]}/change/")
    assert page.status_code == 200
    assert "/retry/" not in page.content.decode()
    assert "/delete/" not in page.content.decode()
    act(client, "read_again", rows[0])
    act(client, "delete_selected", rows[0], post="yes")
    assert client.post(f"{LIST}{rows[0]}/retry/").status_code == 403
    assert client.post(f"{LIST}{rows[0]}/delete/", {"post": "yes"}).status_code == 403
    assert (len(left()), logged()) == (4, [])


def test_who_may_change_can_retry_but_not_delete(rows: list[int]) -> None:
    client = staff("change_rejectedrow")
    assert client.post(f"{LIST}{rows[1]}/delete/", {"post": "yes"}).status_code == 403
    assert said(act(client, "read_again", rows[0])) == ["Accepted now: 1."]
    assert len(left()) == 3


def test_who_may_delete_can_delete_but_not_retry(rows: list[int]) -> None:
    client = staff("view_rejectedrow", "delete_rejectedrow")
    assert client.post(f"{LIST}{rows[0]}/retry/").status_code == 403
    client.post(f"{LIST}{rows[0]}/delete/", {"post": "yes"})
    assert (len(left()), logged()) == (3, [])


def test_others_see_nothing(rows: list[int]) -> None:
    client = staff()
    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{rows[0]}/change/").status_code == 403


def test_nobody_adds_or_changes_a_record(rows: list[int], admin_client: Client) -> None:
    assert admin_client.post(f"{LIST}add/", {}).status_code == 403
    assert admin_client.post(f"{LIST}{rows[0]}/change/", {"code": "x"}).status_code == 403
    assert left()[0] == (0, "time_in_future")


def test_the_overview_counts_the_last_day_and_leads_there(
    rows: list[int], admin_client: Client
) -> None:
    ask("UPDATE rejected SET rejected_at = now() - interval '25 hours' WHERE line = 1 RETURNING id")
    card = dashboard.add_figures(RequestFactory().get("/admin/"), {})["cards"][-1]
    assert card == {
        "title": "Records rejected", "figure": "3", "note": "in 24 hours; 4 kept to look at",
        "link": f"{LIST}?since=day",
    }  # fmt: skip
    assert f'href="{LIST}?since=day"' in admin_client.get("/admin/").content.decode()


def test_a_page_survives_any_record(admin_client: Client) -> None:
    deep: Any = []
    for _ in range(700):
        deep = [deep]
    odd = [{"a": float("nan")}, "<script>alert(1)</script>", {"\0": "\udcff"}, deep, None, 5]
    with transaction.atomic():
        rejected.keep(
            "http", [Refused(n, Rejection("no", "No."), raw) for n, raw in enumerate(odd)]
        )
    page = admin_client.get(LIST).content.decode()
    assert "<script>alert" not in page
    pages = [admin_client.get(f"{LIST}{row.pk}/change/") for row in RejectedRow.objects.all()]
    assert [page.status_code for page in pages] == [200] * len(odd)
    answer = act(admin_client, "read_again", *RejectedRow.objects.values_list("pk", flat=True))
    assert said(answer) == ["Accepted now: 0. Still refused: 5. Gone, or not kept whole: 1."]


def test_pretty_leaves_what_was_cut_as_it_is() -> None:
    assert pretty('{"a": [1, "ä"]}') == '{\n  "a": [\n    1,\n    "ä"\n  ]\n}'
    assert pretty('{"a": [1, "') == '{"a": [1, "'
