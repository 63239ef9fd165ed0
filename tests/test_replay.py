"""Replay: every list that was served is what the log makes of its moment, or it is said why not."""

import inspect
import io
import random
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client

from behavior import standing
from behavior.events import Kind
from catalog import changes
from catalog.models import Category, Rule, Scenario
from catalog.scenarios import LATER
from recommend import fold, receipts
from recommend.pipeline import Ask, Refused, serve
from recommend.projections import PROJECTIONS, covisit
from recommend.ranker import store
from recommend.replay import Replayed, Unreplayable, replay
from recsite.db import cursor
from tests.given import (
    advance,
    ask,
    cart,
    encode,
    given,
    item,
    just_did,
    purchase,
    rule,
    view,
)

pytestmark = pytest.mark.usefixtures("committed")

ITEMS: Final = tuple("abcdefgh")
USERS: Final = ("ann", "bob", "cal", "dan")
CATEGORIES: Final = ("", "Home", "Home > Kitchen", "Garden")
KINDS: Final = (
    Kind.VIEW_ITEM, Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.PURCHASE, Kind.REFUND, Kind.DISMISS,
)  # fmt: skip
STEPS: Final = 100


# ── a random stream ────────────────────────────────────────────────────────────────────────


class Stream:
    """A shop in which everything happens at random, as one seed decides."""

    def __init__(self, seed: int, stranger: psycopg.Connection[Any]) -> None:
        self.chance = random.Random(seed)
        self.stranger = stranger
        self.slates: list[uuid.UUID] = []

    def run(self) -> None:
        for item_id in ITEMS:
            self.put(item_id)
        for _ in range(STEPS):
            step: Callable[[], None] = self.chance.choice((
                self.act, self.act, self.act, self.come_late, self.fold, self.fold, self.fold,
                self.change_goods, self.change_wishes, encode, self.hold_open, self.close,
                self.serve, self.serve, self.see,
            ))  # fmt: skip
            step()
        self.close()

    def act(self) -> None:
        kind, user = self.chance.choice(KINDS), self.chance.choice(USERS)
        given([just_did(kind, user, self.chance.choice(ITEMS)) for _ in range(3)])

    def see(self) -> None:
        """Somebody sees an earlier list, and perhaps chooses from it."""
        if not self.slates:
            return
        of, user = self.chance.choice(self.slates), self.chance.choice(USERS)
        chosen = self.chance.choice((Kind.SELECT_ITEM, Kind.DISMISS))
        given([just_did(kind, user, self.chance.choice(ITEMS))._replace(slate=of)
               for kind in (Kind.VIEW_ITEM_LIST, Kind.VIEW_ITEM_LIST, chosen)])  # fmt: skip

    def come_late(self) -> None:
        given(view(self.chance.choice(USERS), self.chance.choice(ITEMS),
                   at=self.chance.randint(0, 90 * 24 * 60)))  # fmt: skip

    def fold(self) -> None:
        fold.advance(self.chance.choice(PROJECTIONS))

    def put(self, item_id: str) -> None:
        item(
            item_id,
            title="thing " * self.chance.randint(1, 9),
            category=self.chance.choice(CATEGORIES),
            brand=self.chance.choice("xyz"),
            seller=self.chance.choice("pq"),
            stock=self.chance.choice((0, 1, 9)),
            attributes={"colour": self.chance.choice(("red", "blue"))},
        )

    def change_goods(self) -> None:
        item_id = self.chance.choice(ITEMS)
        if self.chance.random() < 0.2:
            changes.remove([item_id])
        else:
            self.put(item_id)

    def change_wishes(self) -> None:
        rules = list(Rule.objects.order_by("id"))
        match self.chance.randint(0, 5):
            case 0 if rules:
                changes.delete_rule(self.chance.choice(rules))
            case 1 if rules:
                chosen = self.chance.choice(rules)
                chosen.enabled = not chosen.enabled
                changes.save_rule(chosen, chosen.scenarios.all())
            case 2:
                home = Scenario.objects.get(name="home")
                home.popular, home.diversity = self.chance.random(), self.chance.random()
                changes.save_scenario(home)
            case 3:
                changes.save_scenario(self.various(Scenario.objects.get(name="home")))
            case _:
                self.make_rule()

    def various(self, scenario: Scenario) -> Scenario:
        scenario.serendipity = self.chance.choice((0.0, 0.5, 1.0))
        scenario.most_per_brand = self.chance.choice((None, 1, 2))
        scenario.most_per_category = self.chance.choice((None, 1))
        scenario.explore_slot = self.chance.choice((None, 1, 3, 3))
        return scenario

    def make_rule(self) -> None:
        categories = list(Category.objects.order_by("id"))
        soon = datetime.now(UTC) + timedelta(milliseconds=self.chance.randint(1, 400))
        rule(
            self.chance.choice(((), ("home",), ("similar", "cart"))),
            **self.chance.choice((
                {"action": "pin", "item_id": self.chance.choice(ITEMS), "slot": 2},
                {"action": "hide", "brand": "x", "ends_at": soon},
                {"action": "boost", "attribute": "colour", "value": "red", "starts_at": soon},
                {"action": "bury", "category": self.chance.choice(categories)},
            )),
        )  # fmt: skip

    def hold_open(self) -> None:
        """Another session appends, and commits some time later."""
        if self.stranger.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            self.stranger.execute("BEGIN")
        self.stranger.execute(
            "INSERT INTO event (id, kind, item)"
            " SELECT event_id(clock_timestamp(), 0, 'k'), 1, item FROM item_key WHERE key = %s",
            [self.chance.choice(ITEMS)],
        )

    def close(self) -> None:
        self.stranger.execute("COMMIT")

    def serve(self) -> None:
        seeds = tuple(self.chance.sample(ITEMS, 2))
        user = self.chance.choice((*(f"user:{name}" for name in USERS), "user:stranger", None))
        one = self.chance.choice((
            Ask("home", user, count=4), Ask("home", user, exclude_seen="purchased"),
            Ask("home", user, category="Home"), Ask("similar", user, items=seeds[:1]),
            Ask("cart", user, items=seeds, count=3), Ask("popular", user, category="Garden"),
        ))  # fmt: skip
        try:
            slate, _ = serve(one, datetime.now(UTC))
        except Refused:  # a category that is not there yet
            return
        self.slates.append(uuid.UUID(slate))


