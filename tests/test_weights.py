"""What each kind of event weighs: told in the admin, a fact of the log, folded anew beside."""

import threading
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.urls import reverse

from behavior.events import Kind
from catalog import changes
from catalog.countings import SHIPPED, Counting, wanted
from catalog.models import SignalWeights
from recommend import fold
from recommend.projections import covisit, popularity
from tests import oracle
from tests.given import (
    advance,
    ask,
    cart,
    contents,
    counts,
    days,
    differing,
    given,
    item,
    pairs,
    purchase,
    rate,
    refund,
    view,
)
from tests.servers import eventually

LIST = reverse("admin:catalog_signalweights_changelist")
UNIT = 65_536


@pytest.fixture(autouse=True)
def as_shipped(committed: None) -> Iterator[None]:
    yield
    for name, counting in SHIPPED.items():
        SignalWeights.objects.filter(projection=name).update(**counting.as_json())
    LogEntry.objects.all().delete()
    User.objects.all().delete()


@pytest.fixture
def merchant() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("merchant"))
    return client


def weigh(projection: str, double_click: float = 0.0, **weights: Any) -> None:
    row = SignalWeights.objects.get(projection=projection)
    row.weights, row.double_click = weights, double_click
    changes.save_weights(row)


def told() -> list[Any]:
    """What the log says of weights, the oldest first; what was before is catalog.past's."""
    rows = ask(
        "SELECT (detail - 'before')::text FROM event WHERE kind = %s ORDER BY id",
        Kind.RULE_CHANGED.value,
    )
    return [orjson.loads(detail) for (detail,) in rows]


def standing(name: str) -> Any:
    """The settings that a projection was folded with."""
    ((settings,),) = ask("SELECT settings::text FROM projection WHERE name = %s", name)
    return orjson.loads(settings)


HISTORY = [
    view("ann", "mug", key="1"), cart("ann", "cup", at=1, key="2"),
    purchase("ann", "cup", at=2, key="3"), rate("bob", "mug", 4, at=3, key="4"),
    view("bob", "pot", at=4, key="5"), purchase("bob", "mug", at=5, key="6"),
    refund("bob", "mug", at=6, key="7"),
]  # fmt: skip


# ── what follows ───────────────────────────────────────────────────────────────────────────


def test_a_change_is_a_fact_and_the_next_fold_counts_with_it() -> None:
    item("mug")
    given(HISTORY)
    advance()
    weigh("popularity", view_item=0.3, purchase=2.5, refund=-1)
    assert told() == [
        {"weights": {"projection": "popularity", "double_click": 0.0,
                     "weights": {"view_item": 0.3, "purchase": 2.5, "refund": -1.0}}}
    ]  # fmt: skip
    advance()
    facts = oracle.facts(HISTORY)
    counting = Counting({Kind.VIEW_ITEM: 0.3, Kind.PURCHASE: 2.5, Kind.REFUND: -1})
    assert days() == oracle.days(facts, counting)
    assert days()["mug", 0] == round(0.3 * UNIT) + round(1.5 * UNIT)
    assert standing("popularity") == counting.as_json()
    assert differing() == []


def test_a_second_change_counts_and_a_late_event_counts_with_it() -> None:
    given(HISTORY[:-1])
    weigh("covisit", view_item=1, purchase=3)
    advance()
    weigh("covisit", view_item=0.7, add_to_cart=2, purchase=0.2, rate=5)
    advance()
    given(HISTORY[-1])
    advance()
    counting = Counting(
        {Kind.VIEW_ITEM: 0.7, Kind.ADD_TO_CART: 2, Kind.PURCHASE: 0.2, Kind.RATE: 5}
    )
    facts = oracle.facts(HISTORY)
    assert (pairs(), counts()) == (oracle.pairs(facts, counting), oracle.counts(facts, counting))
    assert differing() == []


def test_back_to_what_ships_gives_the_tables_of_before() -> None:
    given(HISTORY)
    advance()
    before = contents()
    weigh("covisit", view_item=9)
    weigh("popularity", double_click=2.0, view_item=9)
    advance()
    assert contents() != before
    for name in SHIPPED:
        weigh(name, **SHIPPED[name].as_json()["weights"])
    advance()
    assert contents() == before


