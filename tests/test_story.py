"""The story, over HTTP and with real processes: from an empty shop to a list that follows.

What the README walks through: a web server and a worker on one Postgres, a shop that only
knows its two keys. Nothing is folded by hand here; the worker is woken by commits alone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog import changes
from catalog.models import Rule
from tests import servers
from tests.given import ask, attributed
from tests.servers import Shop, eventually, ids, reasons


@pytest.fixture
def shop(committed: None, tmp_path: Path) -> Iterator[Shop]:
    with servers.shop(tmp_path) as open_shop:
        yield open_shop


def item(item_id: str, title: str, category: str, **more: Any) -> dict[str, Any]:
    return {"item_id": item_id, "title": title, "category": category} | more


def did(event: str, user: str, item_id: str, **more: Any) -> dict[str, Any]:
    return {"event": event, "user_id": user, "item_id": item_id} | more


GOODS = (
    item("mug", "Blue mug", "Kitchen > Mugs", price=7.5, currency="EUR"),
    item("cup", "Espresso cup", "Kitchen > Cups", stock=3),
    item("teapot", "Iron teapot", "Kitchen > Pots"),
    item("lamp", "Reading lamp", "Living > Lamps"),
    item("rug", "Wool rug", "Living > Rugs"),
    item("tent", "Tent for two", "Garden"),
)


def test_first(shop: Shop) -> None:
    shop.stock(*GOODS)
    import time

    t = time.monotonic()
    shop.tell(did("view_item", "a", "mug"), did("view_item", "a", "teapot"))
    eventually(lambda: not servers.behind() and shop.shown("popular"))
    print("folded", time.monotonic() - t)
    eventually(lambda: ask("SELECT count(*) FROM passage WHERE vector IS NULL") == [(0,)])
    print("embedded", time.monotonic() - t)
    for s in ("home", "popular"):
        print(s, shop.ask(s, user_id="a"))
    print(shop.ask("similar", item_id="mug"))
    assert 0
