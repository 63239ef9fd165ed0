"""The admin of people: what is shown, who may act, and what stays in the admin's log."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from behavior import quarantine, suspects
from tests.given import (
    advance,
    ask,
    differing,
    given,
    identify,
    item,
    logged,
    minute,
    persons,
    purchase,
    serve,
    state,
    view,
)
from tests.test_erase import archived_month

pytestmark = pytest.mark.usefixtures("committed")

SHOPPERS = reverse("admin:recsite_shopperrow_changelist")
SUSPECTS = reverse("admin:recsite_suspectrow_changelist")
ERASURES = reverse("admin:recsite_erasurerow_changelist")
ACTS = ("hide", "show", "unlink", "download", "erase")


@pytest.fixture(autouse=True)
def nobody_stays(committed: None) -> Iterator[None]:
    yield
    LogEntry.objects.all().delete()
    User.objects.all().delete()


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def clerk(*permissions: str) -> Client:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def number(name: str) -> int:
    ((subject,),) = ask("SELECT subject FROM subject_key WHERE key = %s", name)
    return int(subject)


def page(name: str) -> str:
    return reverse("admin:recsite_shopperrow_change", args=[number(name)])


def act(client: Client, what: str, whom: str, /, **form: str) -> Any:
    return client.post(reverse(f"admin:recsite_shopperrow_{what}", args=[number(whom)]), form)


def recorded() -> list[tuple[str, str]]:
    """(of whom, what) in the admin's log, the oldest first."""
    return list(LogEntry.objects.order_by("pk").values_list("object_repr", "change_message"))


@pytest.fixture
def shop() -> None:
    item("mug", title="Blue mug")
    given(
        view("anonymous:phone", "mug"), purchase("ann", "mug", at=1),
        identify("anonymous:phone", "ann", at=2), view("bob", "cup", at=3),
    )  # fmt: skip
    serve("mug", user="user:ann")
    advance()


# ── looking ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("", ["user:bob", "user:ann", "anonymous:phone"]), ("user:ann", ["user:ann"]),
        ("ann", ["user:ann"]), (" phone ", ["anonymous:phone"]), ("an", []), ("user:an", []),
        ("anonymous:ann", []),
    ],
)  # fmt: skip
def test_a_shopper_is_found_by_the_exact_name(
    shop: None, admin: Client, term: str, names: list[str]
) -> None:
    rows = admin.get(SHOPPERS, {"q": term}).context["cl"].result_list
    assert sorted(row.name for row in rows) == sorted(names)


def test_the_list_says_who_stands_for_whom_and_who_is_hidden(shop: None, admin: Client) -> None:
    quarantine.hide(["user:bob"])
    text = admin.get(SHOPPERS).content.decode()
    assert text.count("user:ann") >= 2
    (hidden,) = admin.get(SHOPPERS, {"hidden": "yes"}).context["cl"].result_list
    assert hidden.name == "user:bob"


def test_the_page_shows_the_person_under_all_names(shop: None, admin: Client) -> None:
    told = admin.get(page("anonymous:phone")).context
    assert [one["name"] for one in told["names"]] == ["anonymous:phone", "user:ann"]
    assert [(link.name, link.target, link.said_at, link.stands) for link in told["links"]] == [
        ("anonymous:phone", "user:ann", minute(2), True)
    ]
    assert [(e["event"], e["item_id"], e["title"], e["name"]) for e in told["events"]] == [
        ("identify", None, "", "anonymous:phone"), ("purchase", "mug", "Blue mug", "user:ann"),
        ("view item", "mug", "Blue mug", "anonymous:phone"),
    ]  # fmt: skip
    assert [(habit["title"], habit["times"]) for habit in told["habits"]] == [("Blue mug", 1)]
    assert [(s["scenario"], s["count"], s["top"]) for s in told["slates"]] == [
        ("home", 1, "Blue mug")
    ]
    assert (told["hidden_now"], told["suspicion"]) == (False, None)


def test_the_page_of_nobody_is_not_found(admin: Client) -> None:
    for pk in ("1", "x", "99999999"):
        at = reverse("admin:recsite_shopperrow_change", args=[pk])
        assert admin.get(at).status_code == 404


def test_a_name_is_shown_as_text_whatever_is_in_it(admin: Client) -> None:
    given(view("user:<script>alert(1)</script>", "<b>x</b>"))
    for at in (SHOPPERS, page("user:<script>alert(1)</script>")):
        text = admin.get(at).content.decode()
        assert "<script>alert(1)" not in text
        assert "<b>x</b>" not in text


# ── acting ─────────────────────────────────────────────────────────────────────────────────