def test_readers_see_the_old_table_until_the_switch(stranger: psycopg.Connection[Any]) -> None:
    given(HISTORY)
    advance()
    before = days()
    read = "SELECT key, weight FROM popularity_day JOIN item_key USING (item) ORDER BY 1"
    with stranger.transaction():
        old = stranger.execute(read).fetchall()
        weigh("popularity", view_item=5)
        worker = threading.Thread(target=fold_and_leave)
        worker.start()
        # The new table is full and only the switch waits, for this reader to have done.
        eventually(lambda: waiting(stranger))
        assert stranger.execute(read).fetchall() == old
    worker.join()
    assert days() == {("mug", 0): 5 * UNIT, ("pot", 0): 5 * UNIT}
    assert days() != before


def fold_and_leave() -> None:
    try:
        fold.advance(popularity)
    finally:
        connection.close()


def waiting(stranger: psycopg.Connection[Any]) -> bool:
    rows = stranger.execute(
        "SELECT FROM pg_locks WHERE NOT granted AND relation = 'rec.popularity_day'::regclass"
    )
    return bool(rows.fetchall())


def test_only_the_projection_that_changed_is_folded_anew() -> None:
    given(HISTORY)
    advance()
    before = ask("SELECT 'covisit'::regclass::oid, 'popularity_day'::regclass::oid")
    weigh("popularity", view_item=5)
    advance()
    after = ask("SELECT 'covisit'::regclass::oid, 'popularity_day'::regclass::oid")
    assert (before[0][0] == after[0][0], before[0][1] == after[0][1]) == (True, False)


def test_saying_what_stands_is_no_change() -> None:
    given(HISTORY)
    advance()
    weigh("popularity", **SHIPPED["popularity"].as_json()["weights"], search=0)
    assert told() == []
    assert fold.advance(popularity).events == 0


