"""Shops that lack something: lists are made of what is there, and `refresh` says what is silent.

Each goes the whole way: catalogue and history, `refresh` with all that it learns, a list for somebody
who is known and one for a stranger.
"""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from django.core.management import call_command

from behavior.events import Event
from recommend import silent
from recommend.pipeline import Ask, Composed, compose
from recommend.sources import NAMES
from tests.given import ask, given, item, minute, purchase, rate, view
from tests.test_silent import LEARNED, NO_PURCHASES
from tests.test_spaces import DAY

pytestmark = pytest.mark.usefixtures("committed")

NOW: Final = minute(90 * DAY)
NO_VECTOR: Final = {"content": "no item has a text or an image with a vector"}
UNLOOKED: Final = "no shopper looked at two items"


class Deed(Protocol):
    def __call__(self, user: str, item_id: str, /, *, at: float) -> Event: ...


def goods(count: int = 30, **content: Callable[[int], Any]) -> None:
    """So many items, each field made of its number."""
    for n in range(count):
        item(f"i{n}", **{field: make(n) for field, make in content.items()})


def titled() -> None:
    goods(title=lambda n: f"{('Wool', 'Hammer')[n % 2]} number {n}", category=lambda n: "AB"[n % 2])


def history(deed: Deed, shoppers: int = 20, each: int = 8) -> None:
    """Each shopper deals with items of an even or an odd number, one a week, some of them twice."""
    given([
        deed(f"u{who}", f"i{2 * (who * 3 + step * step) % 30 + who % 2}", at=step * 7 * DAY + who)
        for who in range(shoppers)
        for step in range(each)
    ])  # fmt: skip


def refreshed() -> list[str]:
    said = io.StringIO()
    call_command("refresh", stdout=said, stderr=said)
    return said.getvalue().splitlines()


def of(shopper: str | None) -> Composed:
    return compose(Ask("home", shopper, exclude_seen="none", count=10), NOW)


def spoke(made: Composed) -> set[str]:
    return {reason.source for shown in made.items for reason in shown.reasons}


# ── shops ──────────────────────────────────────────────────────────────────────────────────


def an_empty_log() -> None:
    """Nothing at all."""


def a_catalogue_alone() -> None:
    titled()


def three_shoppers() -> None:
    titled()
    history(view, shoppers=3)


def views_alone() -> None:
    titled()
    history(view)


def purchases_alone() -> None:
    titled()
    history(purchase)


def ratings_alone() -> None:
    titled()
    history(partial(_rated, 4.5))


def _rated(stars: float, user: str, item_id: str, /, *, at: float) -> Event:
    return rate(user, item_id, stars, at=at)


def no_text() -> None:
    goods(price=lambda n: n + 1)
    history(view)


def one_title_for_all() -> None:
    goods(title=lambda _: "Mug")
    history(view)


def broken_images_alone() -> None:
    goods(image=lambda n: f"{n}.png")
    history(view)


def items_that_no_catalogue_has() -> None:
    history(view)


UNKNOWN: Final = dict.fromkeys(
    ("popular", "trending"), "nobody has dealt with an item of the catalogue"
)
SILENT: Final = {
    a_catalogue_alone: UNKNOWN
    | LEARNED
    | NO_PURCHASES
    | {"viewed": UNLOOKED, "shoppers": "there are no two shoppers"},
    three_shoppers: NO_PURCHASES | LEARNED,
    views_alone: NO_PURCHASES | LEARNED,
    purchases_alone: {"viewed": UNLOOKED, "bought": NO_PURCHASES["bought"]} | LEARNED,
    ratings_alone: NO_PURCHASES | LEARNED,
    no_text: NO_PURCHASES | LEARNED | NO_VECTOR,
    one_title_for_all: NO_PURCHASES | LEARNED,
    broken_images_alone: NO_PURCHASES | LEARNED | NO_VECTOR,
    items_that_no_catalogue_has: NO_PURCHASES | LEARNED | NO_VECTOR | UNKNOWN,
}

EMPTY: Final = (a_catalogue_alone, items_that_no_catalogue_has)
"""Shops in which nothing can be listed: nobody did anything with what is for sale."""


@pytest.mark.parametrize("shop", SILENT, ids=lambda shop: shop.__name__)
def test_the_rest_speaks_and_it_is_said_what_does_not(
    shop: Callable[[], None], settings: Any, tmp_path: Path
) -> None:
    settings.IMAGES = str(tmp_path)
    (tmp_path / "0.png").write_bytes(b"no picture")
    shop()
    lines = refreshed()
    assert silent.silent() == SILENT[shop]
    assert lines[-1] == f"sources: {silent.sentence()}"
    known, stranger = of("user:u1"), of(None)
    lengths = (len(known.items), len(stranger.items))
    assert lengths == ((0, 0) if shop in EMPTY else (10, 10))
    assert (spoke(known) | spoke(stranger)) & set(SILENT[shop]) == set()


def test_of_nothing_at_all_each_source_is_silent() -> None:
    an_empty_log()
    lines = refreshed()
    assert set(silent.silent()) == set(NAMES)
    assert "texts: no item has one; lists go on without content" in lines
    assert "weights, spaces and ranker: the log is empty, so they stay as they are" in lines
    assert (of("user:u1").items, of(None).shortfall) == ((), 10)


def test_images_that_are_broken_or_absent_are_counted(settings: Any, tmp_path: Path) -> None:
    settings.IMAGES = str(tmp_path)
    (tmp_path / "0.png").write_bytes(b"no picture")
    broken_images_alone()
    (said,) = (line for line in refreshed() if line.startswith("images: "))
    assert "30 could not be read" in said
    assert "there is no such file (29," in said
    assert "it is no picture, or a broken one (1, as 0.png)" in said


def test_of_items_that_say_the_same_a_list_holds_none_twice() -> None:
    one_title_for_all()
    refreshed()
    shown = [each.item_id for each in of("user:u1").items]
    assert len(set(shown)) == len(shown) == 10
    assert ask("SELECT count(*) FROM passage") == [(1,)]