def test_quarantine_and_show_again(shop: None, admin: Client) -> None:
    answer = act(admin, "hide", "user:ann")
    assert answer.status_code == 302
    assert persons() == {"anonymous:phone": None, "user:ann": None}
    told = admin.get(page("user:ann")).context
    assert (told["hidden_now"], told["hidden"]["because"]) == (True, "hidden in the admin")
    act(admin, "show", "user:ann")
    assert persons() == {"anonymous:phone": "user:ann"}
    assert state("ann") == [("purchase", "mug"), ("view_item", "mug")]
    assert [what for _, what in recorded()] == ["Quarantined.", "Shown again."]


def test_showing_who_is_not_hidden_says_so_and_is_no_fact(shop: None, admin: Client) -> None:
    before = logged()
    form = {"action": "show", "_selected_action": [number("user:bob")]}
    answer = admin.post(SHOPPERS, form, follow=True)
    assert [str(said) for said in answer.context["messages"]] == ["Nobody of these is hidden."]
    assert (logged(), recorded()) == (before, [])


def test_many_at_once(shop: None, admin: Client) -> None:
    chosen = [number("user:ann"), number("user:bob")]
    admin.post(SHOPPERS, {"action": "hide", "_selected_action": chosen})
    assert set(persons().values()) == {None}
    admin.post(SHOPPERS, {"action": "show", "_selected_action": chosen})
    assert persons() == {"anonymous:phone": "user:ann"}
    assert len(recorded()) == 4


def test_unlinking_parts_the_two_and_is_a_fact(shop: None, admin: Client) -> None:
    act(admin, "unlink", "user:ann", name="anonymous:phone", target="user:ann")
    assert persons() == {}
    assert state("ann") == [("purchase", "mug")]
    told = admin.get(page("anonymous:phone")).context
    assert [(link.target, link.stands) for link in told["links"]] == [("user:ann", False)]
    advance()
    assert differing() == []


@pytest.mark.parametrize(
    ("name", "target"),
    [("anonymous:phone", "user:bob"), ("user:bob", "user:ann"), ("", ""), ("x", "\x00")],
)
def test_only_what_is_linked_can_be_unlinked(
    shop: None, admin: Client, name: str, target: str
) -> None:
    before = logged()
    act(admin, "unlink", "user:ann", name=name, target=target)
    assert logged() == before
    assert recorded() == []


