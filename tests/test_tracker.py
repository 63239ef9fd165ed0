"""The tracker in a real browser: what a shopper sees and does is in the log, and nothing else.

Every page is served from another origin than recsite, and no test passes in which the tracker
threw anything into its page.
"""

import gzip
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import orjson
import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

from behavior.events import BY_NAME
from demo.processes import HOST
from recsite import minify
from tests import pages, servers
from tests.given import Row, ask, serve
from tests.pages import Site
from tests.servers import Shop

Sent = dict[str, Any]
Seen = TypeVar("Seen")
AT: Final = "/static/recsite/tracker.js"
EVENTS: Final = "**/v1/events?*"
PRODUCT: Final = '<main data-recsite-view="mug"></main>'

# ── the file ───────────────────────────────────────────────────────────────────────────────


def test_what_is_served_is_the_source_minified_anew() -> None:
    assert minify.SERVED.read_bytes() == minify.minified(), "run `make tracker`"
    assert gzip.decompress(minify.COMPRESSED.read_bytes()) == minify.minified()


def test_compressed_it_weighs_three_kilobytes_at_most() -> None:
    assert minify.COMPRESSED.stat().st_size <= minify.LARGEST == 3_000


def test_no_syntax_is_younger_than_2018() -> None:
    """Optional chaining, ??, an omitted catch binding, #private fields, numeric separators."""
    younger = r"\?\.[^\d]|\?\?|catch\s*\{|[^&]#\w|\d_\d|\.(flat|flatMap|fromEntries|replaceAll)\("
    assert re.findall(younger, minify.minified().decode()) == []


@pytest.fixture
def no_query(
    db: None, django_assert_num_queries: Callable[[int], AbstractContextManager[Any]]
) -> Iterator[None]:
    """The test client looks after connections that earlier tests left; nobody asks anything."""
    with django_assert_num_queries(0):
        yield


