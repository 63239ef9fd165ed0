"""The web process stays small: 200 MB at most, and none of the heavy libraries, ever."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.given import advance, given, item, view
from tests.servers import Shop

LARGEST = 200 * 1024
"""KB of memory that a web process may hold, shared pages included."""

HEAVY = {"torch", "transformers", "pyarrow", "PIL"}
ROUNDS = 100


@pytest.fixture
def goods(committed: None) -> None:
    """Sixty items with a history, so that lists are full."""
    for number in range(60):
        item(f"i{number}", title=f"Item {number}", category=f"Shelf {number % 7}")
    given([view(f"u{n % 9}", f"i{n % 60}", at=n) for n in range(300)])
    advance()


@pytest.fixture
def shop(goods: None, tmp_path: Path) -> Iterator[tuple[Shop, int]]:
    """A shop, and the id of the process that answers it."""
    with servers.web(tmp_path) as (granian, port):
        (process,) = servers.descendants(granian.process.pid)
        open_shop = Shop(port)
        yield open_shop, process
        open_shop.leave()


def serve_a_while(shop: Shop) -> None:
    """Every kind of request that a shop sends, a few hundred in all."""
    for number in range(ROUNDS):
        shop.tell({"event": "view_item", "user_id": f"v{number}", "item_id": f"i{number % 60}"})
        assert len(shop.shown("home", user_id=f"u{number % 9}", count=50)) == 50
        assert shop.shown("similar", item_id=f"i{number % 60}")
        shop.change(f"i{number % 60}", stock=number)


def test_after_hundreds_of_requests_it_is_small_and_has_loaded_nothing_heavy(
    shop: tuple[Shop, int],
) -> None:
    open_shop, process = shop
    serve_a_while(open_shop)
    assert open_shop.call("GET", "/v1/schema", key="").status == 200
    assert peak(process) <= LARGEST
    assert mapped(process) & {"psycopg_binary", *HEAVY} == {"psycopg_binary"}


def peak(process: int) -> int:
    """The most memory that a process ever held, in KB."""
    said = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", said)
    assert found is not None
    return int(found[1])


def mapped(process: int) -> set[str]:
    """The packages whose libraries a process has loaded."""
    maps = Path(f"/proc/{process}/maps").read_text()
    return set(re.findall(r"/site-packages/([^/\s]+)/", maps))


# Through the whole of the WSGI application, then what the interpreter has imported for it.
SERVE_ALL = """
import sys
from recsite.wsgi import application
from django.test import Client
key, *paths = sys.argv[1:]
client = Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {key}"})
answers = [client.get(path).status_code for path in paths]
search = {"event": "search", "user_id": "1", "query": "mug"}
answers.append(client.post("/v1/events", search, "application/json").status_code)
print(answers, sorted({"torch", "transformers", "pyarrow", "PIL"} & set(sys.modules)))
"""


def test_no_address_imports_anything_heavy(goods: None, tmp_path: Path) -> None:
    shop = Shop(port=0)
    paths = [
        "/v1/recommend/home?user_id=u1", "/v1/recommend/similar?item_id=i1", "/v1/items/i1",
        "/", "/healthz", "/admin/login/", "/v1/docs", "/v1/schema", "/v1/noop",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SERVE_ALL, shop.secret, *paths],
        env=servers.environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    shop.leave()
    assert done.stdout == f"{[200] * len(paths) + [202]} []\n", done.stderr
