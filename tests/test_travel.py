"""Time travel: what was shown while a story happened is what is shown when asked afterwards."""

import io
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.management import CommandError, call_command

from behavior.events import Kind
from catalog import changes, past
from catalog.models import Category, Rule, Scenario
from recommend import travel
from recommend.pipeline import Ask, Refused, compose
from recommend.spaces import store as spaces
from recsite.db import cursor
from tests.given import START, advance, ask, differing, encode, given, item, just_did, rule

pytestmark = pytest.mark.usefixtures("committed")

ASKS: Final = (
    Ask("home", "user:ann", count=5),
    Ask("home", "user:bob", count=5),
    Ask("home", None, count=5),
    Ask("home", "user:ann", category="Home > Kitchen"),
    Ask("similar", "user:bob", items=("mug",)),
    Ask("cart", items=("mug", "plate")),
    Ask("popular", category="Home", exclude_seen="interacted"),
    Ask("corner", "user:ann"),
)
SHELL: Final = "SELECT nspname FROM pg_namespace ORDER BY 1"


def answers(now: datetime) -> list[Any]:
    """Items with their scores and reasons, or the refusal, of every request."""
    return [_answer(one, now) for one in ASKS]


def _answer(one: Ask, now: datetime) -> Any:
    try:
        return compose(one, now).items
    except Refused as refused:
        return refused.code


def shop() -> None:
    for key, title, category in (
        ("mug", "Mug", "Home > Kitchen"), ("plate", "A plate", "Home > Kitchen"),
        ("bowl", "Bowl for soup", "Home > Kitchen"), ("lamp", "A tall lamp", "Home > Living"),
        ("rake", "Rake", "Garden"),
    ):  # fmt: skip
        item(key, title=title, category=category, brand=key[0], stock=5, price=3)


def clicks() -> None:
    given(
        just_did(Kind.VIEW_ITEM, "ann", "mug"), just_did(Kind.VIEW_ITEM, "ann", "plate"),
        just_did(Kind.PURCHASE, "ann", "plate"), just_did(Kind.VIEW_ITEM, "bob", "mug"),
        just_did(Kind.VIEW_ITEM, "bob", "lamp"),
    )  # fmt: skip


def more_clicks() -> None:
    given(
        just_did(Kind.PURCHASE, "bob", "lamp"), just_did(Kind.PURCHASE, "ann", "plate"),
        just_did(Kind.ADD_TO_CART, "cal", "rake"), just_did(Kind.VIEW_ITEM, "cal", "mug"),
    )  # fmt: skip


def goods_change() -> None:
    changes.patch("plate", {"stock": 0})
    changes.patch("mug", {"category": "Garden > Picnic", "title": "Camping mug"})
    changes.remove(["lamp"])
    item("tent", title="A tent", category="Garden > Picnic")


def wishes_come() -> None:
    rule(action="pin", item_id="rake", slot=2)
    rule(("home",), action="hide", brand="b")
    rule(action="boost", category=Category.objects.get(path="Garden"), factor=4)
    rule(action="bury", item_id="mug", ends_at=datetime.now(UTC) + timedelta(milliseconds=50))


def wishes_change() -> None:
    pin, hide, *_ = Rule.objects.order_by("id")
    changes.delete_rule(pin)
    hide.enabled = False
    changes.save_rule(hide, hide.scenarios.all())
    home = Scenario.objects.get(name="home")
    home.popular, home.count = 3.0, 4
    changes.save_scenario(home)
    changes.save_scenario(Scenario(name="corner", title="Corner", recipe="personal", viewed=1.0))


def goods_come_back() -> None:
    changes.patch("plate", {"stock": 7})
    item("lamp", title="The lamp is back", category="Home > Living")
    changes.patch("bowl", {"available": False})


STORY: Final[tuple[Callable[[], None], ...]] = (
    shop, clicks, goods_change, more_clicks, wishes_come, wishes_change, goods_come_back, clicks,
)  # fmt: skip


@pytest.fixture
def remembered() -> list[tuple[datetime, list[Any]]]:
    """(moment, what was shown then) after each chapter of the story."""
    seen = []
    for chapter in STORY:
        chapter()
        advance()
        encode()
        time.sleep(0.003)
        now = datetime.now(UTC)
        seen.append((now, answers(now)))
        time.sleep(0.06)
    return seen


Remembered = list[tuple[datetime, list[Any]]]


def test_each_moment_shows_what_it_showed(remembered: Remembered) -> None:
    assert len({repr(shown) for _, shown in remembered}) == len(STORY)
    for moment, shown in remembered:
        with travel.back_at(moment):
            assert answers(moment) == shown


def test_a_journey_leaves_nothing_behind(remembered: Remembered) -> None:
    before = [ask(sql) for sql in (SHELL, "SELECT * FROM projection", "SELECT * FROM passage")]
    with travel.back_at(remembered[3][0]):
        pass
    assert [
        ask(sql) for sql in (SHELL, "SELECT * FROM projection", "SELECT * FROM passage")
    ] == before
    assert ask("SHOW search_path") == [("public,rec",)]
    assert differing() == []


