"""A shop's pages, on a server of their own, and the real browser that opens them.

It knows how Debian's Chromium is started headless and how a page embeds the tracker. It
promises that a machine without Chromium skips, and says so.
"""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from django.db import connections
from playwright.sync_api import Browser, sync_playwright

from demo.processes import HOST

QUIET: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
"""Root may start it, and it asks nobody outside for anything."""

STUB: Final = (
    "<script>window.recsite = window.recsite || function () {"
    " (recsite.q = recsite.q || []).push(arguments) }</script>"
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium; the test is skipped where none is installed."""
    installed = shutil.which("chromium") or shutil.which("chromium-browser")
    if installed is None:
        pytest.skip("no Chromium: the tracker is NOT tested (Debian: apt-get install chromium)")
    # Playwright leaves an event loop running in this thread: Django would refuse to work there,
    # and opens a connection of its own for it, which must not outlive the loop.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=installed, args=QUIET)
            yield browser
            connections.close_all()
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Site:
    """A shop's site: another origin than recsite's, as every shop's is."""

    port: int
    pages: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, html: str) -> str:
        """Serve this page; returns its address."""
        self.pages[path] = html
        return f"http://{HOST}:{self.port}{path}"


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """An empty site, served until the end."""
    empty = Site(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            html = empty.pages.get(self.path)
            self.send_response(200 if html is not None else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((html or "").encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        empty.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield empty
        server.shutdown()
        thread.join()


def with_tracker(body: str, *, recsite: int, stub: str = STUB, **data: str) -> str:
    """A page that embeds the tracker as docs/tracker.md says, with these data- attributes."""
    given = {"endpoint": f"http://{HOST}:{recsite}/v1/events"} | data
    attributes = " ".join(f'data-{name}="{value}"' for name, value in given.items())
    src = f"http://{HOST}:{recsite}/static/recsite/tracker.js"
    return (
        f'<!doctype html><meta charset="utf-8"><title>Shop</title>{stub}'
        f'<script async src="{src}" {attributes}></script>{body}'
    )