def test_it_is_at_a_stable_address_for_every_site_and_is_kept_for_a_day(
    no_query: None, client: Client
) -> None:
    answer = client.get(AT, headers={"Accept-Encoding": "gzip"})
    body = answer.getvalue()
    answer.close()
    assert (answer.status_code, gzip.decompress(body)) == (200, minify.minified())
    assert {name: answer[name] for name in ("Content-Type", "Content-Encoding", "Cache-Control",
                                            "Access-Control-Allow-Origin", "Vary")} == {
        "Content-Type": 'text/javascript; charset="utf-8"',
        "Content-Encoding": "gzip",
        "Cache-Control": "max-age=86400, public, stale-while-revalidate=604800",
        "Access-Control-Allow-Origin": "*",
        "Vary": "Accept-Encoding",
    }  # fmt: skip
    again = client.get(AT, headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304


def test_other_files_are_kept_for_a_minute(no_query: None, client: Client) -> None:
    answer = client.get("/static/recsite/site.css")
    answer.close()
    assert answer["Cache-Control"] == "max-age=60, public"


# ── a shopper in a browser ─────────────────────────────────────────────────────────────────


# What a page sends at its end is not reported any more, so its tab keeps a copy.
KEEP_BEACONS: Final = """
const send = navigator.sendBeacon.bind(navigator);
navigator.sendBeacon = (url, body) => {
  const kept = JSON.parse(sessionStorage.beacons || '[]');
  sessionStorage.beacons = JSON.stringify([...kept, body]);
  return send(url, body);
};
"""


@dataclass
class Shopper:
    """A browser with nothing in it yet, on the pages of a shop; `sent` has its batches, but for
    beacons."""

    context: BrowserContext
    site: Site
    shop: Shop
    sent: list[list[Sent]] = field(default_factory=list)
    asking: set[Request] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.add_init_script(KEEP_BEACONS)
        self.context.on("request", self._note)
        for end in ("requestfinished", "requestfailed"):
            self.context.on(end, lambda request: self.asking.discard(request))
        self.context.on("weberror", lambda error: self.errors.append(str(error.error)))
        self.context.on(
            "console",
            lambda said: self.warnings.append(said.text) if said.type == "warning" else None,
        )

    def _note(self, request: Request) -> None:
        if "/v1/events" in request.url:
            self.sent.append(orjson.loads(request.post_data or "null"))
            self.asking.add(request)

    def beacons(self, page: Page) -> list[list[Sent]]:
        """The bodies of all beacons that this tab has sent."""
        bodies = page.evaluate("JSON.parse(sessionStorage.beacons || '[]')")
        return [orjson.loads(body) for body in bodies]

    def put(self, body: str = "", path: str = "/", **data: str) -> str:
        """Have the shop serve this page with the tracker in it; returns its address."""
        given = {"key": self.shop.public} | data
        return self.site.put(path, pages.with_tracker(body, recsite=self.shop.port, **given))

    def open(self, body: str = "", path: str = "/", **data: str) -> Page:
        """Such a page in a tab of its own, once the tracker has loaded."""
        page = self.context.new_page()
        page.goto(self.put(body, path, **data))
        return loaded(page)

    def go(self) -> None:
        """Close the browser with nothing left to say and no answer due, for the tables are
        emptied next."""
        for page in self.context.pages:
            page.evaluate("window.recsite && recsite('consent', false)")
        self.eventually(lambda: self.asking, lambda asking: not asking)
        self.context.close()

    def leave(self, page: Page) -> None:
        """Go to a page of the same shop that has no tracker."""
        page.goto(self.site.put("/elsewhere", "<title>No tracker here</title>"))

    def eventually(self, look: Callable[[], Seen], wanted: Callable[[Seen], bool] = bool) -> Seen:
        """What `look` sees once it is as wanted; the browser's own news arrive meanwhile."""
        end = time.monotonic() + servers.PATIENCE
        while not wanted(seen := look()):
            assert time.monotonic() < end, f"still {seen!r}"
            self.context.pages[0].wait_for_timeout(20)
        return seen

    def reach(self, count: int) -> list[Row]:
        """The facts, once there are so many."""
        return self.eventually(facts, lambda found: len(found) >= count)

    def empty(self, page: Page) -> None:
        """Return once nothing waits in localStorage."""
        self.eventually(lambda: queued(page), lambda left: left == [])


def loaded(page: Page) -> Page:
    page.wait_for_function("window.recsite && recsite.loaded")
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with pages.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def port(
    browser: Browser,
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:
    home = tmp_path_factory.mktemp("tracker")
    with django_db_blocker.unblock(), servers.web(home) as (_, port):
        yield port


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with pages.site() as site:
        yield site


@pytest.fixture
def shopper(committed: None, port: int, browser: Browser, site: Site) -> Iterator[Shopper]:
    shop = Shop(port)
    context = browser.new_context(viewport={"width": 800, "height": 600})
    shopper = Shopper(context, site, shop)
    yield shopper
    shopper.go()
    shop.leave()
    servers.settle()
    assert shopper.errors == []


def facts() -> list[Row]:
    """(kind, subject, item, recommendation_id) of every line, in the order of time."""
    rows = ask(
        "SELECT kind, s.key, i.key, slate FROM event LEFT JOIN subject_key s USING (subject)"
        " LEFT JOIN item_key i USING (item) ORDER BY id"
    )
    labels = {kind.value: name for name, kind in BY_NAME.items()}
    return [(labels[kind], subject, item, slate) for kind, subject, item, slate in rows]


def entries(page: Page) -> dict[str, str]:
    """What the tracker has in localStorage, without its prefix; queued events apart."""
    stored: dict[str, str] = page.evaluate("({...localStorage})")
    return {
        name.removeprefix("recsite."): value
        for name, value in stored.items()
        if not name.startswith("recsite.q")
    }


def queued(page: Page) -> list[Sent]:
    """The events that wait in localStorage, the oldest first."""
    stored: dict[str, str] = page.evaluate("({...localStorage})")
    return [
        orjson.loads(stored[name]) for name in sorted(stored) if name.startswith("recsite.q")
    ]  # fmt: skip


def who(page: Page) -> str:
    """The anonymous shopper as the log names it."""
    return f"anonymous:{entries(page)['id']}"


# ── views and other events ─────────────────────────────────────────────────────────────────


def test_a_marked_page_is_a_view_of_its_product(shopper: Shopper) -> None:
    page = shopper.open('<main data-recsite-view="mug">Blue mug</main>')
    before = datetime.now(UTC) - timedelta(minutes=1)
    assert shopper.reach(1) == [("view_item", who(page), "mug", None)]
    ((when, session),) = ask("SELECT occurred_at, detail ->> 'session_id' FROM event")
    assert before < when < datetime.now(UTC)
    assert session == entries(page)["session"].split()[0]
    ((event,),) = shopper.sent
    for name in (event["event_id"], event["anonymous_id"], event["session_id"]):
        assert uuid.UUID(name).version == 4


def test_a_product_that_comes_later_or_in_place_of_another_is_a_view_too(shopper: Shopper) -> None:
    shopper.context.route(EVENTS, lambda route: route.abort())
    page = shopper.open(PRODUCT)
    views = ["mug"]
    for item, change in (
        ("cup", "document.body.innerHTML += '<p data-recsite-view=cup></p>'"),  # all anew
        ("jug", "document.querySelector('main').dataset.recsiteView = 'jug'"),
        ("mug", "document.querySelector('main').dataset.recsiteView = 'mug'"),
    ):
        page.evaluate(change)
        views.append(item)
        shopper.eventually(lambda: len(queued(page)), lambda count: count >= len(views))
        assert [event["item_id"] for event in queued(page)] == views


def test_without_an_endpoint_the_scripts_own_server_is_told(shopper: Shopper) -> None:
    script = f'<script async src="http://{HOST}:{shopper.shop.port}{AT}"'
    html = f'{script} data-key="{shopper.shop.public}"></script>{PRODUCT}'
    page = shopper.context.new_page()
    page.goto(shopper.site.put("/", html))
    loaded(page)
    assert shopper.reach(1) == [("view_item", who(page), "mug", None)]


def test_every_kind_can_be_told(shopper: Shopper) -> None:
    page = shopper.open()
    names = sorted({*BY_NAME} - {"identify"})  # that is recsite('user', …)
    page.evaluate(
        "names => names.forEach(name => recsite('event', name,"
        " {item_id: name, query: 'mug', rating: 4}))",
        names,
    )
    page.evaluate("recsite('flush')")
    assert sorted(shopper.reach(len(names))) == [(name, who(page), name, None) for name in names]


def test_calls_before_the_script_is_there_are_kept(shopper: Shopper) -> None:
    early = "<script>recsite('event', 'search', {query: 'mug'}); recsite('flush')</script>"
    page = shopper.open(early)
    assert shopper.reach(1) == [("search", who(page), None, None)]
    assert ask("SELECT detail ->> 'query' FROM event") == [("mug",)]


def test_what_the_shop_gives_wins(shopper: Shopper) -> None:
    page = shopper.open()
    order = {"event_id": "order-7", "occurred_at": "2026-03-02T09:00:00Z", "order_id": "7",
             "items": [{"item_id": "mug", "quantity": 2, "price": 7.5}]}  # fmt: skip
    page.evaluate("order => recsite('event', 'purchase', order)", order)
    page.evaluate("recsite('flush')")
    shopper.reach(1)
    assert ask("SELECT occurred_at, quantity, price::float FROM event") == [
        (datetime(2026, 3, 2, 9, tzinfo=UTC), 2, 7.5)
    ]
    assert [event["event_id"] for event in shopper.sent[0]] == ["order-7"]


# ── lists: clicks and impressions ──────────────────────────────────────────────────────────


def box(item_id: str, top: int, *, left: int = 0, more: str = "") -> str:
    """An item 200 px high; the window is 600 px high."""
    style = f"position:absolute;left:{left}px;width:90px;height:200px;top:{top}px"
    return f'<a href="/product" data-recsite-item="{item_id}" style="{style}" {more}><b>x</b></a>'


def listed(slate: uuid.UUID, *boxes: str) -> str:
    return f'<section data-recsite-slate="{slate}">{"".join(boxes)}</section>'


def test_a_click_inside_an_item_names_its_list_and_place(shopper: Shopper) -> None:
    slate = serve("mug", "cup")
    shopper.put("<h1>Cup</h1>", "/product")
    page = shopper.open(listed(slate, box("mug", 0), box("cup", 200, more="data-recsite-index=2")))
    page.click("[data-recsite-item=cup] b")
    page.wait_for_url("**/product")
    assert shopper.reach(1) == [("select_item", who(page), "cup", slate)]
    ((event,),) = shopper.beacons(page)
    assert event["items"] == [{"item_id": "cup", "index": 2}]


def test_clicks_that_are_none(shopper: Shopper) -> None:
    page = shopper.open(
        '<p data-recsite-item="alone">1</p><section data-recsite-slate=""><h2>2</h2></section>'
        '<ul data-recsite-list><li data-recsite-item="plain">3</li></ul>'
    )
    for element in ("p", "h2"):
        page.click(element)
    page.click("li", button="right")
    page.click("li", button="middle")
    page.evaluate("recsite('flush')")
    assert shopper.reach(1) == [("select_item", who(page), "plain", None)]


def test_half_of_an_item_for_a_second_is_an_impression_and_less_is_none(shopper: Shopper) -> None:
    slate = serve("half", "third", "brief", "whole")
    page = shopper.open(
        listed(slate, box("whole", 0), box("half", 500, left=100), box("third", 534, left=200),
               box("brief", 0, left=300))
        + "<script>const brief = document.querySelector('[data-recsite-item=brief]');"
        "setTimeout(() => { brief.style.top = '590px' }, 500)</script>"
    )  # fmt: skip
    rows = shopper.reach(2)
    expected = [("view_item_list", who(page), item, slate) for item in ("whole", "half")]
    assert rows == expected
    # A second look changes nothing; what was brief may have its second now.
    page.evaluate("document.body.style.display = 'none'")
    page.wait_for_timeout(100)
    page.evaluate("document.body.style.display = ''")
    page.evaluate("brief.style.top = '450px'")
    assert shopper.reach(3) == [*expected, ("view_item_list", who(page), "brief", slate)]
    assert [[e["items"] for e in batch] for batch in shopper.sent] == [
        [[{"item_id": "whole"}, {"item_id": "half"}]], [[{"item_id": "brief"}]],
    ]  # fmt: skip


# The browser looks once a frame; `whole` is what it saw last.
LOOK: Final = """<script>
const mug = document.querySelector('a');
new IntersectionObserver(all => { whole = all.pop().isIntersecting }, {threshold: .5}).observe(mug);
let whole;
</script>"""


def test_two_halves_of_a_second_do_not_make_one(shopper: Shopper) -> None:
    page = shopper.context.new_page()
    page.clock.install()
    page.goto(shopper.put(listed(serve("mug"), box("mug", 900)) + LOOK))
    loaded(page)
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    for top in (0, 900, 0, 900):
        page.evaluate("top => { mug.style.top = `${top}px` }", top)
        page.wait_for_function("top => whole === (top === 0)", arg=top)
        page.clock.run_for(999)
    page.evaluate("recsite('event', 'search', {query: 'mug'}); recsite('flush')")
    assert [kind for kind, *_ in shopper.reach(1)] == ["search"]


AWAY: Final = """
let away = true;
Object.defineProperty(document, 'hidden', {get: () => away});
window.look = () => { away = false; document.dispatchEvent(new Event('visibilitychange')) };
"""


def test_nothing_is_seen_on_a_page_that_nobody_looks_at(shopper: Shopper) -> None:
    slate = serve("mug")
    shopper.context.add_init_script(AWAY)
    page = shopper.open(listed(slate, box("mug", 0)))
    page.wait_for_timeout(1_200)
    page.evaluate("recsite('event', 'search', {query: 'mug'}); recsite('flush')")
    assert [kind for kind, *_ in shopper.reach(1)] == ["search"]
    page.evaluate("look()")
    page.wait_for_timeout(1_100)
    page.evaluate("recsite('flush')")
    assert shopper.reach(2)[1:] == [("view_item_list", who(page), "mug", slate)]


def test_lists_that_come_later_and_lists_of_the_shops_own(shopper: Shopper) -> None:
    page = shopper.open("<div id=later></div>")
    slate = serve("mug")
    plain = f"<ul data-recsite-list>{box('cup', 0, left=100)}</ul>"
    page.evaluate("html => later.innerHTML = html", listed(slate, box("mug", 0)) + plain)
    page.wait_for_timeout(1_200)
    page.evaluate("recsite('flush')")
    seen = {(item, slate) for _, _, item, slate in shopper.reach(2)}
    assert seen == {("mug", slate), ("cup", None)}
    other = str(serve("jug"))
    page.evaluate("other => document.querySelector('section').dataset.recsiteSlate = other", other)
    page.wait_for_timeout(1_200)
    page.evaluate("recsite('flush')")
    assert shopper.reach(3)[2:] == [("view_item_list", who(page), "mug", uuid.UUID(other))]


# ── batches, and servers that are away ─────────────────────────────────────────────────────

TELL: Final = "count => { while (count--) recsite('event', 'view_item', {item_id: 'mug'}) }"


def refuse(times: int, act: Callable[[Route], None]) -> Callable[[Route], None]:
    """Deal so with the first requests; the rest go through."""
    left = [times]

    def handle(route: Route) -> None:
        left[0] -= 1
        act(route) if left[0] >= 0 else route.continue_()

    return handle


def test_twenty_events_go_at_once_and_fewer_after_two_seconds(shopper: Shopper) -> None:
    page = shopper.open()
    page.clock.install()
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    page.evaluate(TELL, 25)
    shopper.eventually(lambda: len(queued(page)), lambda count: count == 5)
    page.wait_for_timeout(300)
    page.clock.run_for(1_999)
    assert [len(batch) for batch in shopper.sent] == [20]
    page.clock.run_for(1)
    assert len(shopper.reach(25)) == 25
    assert [len(batch) for batch in shopper.sent] == [20, 5]
    shopper.empty(page)


@pytest.mark.parametrize(
    "act",
    [
        lambda route: route.abort("connectionrefused"),
        lambda route: route.fulfill(status=503, headers={"Access-Control-Allow-Origin": "*"}),
        lambda route: route.fulfill(
            status=429,
            headers={"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "*",
                     "Retry-After": "1"},
        ),
    ],
    ids=["no network", "503", "429"],
)  # fmt: skip
def test_what_was_not_taken_is_sent_again_with_the_same_keys(
    shopper: Shopper, act: Callable[[Route], None]
) -> None:
    shopper.context.route(EVENTS, refuse(2, act))
    page = shopper.open()
    page.evaluate(TELL, 20)
    assert shopper.reach(20) == [("view_item", who(page), "mug", None)] * 20
    first, *again = shopper.sent
    assert again == [first, first]


def test_a_server_that_asks_for_time_gets_it(shopper: Shopper) -> None:
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "*",
               "Retry-After": "60"}  # fmt: skip
    shopper.context.route(EVENTS, refuse(1, lambda r: r.fulfill(status=503, headers=headers)))
    page = shopper.open()
    page.clock.install()
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    with page.expect_response(EVENTS):
        page.evaluate(TELL, 20)
    page.wait_for_timeout(100)
    page.evaluate(TELL, 20)
    page.clock.run_for(59_999)
    assert len(shopper.sent) == 1
    page.clock.run_for(1)
    assert len(shopper.reach(40)) == 40


def test_what_the_server_will_never_take_is_dropped_and_said_once(shopper: Shopper) -> None:
    page = shopper.context.new_page()
    page.goto(shopper.put(key="pk_wrong"))
    loaded(page)
    for _ in range(2):
        page.evaluate(TELL, 20)
        shopper.empty(page)
    assert [len(batch) for batch in shopper.sent] == [20, 20]
    (said,) = shopper.warnings
    assert said.startswith('recsite: {"code":"wrong_key"')
    assert facts() == []


def test_one_bad_event_is_said_and_costs_its_neighbours_nothing(shopper: Shopper) -> None:
    page = shopper.open()
    page.evaluate("recsite('event', 'teleport'); recsite('event', 'search', {query: 'mug'})")
    page.evaluate("recsite('flush')")
    assert shopper.reach(1) == [("search", who(page), None, None)]
    shopper.empty(page)
    assert "Unknown event 'teleport'" in "".join(shopper.warnings)


def test_a_thousand_events_are_kept_the_newest(shopper: Shopper) -> None:
    shopper.context.route(EVENTS, lambda route: route.abort())
    page = shopper.open()
    page.evaluate("for (let n = 0; n < 1005; n++) recsite('event', 'search', {query: '' + n})")
    kept = {event["query"] for event in queued(page)}
    assert kept == {str(n) for n in range(5, 1_005)}


# ── leaving, and coming back ───────────────────────────────────────────────────────────────


def test_what_is_left_goes_when_the_page_is_left(shopper: Shopper) -> None:
    page = shopper.open(PRODUCT)
    page.evaluate(TELL, 3)
    shopper.leave(page)
    assert shopper.reach(4) == [("view_item", who(page), "mug", None)] * 4
    assert [len(batch) for batch in shopper.beacons(page)] == [4]
    assert (shopper.sent, queued(page)) == ([], [])


def test_an_impression_counts_though_the_page_is_left_at_once(shopper: Shopper) -> None:
    slate = serve("mug")
    page = shopper.open(listed(slate, box("mug", 0)))
    page.wait_for_timeout(1_200)
    shopper.leave(page)
    assert shopper.reach(1) == [("view_item_list", who(page), "mug", slate)]
    assert len(shopper.beacons(page)) == 1


def test_what_a_beacon_cannot_carry_is_sent_by_the_next_page(shopper: Shopper) -> None:
    shopper.context.add_init_script("navigator.sendBeacon = () => false")
    page = shopper.open()
    page.evaluate(TELL, 3)
    shopper.leave(page)
    waiting = queued(page)
    assert (len(waiting), shopper.sent) == (3, [])
    page.goto(shopper.put())
    assert len(shopper.reach(3)) == 3
    assert shopper.sent == [waiting]


def test_the_queue_outlives_a_reload_while_the_server_is_away(shopper: Shopper) -> None:
    shopper.context.route(EVENTS, lambda route: route.abort())
    page = shopper.open()
    page.evaluate(TELL, 20)
    shopper.eventually(lambda: len(shopper.sent))
    page.wait_for_timeout(100)
    page.reload()
    loaded(page)
    assert (len(queued(page)), shopper.beacons(page)) == (20, [])
    shopper.context.unroute(EVENTS)
    page.evaluate("recsite('flush')")
    assert shopper.reach(20) == [("view_item", who(page), "mug", None)] * 20
    shopper.empty(page)


def test_two_tabs_lose_nothing_and_repeat_nothing(shopper: Shopper) -> None:
    shopper.context.route(EVENTS, lambda route: route.abort())
    first = shopper.open()
    first.evaluate(TELL, 10)
    second = shopper.open()
    second.evaluate(TELL, 10)
    # A tab hears of another's entries a moment later.
    shopper.eventually(lambda: len(queued(first)), lambda count: count == 20)
    assert who(first) == who(second)
    shopper.context.unroute(EVENTS)
    for page in (first, second, first):
        page.evaluate("recsite('flush')")
    assert shopper.reach(20) == [("view_item", who(first), "mug", None)] * 20
    shopper.empty(first)
    assert len(facts()) == 20


# ── who it is ──────────────────────────────────────────────────────────────────────────────


def test_a_shopper_is_the_same_on_the_next_page_and_in_a_visit_until_half_an_hour_idle(
    shopper: Shopper,
) -> None:
    page = shopper.context.new_page()
    page.clock.install()
    page.goto(shopper.put(PRODUCT))
    loaded(page)
    shoppers, visits = [], []
    for minutes in ("00", "29:59", "30:00"):
        page.clock.fast_forward(minutes + ":00" if minutes == "00" else minutes)
        page.evaluate("recsite('event', 'search', {query: 'mug'})")
        stored = entries(page)
        shoppers.append(stored["id"])
        visits.append(stored["session"].split()[0])
    assert shoppers[0] == shoppers[1] == shoppers[2]
    assert visits[0] == visits[1] != visits[2]


def test_a_user_is_joined_to_the_anonymous_shopper_once(shopper: Shopper) -> None:
    page = shopper.open(user="ann")
    page.evaluate("recsite('flush')")
    shopper.empty(page)
    page.goto(shopper.put(user="ann"))
    loaded(page).evaluate("recsite('user', 'ann'); recsite('event', 'search', {query: 'mug'})")
    page.evaluate("recsite('flush')")
    shopper.eventually(lambda: ("search", "user:ann", None, None) in facts())
    told = [event for batch in shopper.sent for event in batch if event["event"] == "identify"]
    anonymous = entries(page)["id"]
    assert [(event["anonymous_id"], event["user_id"]) for event in told] == [(anonymous, "ann")]
    assert set(told[0]) == {
        "event", "event_id", "occurred_at", "anonymous_id", "user_id", "session_id",
    }  # fmt: skip


@pytest.mark.parametrize("then", ["recsite('user', null)", "recsite('user', 'bob')"])
def test_whoever_comes_after_a_user_is_somebody_else(shopper: Shopper, then: str) -> None:
    page = shopper.open(user="ann")
    before = entries(page)
    page.evaluate(then)
    page.evaluate("recsite('event', 'search', {query: 'mug'})")
    after = entries(page)
    assert after["id"] != before["id"]
    assert after["session"].split()[0] != before["session"].split()[0]


def test_a_page_can_ask_for_the_shoppers_id(shopper: Shopper) -> None:
    page = shopper.open()
    given = page.evaluate("new Promise(tell => recsite('id', tell))")
    assert given == entries(page)["id"]


def test_a_clock_that_is_off_is_put_right_after_the_first_answer(shopper: Shopper) -> None:
    page = shopper.context.new_page()
    page.clock.install(time=datetime.now(UTC) + timedelta(hours=2))
    page.goto(shopper.put())
    loaded(page)
    for _ in range(2):
        page.evaluate("recsite('event', 'search', {query: 'mug'}); recsite('flush')")
        shopper.empty(page)
    hours = [round((at - datetime.now(UTC)) / timedelta(hours=1))
             for (at,) in ask("SELECT occurred_at FROM event ORDER BY id")]  # fmt: skip
    assert hours == [0, 2]


# ── consent ────────────────────────────────────────────────────────────────────────────────


def test_before_consent_nothing_is_stored_or_sent(shopper: Shopper) -> None:
    page = shopper.open(PRODUCT, consent="ask", user="ann")
    page.evaluate(TELL, 30)
    page.evaluate("recsite('flush')")
    page.wait_for_timeout(300)
    assert (page.evaluate("localStorage.length"), page.evaluate("document.cookie")) == (0, "")
    shopper.leave(page)
    assert (page.evaluate("localStorage.length"), shopper.sent) == (0, [])
    assert (shopper.beacons(page), facts()) == ([], [])


def test_with_consent_what_this_page_saw_is_told(shopper: Shopper) -> None:
    page = shopper.open(PRODUCT, consent="ask")
    page.evaluate("recsite('consent', true)")
    assert shopper.reach(1) == [("view_item", who(page), "mug", None)]


def test_consent_that_is_withdrawn_forgets_the_shopper_and_the_queue(shopper: Shopper) -> None:
    shopper.context.route(EVENTS, lambda route: route.abort())
    other = shopper.open()
    page = shopper.open(PRODUCT)
    first = entries(page)["id"]
    page.evaluate("recsite('consent', false)")
    shopper.eventually(lambda: other.evaluate("localStorage.length"), lambda count: count == 0)
    other.wait_for_timeout(100)
    for tab in (page, other):
        tab.evaluate(TELL, 30)
        assert tab.evaluate("localStorage.length") == 0
    shopper.context.unroute(EVENTS)
    page.evaluate("recsite('consent', true); recsite('event', 'search', {query: 'mug'})")
    assert entries(page)["id"] != first
    assert shopper.reach(1) == [("search", who(page), None, None)]


def test_a_page_that_refuses_before_the_script_is_there_is_heard(shopper: Shopper) -> None:
    page = shopper.open("<script>recsite('consent', false)</script>" + PRODUCT)
    page.evaluate(TELL, 30)
    assert (page.evaluate("localStorage.length"), shopper.sent) == (0, [])


@pytest.mark.parametrize(
    "says", ["doNotTrack', {value: '1'}", "globalPrivacyControl', {value: true}"]
)
def test_a_browser_that_says_no_is_heard_whatever_the_page_says(
    shopper: Shopper, says: str
) -> None:
    shopper.empty(shopper.open(PRODUCT))
    shopper.sent.clear()
    shopper.context.add_init_script(f"Object.defineProperty(navigator, '{says})")
    page = shopper.open(PRODUCT, consent="granted", user="ann")
    page.evaluate("recsite('consent', true); recsite('user', 'bob')")
    page.evaluate(TELL, 30)
    page.evaluate("recsite('flush')")
    assert page.evaluate("new Promise(tell => recsite('id', id => tell(id === undefined)))") is True
    shopper.leave(page)
    assert shopper.beacons(page) == []
    assert (page.evaluate("localStorage.length"), shopper.sent, len(facts())) == (0, [], 1)


# ── a guest on somebody else's page ────────────────────────────────────────────────────────


def test_it_adds_one_global(shopper: Shopper) -> None:
    page = shopper.context.new_page()
    shopper.leave(page)
    before = set(page.evaluate("Object.getOwnPropertyNames(window)"))
    page.goto(shopper.put(PRODUCT, stub=""))
    after = set(loaded(page).evaluate("Object.getOwnPropertyNames(window)"))
    assert after - before == {"recsite"}


def test_where_storage_is_blocked_or_full_it_works_until_the_page_ends(shopper: Shopper) -> None:
    for broken in (
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked') }})",
        "Storage.prototype.setItem = () => { throw new Error('full') }",
    ):
        page = shopper.context.new_page()
        page.add_init_script(broken)
        page.goto(shopper.put(PRODUCT))
        loaded(page).evaluate(TELL, 19)
    rows = shopper.reach(40)
    assert [(kind, item) for kind, _, item, _ in rows] == [("view_item", "mug")] * 40
    assert len({subject for _, subject, _, _ in rows}) == 2
    assert shopper.warnings == []


def test_nonsense_throws_nothing_and_is_said_once(shopper: Shopper) -> None:
    page = shopper.open()
    page.evaluate(
        "const loop = {}; loop.loop = loop; recsite('event', 'search', loop); recsite('dance');"
        "recsite(); recsite('id'); recsite('event', 'search', {event_id: 1n, query: 'mug'})"
    )
    assert len(shopper.warnings) == 1
    page.evaluate("recsite('event', 'search', {query: 'mug'}); recsite('flush')")
    assert shopper.reach(1) == [("search", who(page), None, None)]


def test_without_a_key_or_twice_it_does_nothing_but_say_so(shopper: Shopper) -> None:
    twice = pages.with_tracker(PRODUCT, recsite=shopper.shop.port, key=shopper.shop.public)
    page = shopper.open(twice)
    assert len(shopper.reach(1)) == 1
    assert shopper.warnings == ["recsite: loaded twice"]
    page.goto(shopper.put(key=""))
    page.wait_for_timeout(200)
    assert shopper.warnings[1:] == ["recsite: data-key is missing"]