# What may be said of a list that is the same.
HARMLESS: Final = re.compile(r"\d+ texts were encoded since.*")


@pytest.mark.filterwarnings("ignore:there is no transaction")
@pytest.mark.parametrize("seed", [1, 2])
def test_every_list_in_a_random_stream_is_made_again(
    seed: int, stranger: psycopg.Connection[Any]
) -> None:
    stream = Stream(seed, stranger)
    stream.run()
    assert len(stream.slates) > 5
    for slate in stream.slates:
        replayed = replay(slate)
        assert replayed.differences == ()
        assert [cause for cause in replayed.causes if not HARMLESS.fullmatch(cause)] == []


@pytest.fixture
def trying() -> None:
    """Home keeps its second slot for the untried."""
    home = Scenario.objects.get(name="home")
    home.explore_slot, home.serendipity, home.most_per_brand = 2, 0.4, 2
    changes.save_scenario(home)


def test_a_list_that_tried_something_is_identical_whatever_becomes_of_it(trying: None) -> None:
    for item_id in ITEMS:
        item(item_id, category="Home", brand=item_id)
    given([view("ann", "a"), view("bob", "a", at=1), view("bob", "b", at=2)])
    advance()
    slates = [
        uuid.UUID(serve(Ask("home", f"user:{n}", count=3), datetime.now(UTC))[0]) for n in range(9)
    ]
    tried = ask("SELECT detail->'explored'->>'item' FROM slate")
    assert len({*tried} - {None}) > 2
    for slate, (tried_item,) in zip(slates, tried, strict=True):
        key = ask("SELECT key FROM item_key WHERE item = %s", int(tried_item))[0][0]
        given(just_did(Kind.SELECT_ITEM, "ann", key)._replace(slate=slate))
    item("z", category="Home")
    advance()
    home = Scenario.objects.get(name="home")
    home.explore_slot = None
    changes.save_scenario(home)
    assert [replay(slate) for slate in slates] == [Replayed((), ())] * 9