def test_a_download_has_all_that_is_kept(shop: None, admin: Client) -> None:
    answer = act(admin, "download", "anonymous:phone")
    rows = [orjson.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert [row["about"] for row in rows] == [
        "name", "name", "event", "event", "event", "slate", "recent events", "item",
    ]  # fmt: skip
    subject = number("anonymous:phone")
    assert answer["Content-Disposition"] == f'attachment; filename="shopper-{subject}.jsonl"'


def test_erasing_asks_first_says_what_goes_and_leaves_a_proof(shop: None, admin: Client) -> None:
    at = reverse("admin:recsite_shopperrow_erase", args=[number("user:ann")])
    text = re.sub(r"\s+", " ", admin.get(at).content.decode())
    assert "the 2 names that are one person: anonymous:phone, user:ann" in text
    assert "3 lines of the log, and 1 list that was served" in text
    assert ask("SELECT count(*) FROM erasure") == [(0,)]
    answer = admin.post(at, follow=True)
    assert answer.status_code == 200
    assert "3 events and 1 list" in answer.content.decode()
    assert ask("SELECT names, events, slates, asked_by FROM erasure") == [(2, 3, 1, "admin")]
    assert ask("SELECT key FROM subject_key") == [("user:bob",)]
    assert differing() == []
    assert admin.get(at).status_code == 404


def test_the_admins_log_never_names_anybody(shop: None, admin: Client) -> None:
    subject = number("user:ann")
    for what in ("hide", "show", "download"):
        act(admin, what, "user:ann")
    act(admin, "unlink", "user:ann", name="anonymous:phone", target="user:ann")
    act(admin, "erase", "user:ann")
    assert recorded() == [
        (f"shopper {subject}", "Quarantined."), (f"shopper {subject}", "Shown again."),
        (f"shopper {subject}", "Downloaded everything."),
        (f"shopper {subject}", "Unlinked a name."),
        (f"shopper {subject}", "Erased (proof 1)."),
    ]  # fmt: skip
    kept = str(ask("SELECT t::text FROM django_admin_log AS t"))
    assert "ann" not in kept
    assert "phone" not in kept


def test_proofs_are_for_looking(shop: None, admin: Client) -> None:
    act(admin, "erase", "user:ann")
    assert "admin" in admin.get(ERASURES).content.decode()
    assert admin.post(f"{ERASURES}add/", {}).status_code == 403
    assert admin.post(f"{ERASURES}1/delete/", {"post": "yes"}).status_code == 403
    assert admin.post(f"{ERASURES}1/change/", {"asked_by": "me"}).status_code == 403


# ── who may ────────────────────────────────────────────────────────────────────────────────


def may(client: Client) -> set[str]:
    """What this client gets done; each act is tried on somebody new."""
    done = set()
    for what in ACTS:
        given(view(what, "mug"), identify(f"anonymous:{what}", what))
        answer = act(client, what, f"user:{what}", name=f"anonymous:{what}", target=f"user:{what}")
        if answer.status_code != 403:
            done.add(what)
    return done


@pytest.mark.parametrize(
    ("permissions", "acts"),
    [
        ((), set()),
        (("view_shopperrow",), {"download"}),
        (("view_shopperrow", "change_shopperrow"), {"download", "hide", "show", "unlink"}),
        (("delete_shopperrow",), {"erase"}),
        (("change_eventrow", "delete_eventrow", "view_suspectrow"), set()),
    ],
)
def test_looking_changing_and_erasing_are_three_permissions(
    permissions: tuple[str, ...], acts: set[str]
) -> None:
    assert may(clerk(*permissions)) == acts


def test_who_may_only_look_sees_no_button_for_more(shop: None) -> None:
    text = clerk("view_shopperrow").get(page("user:ann")).content.decode()
    shown = [what for what in ACTS if f"/{what}/" in text]
    assert shown == ["download"]


def test_nobody_acts_without_signing_in(shop: None) -> None:
    for what in ACTS:
        answer = act(Client(), what, "user:ann")
        assert (answer.status_code, "/login/" in answer["Location"]) == (302, True)
    assert len(logged()) == 5


def test_a_link_acts_on_nobody_and_a_forged_form_neither(shop: None, admin: Client) -> None:
    for what in ("hide", "show", "unlink", "download"):
        at = reverse(f"admin:recsite_shopperrow_{what}", args=[number("user:ann")])
        assert admin.get(at).status_code == 405
    assert admin.get(SUSPECTS + "look/").status_code == 405
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(User.objects.get(username="boss"))
    for what in ACTS:
        assert act(forged, what, "user:ann").status_code == 403
    assert forged.post(SUSPECTS + "look/").status_code == 403
    assert len(logged()) == 5


# ── suspects ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def bots() -> None:
    given(
        [view("even", f"i{n}", at=n / 6) for n in range(30)],
        [view("fast", f"i{n}", at=n * n / 3_000) for n in range(30)],
        [identify(f"anonymous:{n}", "guest", at=n) for n in range(25)],
    )
    suspects.look(minute(30))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["user:even", "user:fast", "user:guest"]), ("?why=rhythm", ["user:even"]),
        ("?why=names", ["user:guest"]), ("?from=60", ["user:even", "user:fast"]),
        ("?q=guest", ["user:guest"]), ("?q=gues", []), ("?from=x", None), ("?why=';--", []),
    ],
)  # fmt: skip
def test_suspects_are_listed_and_filtered(
    bots: None, admin: Client, query: str, names: list[str] | None
) -> None:
    answer = admin.get(SUSPECTS + query, follow=True)
    rows = answer.context["cl"].result_list
    found = [row.name for row in rows]
    assert found == (["user:even", "user:fast", "user:guest"] if names is None else names)


def test_reasons_are_words(bots: None, admin: Client) -> None:
    text = admin.get(SUSPECTS).content.decode()
    assert "26 names joined to one person" in text
    assert "pauses as even as a clock&#x27;s (they vary by 0 %)" in text
    assert admin.get(page("user:guest")).context["suspicion"] == {
        "score": 52, "reasons": ["26 names joined to one person"],
    }  # fmt: skip


def test_suspects_are_quarantined_and_then_are_none(bots: None, admin: Client) -> None:
    chosen = [number("user:even"), number("user:guest")]
    admin.post(SUSPECTS, {"action": "hide", "_selected_action": chosen})
    assert [row.name for row in admin.get(SUSPECTS).context["cl"].result_list] == ["user:fast"]
    assert len(admin.get(SHOPPERS, {"hidden": "yes"}).context["cl"].result_list) == 27
    assert [who for who, _ in recorded()] == [f"shopper {pk}" for pk in sorted(chosen)]


def test_looking_again_by_the_button(bots: None, admin: Client) -> None:
    ask("DELETE FROM suspect RETURNING person")
    answer = admin.post(SUSPECTS + "look/", follow=True)
    assert answer.redirect_chain == [(SUSPECTS, 302)]


def test_who_may_only_look_at_suspects_hides_none(bots: None) -> None:
    client = clerk("view_suspectrow")
    assert client.get(SUSPECTS).status_code == 200
    client.post(SUSPECTS, {"action": "hide", "_selected_action": [number("user:even")]})
    assert client.post(SUSPECTS + "look/").status_code == 403
    assert None not in persons().values()


def test_who_cannot_be_erased_yet_is_said(committed: None, admin: Client, tmp_path: Path) -> None:
    archived_month(tmp_path).unlink()
    at = reverse("admin:recsite_shopperrow_erase", args=[number("user:ann")])
    page = admin.post(at, follow=True).content.decode()
    assert "There is no file" in page
    assert number("user:ann")