def test_before_everything_there_is_nothing_but_the_scenarios_that_ship(
    remembered: Remembered,
) -> None:
    with travel.back_at(START):
        assert compose(Ask("home", "user:ann"), START).items == ()
        assert compose(Ask("home", "user:ann"), START).shortfall == 10
        assert ask(
            "SELECT name, popular FROM catalog_scenario WHERE name IN ('home', 'corner')"
        ) == [("home", 0.05)]
        assert [ask(f"SELECT count(*) FROM {t}") for t in ("catalog_item", "catalog_rule")] == [
            [(0,)], [(0,)],
        ]  # fmt: skip


# ── the commands ───────────────────────────────────────────────────────────────────────────


def recommend(tmp_path: Path, **options: Any) -> list[str]:
    """The lines for ann, without the header."""
    users, out = tmp_path / "users.csv", tmp_path / "lists.csv"
    users.write_text("user_id\nann\n")
    call_command(
        "recommend", users=str(users), out=str(out), count=5, stdout=io.StringIO(), **options
    )
    return out.read_text().splitlines()[1:]


def lines(shown: list[Any]) -> list[str]:
    """The first request's answer, as the file has it."""
    return [f"ann,{rank},{one.item_id},{one.score}" for rank, one in enumerate(shown[0], 1)]


def refresh(*args: str) -> str:
    out = io.StringIO()
    call_command("refresh", *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def _drop(committed: None) -> Iterator[None]:
    yield
    with cursor() as hot:
        hot.execute("DROP SCHEMA IF EXISTS last_week, somebodys CASCADE")


def test_recommend_at_a_moment(remembered: Remembered, tmp_path: Path) -> None:
    for moment, shown in remembered:
        assert recommend(tmp_path, at=moment.isoformat()) == lines(shown)


@pytest.mark.usefixtures("_drop")
def test_a_moment_is_kept_in_a_schema_and_visited(remembered: Remembered, tmp_path: Path) -> None:
    for moment, shown in (remembered[2], remembered[5]):
        at = moment.isoformat()
        assert refresh("--rebuild", "--as-of", at, "--into", "last_week") == (
            f"last_week: as of {at}\n"
        )
        assert recommend(tmp_path, schema="last_week") == lines(shown)
    assert differing() == []
    given(just_did(Kind.PURCHASE, "ann", "rake"))
    advance()
    assert recommend(tmp_path, schema="last_week") == lines(remembered[5][1])
    tables = {
        name for (name,) in ask("SELECT tablename FROM pg_tables WHERE schemaname = 'last_week'")
    }
    assert tables == {
        *(t.name for t in travel.TABLES),
        *past.TABLES,
        *spaces.ITEMS,
        "named_passage",
    }


@pytest.mark.usefixtures("_drop")
def test_a_name_that_is_taken_is_refused() -> None:
    with cursor() as hot:
        hot.execute("CREATE SCHEMA somebodys")
    for name in ("public", "rec", "pgmq", "pg_temp", "information_schema", "Big", "a b", "1a",
                 "a" * 42, "then", "x; DROP SCHEMA rec"):  # fmt: skip
        with pytest.raises(CommandError, match="can be no schema of yours"):
            refresh("--rebuild", "--as-of", "2026-03-02", "--into", name)
    with pytest.raises(CommandError, match="is there already, and was not made by this command"):
        refresh("--rebuild", "--as-of", "2026-03-02", "--into", "somebodys")


@pytest.mark.usefixtures("_drop")
def test_a_schema_that_was_not_made_or_by_other_code_is_not_visited(tmp_path: Path) -> None:
    for name in ("nowhere", "public", "a; b"):
        with pytest.raises(CommandError, match="made by refresh --into"):
            recommend(tmp_path, schema=name)
    refresh("--rebuild", "--as-of", "2026-03-02", "--into", "last_week")
    with cursor() as hot:
        hot.execute(
            "COMMENT ON SCHEMA last_week IS"
            """ '{"as_of": "2026-03-02T00:00:00+00:00", "versions": {}}'"""
        )
    with pytest.raises(CommandError, match="made by other code"):
        recommend(tmp_path, schema="last_week")


def test_options_that_do_not_go_together_are_a_sentence(tmp_path: Path) -> None:
    for args in (
        ("--as-of", "2026-03-02"),
        ("--rebuild", "--into", "last_week"),
        ("--rebuild", "--as-of", "2026-03-02", "--into", "last_week", "--only", "covisit"),
        ("--rebuild", "--as-of", "2026-03-02", "--into", "last_week", "--without-archived"),
    ):
        with pytest.raises(CommandError, match="go together"):
            refresh(*args)
    with pytest.raises(CommandError, match="--as-of 'then' is not an ISO date"):
        refresh("--rebuild", "--as-of", "then", "--into", "last_week")
    with pytest.raises(CommandError, match="--at 'then' is not an ISO date"):
        recommend(tmp_path, at="then")