def test_the_seed_of_the_receipt_is_the_one_that_draws(trying: None) -> None:
    for item_id in ITEMS:
        item(item_id, category="Home")
    given(view("ann", "a"))
    advance()
    slate = uuid.UUID(serve(Ask("home", "user:ann", count=2), datetime.now(UTC))[0])
    assert replay(slate) == Replayed((), ())
    replays = []
    for seed in range(4):
        amend(slate, "{receipt,seed}", seed)
        replays.append(replay(slate).differences)
    assert any(replays)


@pytest.fixture
def off(committed: None) -> None:
    """Home has nothing of what came later."""
    Scenario.objects.filter(name="home").update(**LATER)


def test_a_receipt_from_before_there_was_variety_is_made_again(
    off: None, slate: uuid.UUID, trying: None
) -> None:
    """It lacks the settings, and so do the facts of before; both mean that they were off."""
    later = ", ".join(LATER)
    erase(
        f"UPDATE slate SET detail = detail #- '{{receipt,settings}}' || jsonb_build_object('receipt',"
        f" detail->'receipt' || jsonb_build_object('settings',"
        f" (detail->'receipt'->'settings') - '{{{later}}}'::text[]))",
        f"UPDATE event SET detail = jsonb_set(detail, '{{before}}', (detail->'before')"
        f" - '{{{later}}}'::text[]) WHERE kind = {Kind.RULE_CHANGED.value}",
    )
    ((kept,),) = ask("SELECT detail->'receipt'->>'settings' FROM slate")
    assert LATER.keys() & orjson.loads(kept).keys() == set()
    assert replay(slate) == Replayed((), ())


# ── one list ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def slate() -> uuid.UUID:
    """A list for ann, who viewed a and b as bob did, who bought c."""
    for item_id in "abcd":
        item(item_id, title=f"Item {item_id}")
    given(
        view("ann", "a"), view("ann", "b", at=1), view("bob", "a", at=2), view("bob", "b", at=3),
        purchase("bob", "c", at=4), view("cal", "d", at=5),
    )  # fmt: skip
    advance()
    slate, _ = serve(Ask("home", "user:ann"), datetime.now(UTC))
    return uuid.UUID(slate)


@pytest.fixture
def admin() -> Iterator[Client]:
    """Signed in; the one who signs in is taken away again."""
    boss = User.objects.create_superuser("boss")
    client = Client()
    client.force_login(boss)
    yield client
    boss.delete()


def run(slate: uuid.UUID) -> str:
    """What the command prints; a CommandError's text where it fails."""
    out = io.StringIO()
    try:
        call_command("replay", str(slate), stdout=out)
    except CommandError as error:
        return f"failed: {error}"
    return out.getvalue()


def erase(*statements: str) -> None:
    """As the one path does that may delete facts."""
    with transaction.atomic(), cursor() as hot:
        hot.execute("SET LOCAL rec.erasing = 'on'")
        for statement in statements:
            hot.execute(statement)


def amend(slate: uuid.UUID, path: str, value: Any) -> None:
    """Have a receipt say something else."""
    said = orjson.dumps(value).decode()
    erase(
        f"UPDATE slate SET detail = jsonb_set(detail, '{path}', '{said}'::jsonb)"
        f" WHERE id = '{slate}'"
    )


def test_a_list_is_identical_whatever_happens_afterwards(slate: uuid.UUID) -> None:
    assert run(slate) == "identical\n"
    given([cart("ann", "d", at=9), purchase("ann", "a", at=10), purchase("cal", "a", at=11)])
    item("a", title="Another title", stock=0)
    changes.remove(["b"])
    rule(action="hide", item_id="c")
    advance()
    encode()
    fold.rebuild(PROJECTIONS[0])
    assert run(slate).splitlines()[0] == "identical"