# ── what is refused ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("projection", "weights", "why"),
    [
        ("popularity", {"view_item": 101}, "The weight of view_item must be from -100 to 100."),
        ("popularity", {"view_item": float("nan")},
         "The weight of view_item must be from -100 to 100."),
        ("covisit", {"view_item": -1}, "The weight of view_item must be from 0 to 100."),
        ("covisit", {"view_item": 1, "refund": 1}, "covisit does not weigh refund."),
        ("covisit", {"look": 1}, "There is no kind of event 'look'."),
        ("covisit", {"view_item": 1e-30}, "The weight of view_item must be 0, or 0.001 at least."),
        ("covisit", {"view_item": "1"}, "The weight of view_item must be a number."),
        ("covisit", {"view_item": True}, "The weight of view_item must be a number."),
        ("covisit", {"view_item": 0}, "At least one kind of event must weigh more than nothing."),
        ("popularity", {"view_item": -1}, "At least one kind of event must weigh more than nothing."),
    ],
)  # fmt: skip
def test_weights_that_make_no_sense_are_refused_in_a_sentence(
    projection: str, weights: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        weigh(projection, **weights)
    assert refused.value.message_dict == {"weights": [why]}
    assert told() == []
    assert wanted(projection) == SHIPPED[projection]


@pytest.mark.parametrize("seconds", [-1.0, 60.5])
def test_a_double_click_is_within_a_minute(seconds: float) -> None:
    with pytest.raises(ValidationError) as refused:
        weigh("covisit", double_click=seconds, view_item=1)
    assert refused.value.message_dict.keys() == {"double_click"}


# ── the page ───────────────────────────────────────────────────────────────────────────────


def page(name: str) -> str:
    row = SignalWeights.objects.get(projection=name)
    return reverse("admin:catalog_signalweights_change", args=[row.pk])


def test_the_page_has_a_number_for_each_kind_that_the_projection_weighs(merchant: Client) -> None:
    form = merchant.get(page("covisit")).context["adminform"].form
    assert {name: form.initial[name] for name in form.fields if name != "double_click"} == {
        kind.label: weight for kind, weight in SHIPPED["covisit"].weights.items()
    }
    text = merchant.get(page("popularity")).content.decode()
    assert 'name="refund"' in text
    assert 'name="search"' not in text
    assert "Saving folds this projection anew beside the live one; lists go on meanwhile." in text


def test_saving_the_page_is_a_fact(merchant: Client) -> None:
    form = {"view_item": "2", "purchase": "0.5", "rate": "", "double_click": "1.5"}
    assert merchant.post(page("covisit"), form).status_code == 302
    assert told() == [
        {"weights": {"projection": "covisit", "double_click": 1.5,
                     "weights": {"view_item": 2.0, "purchase": 0.5}}}
    ]  # fmt: skip
    assert wanted("covisit") == Counting({Kind.VIEW_ITEM: 2.0, Kind.PURCHASE: 0.5}, 1.5)


def test_the_admins_log_says_what_was_changed(merchant: Client) -> None:
    form = {kind.label: f"{weight:g}" for kind, weight in SHIPPED["covisit"].weights.items()}
    merchant.post(page("covisit"), form | {"view_item": "3", "double_click": "0"})
    assert LogEntry.objects.get().get_change_message() == "Changed view item."


@pytest.mark.parametrize(
    ("form", "field", "why"),
    [
        ({"view_item": "-1"}, "view_item", "Give a number from 0 on."),
        ({"view_item": "101"}, "view_item", "Give a number up to 100."),
        ({"view_item": "1e-320"}, "view_item", "Give 0, or 0.001 at least."),
        ({"view_item": "nan"}, "view_item", "Enter a number."),
        ({"view_item": "x"}, "view_item", "Enter a number."),
        ({"view_item": "0"}, "__all__",
         "At least one kind of event must weigh more than nothing."),
    ],
)  # fmt: skip
def test_the_page_refuses_at_the_field(
    merchant: Client, form: dict[str, str], field: str, why: str
) -> None:
    answer = merchant.post(page("covisit"), form | {"double_click": "0"})
    assert answer.context["adminform"].form.errors == {field: [why]}
    assert told() == []


def test_the_button_goes_back_to_what_ships(merchant: Client) -> None:
    weigh("covisit", view_item=9)
    form = {"view_item": "9", "double_click": "0", "catalog_signalweights_ship_this": "1"}
    assert merchant.post(page("covisit"), form).status_code == 302
    assert wanted("covisit") == SHIPPED["covisit"]
    weigh("covisit", view_item=9)
    chosen = list(SignalWeights.objects.values_list("pk", flat=True))
    merchant.post(LIST, {"action": "ship", "_selected_action": chosen})
    assert wanted("covisit") == SHIPPED["covisit"]
    assert len(told()) == 4


def test_nothing_is_added_and_nothing_deleted(merchant: Client) -> None:
    assert merchant.get(reverse("admin:catalog_signalweights_add")).status_code == 403
    row = SignalWeights.objects.get(projection="covisit")
    gone = reverse("admin:catalog_signalweights_delete", args=[row.pk])
    assert merchant.post(gone, {"post": "yes"}).status_code == 403


def test_who_may_only_look_changes_nothing() -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_signalweights"))
    client = Client()
    client.force_login(user)
    assert "catalog_signalweights_ship_this" not in client.get(page("covisit")).content.decode()
    assert client.post(page("covisit"), {"view_item": "2"}).status_code == 403
    chosen = list(SignalWeights.objects.values_list("pk", flat=True))
    client.post(LIST, {"action": "ship", "_selected_action": chosen})
    assert told() == []


def test_the_projections_page_says_what_each_was_folded_with(merchant: Client) -> None:
    given(HISTORY)
    advance()
    at = reverse("admin:recsite_projectionrow_changelist")
    assert "a rebuild is due" not in merchant.get(at).content.decode()
    weigh("covisit", double_click=2.0, view_item=9)
    text = merchant.get(at).content.decode()
    assert "purchase 6 · add to cart 3" in text
    assert text.count("a rebuild is due") == 1
    fold.advance(covisit)
    text = merchant.get(at).content.decode()
    assert "a rebuild is due" not in text
    assert "view item 9 · double clicks within 2 s once" in text
