"""The gallery: where images lie, and getting at them without going anywhere else.

A path is looked for in the folder RECSITE_IMAGES; no link and no `..` leads out of it. An address
of the web is asked only where its host is named in RECSITE_IMAGE_HOSTS, also after a redirect: what
stands in a catalogue must not make a worker call on its own network. Files, waiting and redirects
are bounded.
"""

import http.client
import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit

from django.conf import settings

from recommend.images import Unread
from recommend.images.pixels import Pixels, unpack

LARGEST: Final = 5_000_000
"""Bytes of a file."""

PATIENCE: Final = 5.0
"""Seconds for a host to say anything, and for all of a file to come."""

PIECE: Final = 65_536
FAILURES: Final = 3
"""In a row, after which a host is not asked again in the same run: each costs the patience."""

SILENT: Final = "its host does not answer, or not in time"

THREADS: Final = 8
"""They wait for hosts, mostly."""

PORTS: Final = {"http": 80, "https": 443}
"""By the schemes that are read."""

KEPT: Final = "/%:=&?~+!$,;'@()*[]-._"
"""What stands in an address as it is; letters of other scripts and spaces are escaped."""


class Gallery:
    """The images of one run; it remembers which hosts do not answer."""

    def __init__(self) -> None:
        self._failures: Counter[str] = Counter()
        # One file at a time: a large one fills half a gigabyte, and all share the cores anyway.
        self._unpacking = Lock()

    def look(self, addresses: Sequence[str]) -> list[Pixels | Unread]:
        """What is at each address, in their order."""
        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(self._look, addresses))

    def _look(self, address: str) -> Pixels | Unread:
        try:
            file = self._fetch(address) if is_web(address) else take(address)
            with self._unpacking:
                return unpack(file)
        except Unread as unread:
            return unread

    def _fetch(self, address: str) -> bytes:
        host, plain = allowed(address)
        if self._failures[host] >= FAILURES:
            raise Unread(SILENT)
        try:
            file = fetch(plain)
        except (OSError, http.client.HTTPException) as error:
            self._failures[host] += 1
            raise Unread(SILENT) from error
        self._failures[host] = 0
        return file


def is_web(address: str) -> bool:
    """Whether it is no path: it has a scheme, or begins with // as in a web page."""
    return re.match(r"//|[a-z][a-z0-9+.-]*:", address, re.IGNORECASE) is not None


def allowed(address: str) -> tuple[str, str]:
    """The host, with its port where that is not the scheme's own, and the address as it is asked
    for: without a user's name, and escaped. Raises Unread."""
    try:
        parts = urlsplit(f"https:{address}" if address.startswith("//") else address)
        name = (parts.hostname or "").encode("idna").decode()
        port = parts.port
    except ValueError:
        raise Unread("its address cannot be understood") from None
    if parts.scheme not in PORTS:
        raise Unread("its address is neither a path nor one of http or https")
    elsewhere = f":{port}" if port not in (None, PORTS[parts.scheme]) else ""
    host = (f"[{name}]" if ":" in name else name) + elsewhere
    if host not in settings.IMAGE_HOSTS:
        raise Unread("its host is not named in RECSITE_IMAGE_HOSTS")
    query = f"?{quote(parts.query, KEPT)}" if parts.query else ""
    return host, f"{parts.scheme}://{host}{quote(parts.path, KEPT) or '/'}{query}"


def take(path: str) -> bytes:
    """A file of the folder. Raises Unread."""
    if not settings.IMAGES:
        raise Unread("it is a path, and RECSITE_IMAGES names no folder")
    try:
        root = Path(settings.IMAGES).resolve()
        if not root.is_dir():
            raise Unread("there is no folder RECSITE_IMAGES")
        named = root / path.lstrip("/")
        if ".." in named.parts or named.resolve() != named:
            raise Unread("it is behind a link, or outside of RECSITE_IMAGES")
        if not named.is_file():
            raise Unread("there is no such file")
        with named.open("rb") as file:
            return _bounded(file.read(LARGEST + 1))
    except (OSError, RuntimeError, ValueError):
        raise Unread("its file cannot be opened") from None


def fetch(address: str) -> bytes:
    """What a host has at an address that is allowed.

    Raises Unread, and OSError or HTTPException where the host does not answer in time.
    """
    until = monotonic() + PATIENCE
    try:
        with _OPENER.open(_request(address), timeout=PATIENCE) as answer:
            return _bounded(_read(answer, until))
    except urllib.error.HTTPError as refusal:
        refusal.close()
        raise Unread(f"its host answered {refusal.code}") from None
    except ValueError:
        raise Unread("its host leads to an address that cannot be understood") from None


def _request(address: str) -> urllib.request.Request:
    return urllib.request.Request(address, headers={"User-Agent": "recsite", "Accept": "image/*"})


def _read(answer: Any, until: float) -> bytes:
    """At most a byte more than the largest; a host that sends drop by drop is left in the end."""
    pieces = bytearray()
    while len(pieces) <= LARGEST and (piece := answer.read1(PIECE)):
        pieces += piece
        if monotonic() > until:
            raise TimeoutError
    return bytes(pieces)


def _bounded(file: bytes) -> bytes:
    if len(file) > LARGEST:
        raise Unread(f"it is larger than {LARGEST // 1_000_000} MB")
    return file


class _SameRules(urllib.request.HTTPRedirectHandler):
    """A redirect leads only where the catalogue might have led."""

    max_redirections = 3

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any
    ) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:
            # What cannot be parsed raises before anybody hangs up.
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        # Else all of its page would be read, however long.
        fp.close()
        return _request(allowed(newurl)[1])


_OPENER: Final = urllib.request.build_opener(_SameRules)