def test_a_receipt_says_what_a_list_rests_on(slate: uuid.UUID) -> None:
    ((said,),) = ask("SELECT detail->>'receipt' FROM slate")
    receipt = orjson.loads(said)
    assert receipt.keys() == {
        "now", "snapshot", "cluster", "projections", "history", "settings", "rules", "code", "seed",
        "ranker", "encoder", "spaces",
    }  # fmt: skip
    rows = ask("SELECT name, version, snapshot, settings::text FROM projection")
    assert receipt["projections"] == {n: [v, s, orjson.loads(told)] for n, v, s, told in rows}
    assert receipt["history"][0] == 2
    assert (receipt["settings"]["name"], receipt["rules"]) == ("home", [])
    assert receipt["code"] == receipts.CODE


def test_the_page_of_a_list_shows_its_receipt(slate: uuid.UUID, admin: Client) -> None:
    page = admin.get(f"/admin/recsite/slaterow/{slate}/change/").content.decode()
    ((seen,),) = ask("SELECT detail->'receipt'->>'snapshot' FROM slate")
    assert f"<dt>log seen</dt><dd>{seen}</dd>" in page
    assert f"<dt>covisit v{covisit.VERSION} had read</dt>" in page
    assert "<dt>shopper&#x27;s last events</dt><dd>2</dd>" in page
    assert "<dt>rules in force</dt><dd>none</dd>" in page
    assert f"<code>manage.py replay {slate}</code>" in page


def test_the_page_of_a_list_names_its_items_with_their_reasons(
    slate: uuid.UUID, admin: Client
) -> None:
    page = admin.get(f"/admin/recsite/slaterow/{slate}/change/").content.decode()
    ((key, why),) = ask("SELECT items[1], detail->'reasons'->0->0->>'text' FROM slate_log LIMIT 1")
    assert f'<span class="rs-quiet">{key}</span><div class="rs-note">{why}' in page


def test_a_receipt_names_its_rules() -> None:
    item("a", category="Home")
    hide = rule(action="hide", brand="Ono")
    pin = rule(action="pin", item_id="a", slot=2)
    serve(Ask("home"), datetime.now(UTC))
    ((said,),) = ask("SELECT detail->>'receipt' FROM slate")
    assert dict(receipts.worded(orjson.loads(said)))["rules in force"] == (
        f"#{hide.pk} hide brand Ono; #{pin.pk} pin slot 2, item 1"
    )


def test_the_seed_is_the_requests() -> None:
    one = Ask("home", "user:ann")
    assert receipts.seed(one) == receipts.seed(Ask("home", "user:ann"))
    others = [Ask("home", "user:bob"), Ask("cart", "user:ann"), Ask("home", "user:ann", count=3)]
    assert len({receipts.seed(o) for o in (one, *others)}) == 4


def test_code_is_other_code_where_a_rankers_store_or_what_stands_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = inspect.getsource
    for changed in (store, standing):
        with monkeypatch.context() as other:
            other.setattr(inspect, "getsource", lambda one, c=changed: read(one) + "#" * (one is c))
            assert receipts._code() != receipts.CODE
    assert receipts._code() == receipts.CODE


def test_nothing_is_changed_by_a_replay(slate: uuid.UUID) -> None:
    sqls = ("SELECT * FROM slate", "SELECT * FROM projection", "SELECT nspname FROM pg_namespace")
    before = [ask(sql) for sql in sqls]
    assert replay(slate) == Replayed((), ())
    assert [ask(sql) for sql in sqls] == before


# ── what is gone ───────────────────────────────────────────────────────────────────────────

AS_ANN: Final = "WHERE person = (SELECT subject FROM subject_key WHERE key = 'user:ann')"
OF_ANN: Final = "WHERE subject = (SELECT subject FROM subject_key WHERE key = 'user:ann')"


def test_a_shopper_who_was_erased_is_said(slate: uuid.UUID) -> None:
    erase(
        f"DELETE FROM event {OF_ANN}", f"DELETE FROM user_state {AS_ANN}",
        f"DELETE FROM user_item {AS_ANN}", "DELETE FROM subject_key WHERE key = 'user:ann'",
    )  # fmt: skip
    said = run(slate)
    assert said.startswith("failed: The list is another one.\nplace 1: was ")
    assert said.splitlines()[-1] == "  for the shopper was erased"


def test_a_shoppers_facts_that_are_gone_are_said(slate: uuid.UUID) -> None:
    erase(
        f"DELETE FROM event {OF_ANN}"
        f" AND id IN (SELECT id FROM event {OF_ANN} ORDER BY id DESC LIMIT 1)"
    )
    assert replay(slate).causes == ("the log no longer has all that the shopper had done (erased)",)
    assert replay(slate).differences != ()


def test_an_item_whose_facts_are_gone_is_said(slate: uuid.UUID) -> None:
    erase(
        "DELETE FROM event WHERE kind = 20 AND item = (SELECT item FROM item_key WHERE key = 'c')"
    )
    assert replay(slate).causes == ("the log has no fact any more that put c into the catalogue",)


def test_other_shoppers_facts_that_are_gone_are_inferred(slate: uuid.UUID) -> None:
    erase(
        "DELETE FROM event WHERE subject = (SELECT subject FROM subject_key WHERE key = 'user:bob')"
    )
    assert replay(slate).causes == ()
    assert run(slate).splitlines()[-1] == (
        "  for facts that it counted are no longer in the log (erased or archived);"
        " all else is the same"
    )


def test_a_rule_whose_facts_are_gone_is_said() -> None:
    for item_id in "ab":
        item(item_id)
    made = rule(action="hide", item_id="a")
    slate, _ = serve(Ask("home"), datetime.now(UTC))
    erase("DELETE FROM event WHERE kind = 22")
    made.enabled = False
    made.save()
    assert replay(uuid.UUID(slate)) == Replayed((), (f"the log tells another rule {made.pk}",))
    assert run(uuid.UUID(slate)) == (
        f"identical\n  although the log tells another rule {made.pk}\n"
    )


def test_other_code_is_said(slate: uuid.UUID) -> None:
    amend(slate, "{receipt,code}", "0.0.9+abc")
    said = f"it was made by code 0.0.9+abc, this is {receipts.CODE}"
    assert run(slate) == f"identical\n  although {said}\n"
    amend(slate, "{scores,0}", 7)
    assert f"  for {said}" in run(slate).splitlines()


def test_another_version_of_a_projection_is_said(slate: uuid.UUID) -> None:
    amend(slate, "{receipt,projections,covisit,0}", 0)
    said = f"the projection covisit had version 0, it now has {covisit.VERSION}"
    assert replay(slate).causes == (said,)


def test_another_cluster_is_said(slate: uuid.UUID) -> None:
    amend(slate, "{receipt,cluster}", "1")
    assert "served by another cluster" in run(slate)


def test_texts_that_were_encoded_later_were_not_there(slate: uuid.UUID) -> None:
    encode()
    replayed = replay(slate)
    assert replayed.differences == ()
    assert replayed.causes == (
        "4 texts were encoded since, and an index of texts finds neighbours roughly",
    )


def test_vectors_of_another_encoder_are_said(slate: uuid.UUID) -> None:
    amend(slate, "{receipt,encoder}", "english-1")
    with cursor() as hot:
        hot.execute("INSERT INTO encoder VALUES ('multilingual-1', true)")
    assert replay(slate).causes == (
        "texts lay where the encoder english-1 put them, they now lie where multilingual-1 does",
    )


def test_facts_that_came_while_the_list_was_made_are_said(slate: uuid.UUID) -> None:
    given(view("bob", "d", at=20))
    ((now,),) = ask("SELECT pg_current_snapshot()::text")
    amend(slate, "{recorded}", now)
    assert replay(slate).causes == ("1 facts were committed while the list was being made",)


def test_a_slate_that_is_not_there_or_has_no_receipt_is_a_sentence(slate: uuid.UUID) -> None:
    with pytest.raises(Unreplayable, match="There is no slate"):
        replay(uuid.UUID(int=0))
    erase("UPDATE slate SET detail = detail - 'receipt'")
    assert run(slate).startswith("failed: The slate has no receipt")
