"""Images: what an item looks like, from real files and a real server, fused with what is said of it."""

import csv
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import transaction
from PIL import Image, ImageDraw
from pytest_django import Settings

from catalog import changes
from recommend import embed, fold, fusion, images, pipeline, tasks, travel
from recommend.encoders import ENCODERS
from recommend.images import gallery, pixels
from recommend.images.gallery import Gallery
from recommend.projections import content
from tests.given import advance, ask, described, differing, encode, item

ROOT: Final = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.usefixtures("committed")

NAME: Final = "multilingual-1+lite0-1"


def drawn(shape: str, colour: str, *, size: int = 120, at: int = 20) -> Image.Image:
    """A thing of a colour on white."""
    image = Image.new("RGB", (size, size), "white")
    getattr(ImageDraw.Draw(image), shape)((at, at, size - 20, size - 20), fill=colour)
    return image


def written(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """The shop's folder of images, which is in use."""
    place = tmp_path / "images"
    place.mkdir()
    settings.IMAGES = str(place)
    return place


class Said(NamedTuple):
    """A passage that is in no database."""

    body: str | None
    image: str | None


def put(folder: Path, **things: Image.Image) -> None:
    """Each as a PNG of its name."""
    for name, thing in things.items():
        thing.save(folder / f"{name}.png")


def why(address: str) -> str | None:
    """Why it cannot be read, if it cannot."""
    (found,) = Gallery().look([address])
    return str(found) if isinstance(found, images.Unread) else None


def refreshed() -> list[str]:
    said = StringIO()
    call_command("refresh", only="content", stdout=said, stderr=said)
    return said.getvalue().splitlines()[1:]


def unread() -> list[tuple[str, str]]:
    """(address, reason) of every image that could not be read."""
    return list(
        ask("SELECT image, reason FROM unread_image JOIN passage USING (passage) ORDER BY 1")
    )


def vectors() -> dict[str, str]:
    """item → its vector as Postgres writes it."""
    return dict(
        ask(
            "SELECT key, vector::text FROM item_passage JOIN item_key USING (item)"
            " JOIN embedding USING (passage)"
        )
    )


NEAREST = """
SELECT near.key
FROM item_key AS one JOIN item_passage AS own USING (item) JOIN embedding AS at USING (passage),
    LATERAL (SELECT key FROM embedding JOIN item_passage USING (passage) JOIN item_key USING (item)
             WHERE key <> one.key ORDER BY vector <=> at.vector LIMIT 1) AS near
WHERE one.key = %s
"""


def nearest(item_id: str) -> str:
    """The item that lies nearest to another."""
    ((found,),) = ask(NEAREST, item_id)
    return str(found)


# ── a passage is a text and an image ───────────────────────────────────────────────────────


def test_an_item_is_described_by_its_text_and_its_image() -> None:
    item("both", title="Mug", image="mug.jpg")
    item("text", title="Mug")
    item("image", image="mug.jpg")
    item("neither", price=3)
    advance("content")
    assert described() == {
        "both": ("Mug", "mug.jpg"),
        "text": ("Mug", None),
        "image": (None, "mug.jpg"),
        "neither": (None, None),
    }
    assert differing("content") == []


def test_the_same_text_with_the_same_image_is_one_passage_with_another_image_another() -> None:
    for name, image in (("a", "red.jpg"), ("b", "red.jpg"), ("c", "blue.jpg"), ("d", "")):
        item(name, title="T-shirt", image=image)
    advance("content")
    assert ask("SELECT count(*), count(DISTINCT digest) FROM passage") == [(3, 3)]
    encode()
    item("a", title="T-shirt", image="blue.jpg")
    advance("content")
    assert ask("SELECT count(*) FROM passage") == [(3,)]
    assert described()["a"] == ("T-shirt", "blue.jpg")


def test_a_text_without_an_image_has_the_digest_that_it_always_had() -> None:
    item("mug", title="Mug")
    advance("content")
    assert ask("SELECT digest = md5('Mug')::uuid FROM passage") == [(True,)]


def test_a_removed_image_leaves_the_text() -> None:
    item("mug", title="Mug", image="mug.jpg")
    item("cup", image="cup.jpg")
    advance("content")
    item("mug", title="Mug")
    changes.remove(["cup"])
    advance("content")
    assert described() == {"mug": ("Mug", None), "cup": (None, None)}
    assert differing("content") == []


def test_a_journey_into_the_past_knows_the_images_of_then() -> None:
    item("mug", title="Mug", image="old.jpg")
    item("cup", image="cup.jpg")
    advance("content")
    encode()
    then = datetime.now(UTC)
    item("mug", title="Mug", image="new.jpg")
    advance("content")
    encode()
    with travel.back_at(then):
        assert described() == {"mug": ("Mug", "old.jpg"), "cup": (None, "cup.jpg")}
        known = "SELECT image FROM embedding JOIN passage USING (passage) ORDER BY 1"
        assert ask(known) == [("cup.jpg",), ("old.jpg",)]
    assert described()["mug"] == ("Mug", "new.jpg")


# ── its vector ─────────────────────────────────────────────────────────────────────────────


def test_identical_titles_are_told_apart_by_images(folder: Path) -> None:
    put(folder, ball=drawn("ellipse", "red"), ball2=drawn("ellipse", "red", at=25),
        box=drawn("rectangle", "blue"), box2=drawn("rectangle", "blue", at=25))  # fmt: skip
    for name in ("ball", "ball2", "box", "box2"):
        item(name, title="Toy", image=f"{name}.png")
    assert refreshed() == [f"texts: 4 encoded ({NAME})", "images: 4 read"]
    assert {one: nearest(one) for one in ("ball", "ball2", "box", "box2")} == {
        "ball": "ball2", "ball2": "ball", "box": "box2", "box2": "box",
    }  # fmt: skip


def test_an_item_of_which_there_is_only_an_image_is_found_by_its_like(folder: Path) -> None:
    put(folder, ball=drawn("ellipse", "red"), like=drawn("ellipse", "red", at=25),
        box=drawn("rectangle", "blue"))  # fmt: skip
    item("nameless", image="ball.png")
    item("ball", title="A ball", image="like.png")
    item("box", title="A box", image="box.png")
    item("told", title="A ball")
    advance("content")
    assert list(embed.embed()) == [4]
    assert nearest("nameless") == "ball"
    assert nearest("told") == "ball"


def test_a_list_of_what_is_like_an_item_goes_by_its_looks(folder: Path) -> None:
    put(folder, ball=drawn("ellipse", "red"), like=drawn("ellipse", "red", at=25),
        box=drawn("rectangle", "blue"))  # fmt: skip
    item("nameless", image="ball.png")
    item("toy", title="Toy", image="like.png")
    item("case", title="Toy", image="box.png")
    refreshed()
    wanted = pipeline.Ask("similar", items=("nameless",), count=2)
    with transaction.atomic():
        made = pipeline.compose(wanted, datetime.now(UTC))
    assert [one.item_id for one in made.items] == ["toy", "case"]


SIZES = "SELECT DISTINCT vector_dims(vector), round(l2_norm(vector)::numeric, 2) FROM embedding"


def test_a_vector_is_the_texts_and_the_images_at_seven_tenths_of_its_length(folder: Path) -> None:
    put(folder, ball=drawn("ellipse", "red"))
    item("both", title="Ball", image="ball.png")
    item("text", title="Ball")
    item("image", image="ball.png")
    advance("content")
    assert list(embed.embed()) == [3]
    assert ask(SIZES) == [(768, 1)]
    both, text, image = (np.array(json.loads(vectors()[one])) for one in ("both", "text", "image"))
    assert np.all(text[512:] == 0)
    assert np.all(image[:512] == 0)
    assert both == pytest.approx((text + 0.7 * image) / np.sqrt(1 + 0.7**2), abs=0.001)


def test_a_picture_has_the_same_vector_whatever_it_comes_with() -> None:
    from recommend.images import lite0

    ball, box = (
        pixels.unpack(written(drawn(*each))) for each in (("ellipse", "red"), ("rectangle", "blue"))
    )
    assert lite0.encode([ball, box]) == [*lite0.encode([ball]), *lite0.encode([box])]
    assert [len(vector) for vector in lite0.encode([ball])] == [images.DIMENSIONS]
    assert lite0.encode([]) == []


def test_naming_a_place_encodes_all_anew_beside_and_taking_it_back_does_so(
    tmp_path: Path, settings: Settings
) -> None:
    put(tmp_path, ball=drawn("ellipse", "red"))
    item("ball", title="Ball", image="ball.png")
    item("nameless", image="ball.png")
    unlooked = [
        "texts: 1 encoded (multilingual-1)",
        "images: 2 are not read: neither RECSITE_IMAGES nor RECSITE_IMAGE_HOSTS names a place",
    ]
    assert refreshed() == unlooked
    before = vectors()
    assert before.keys() == {"ball"}
    settings.IMAGES = str(tmp_path)
    assert (embed.is_due(), embed.waiting()) == (True, 2)
    assert refreshed() == [f"texts: 2 encoded ({NAME})", "images: 2 read"]
    assert ask(SIZES) == [(768, 1)]
    assert ask("SELECT name, is_live FROM encoder") == [(NAME, True)]
    assert vectors().keys() == {"ball", "nameless"}
    settings.IMAGES = ""
    assert refreshed() == unlooked
    assert vectors() == before
    assert not embed.is_due()


def test_a_rebuild_keeps_the_vectors(folder: Path) -> None:
    put(folder, ball=drawn("ellipse", "red"))
    item("ball", title="Ball", image="ball.png")
    item("nameless", image="ball.png")
    item("lost", image="lost.png")
    advance("content")
    list(embed.embed())
    before = vectors()
    fold.rebuild(content)
    assert list(embed.embed()) == []
    assert vectors() == before


PRODUCTS: Final = Path(os.environ.get("QUALITY_DATA", "/")) / "grocery-images"


@pytest.mark.skipif(
    not PRODUCTS.exists(),
    reason="QUALITY_DATA names no folder with grocery-images: 81 real products",
)
def test_of_real_products_more_of_the_nearest_are_of_their_kind_with_images(
    settings: Settings,
) -> None:
    settings.IMAGES = str(PRODUCTS)
    with (PRODUCTS / "items.csv").open() as file:
        rows = list(csv.DictReader(file))
    kinds = np.array(["/".join(row["path"].split("/")[:2]) for row in rows])
    said = [Said(row["name"], row["file"]) for row in rows]
    found = []
    for looks in (False, True):
        made = fusion.Fusion(ENCODERS["multilingual"], looks).encode(said, Gallery())
        vectors = np.array([one.vector for one in made])
        likeness = vectors @ vectors.T - 9 * np.eye(len(rows))
        nearest = np.argsort(-likeness, axis=1)[:, :5]
        found.append(float((kinds[nearest] == kinds[:, None]).mean()))
    assert found == pytest.approx([0.346, 0.383], abs=0.006)


# ── what cannot be read ────────────────────────────────────────────────────────────────────

PNG: Final = written(drawn("ellipse", "red"))


def test_an_image_that_cannot_be_read_leaves_its_item_to_its_text_and_is_said(
    folder: Path,
) -> None:
    (folder / "good.png").write_bytes(PNG)
    (folder / "cut.png").write_bytes(PNG[:-60])
    (folder / "words.jpg").write_text("<html>Not found</html>")
    for name in ("good.png", "cut.png", "words.jpg", "gone.png", "../good.png"):
        item(name, title=f"A {name}", image=name)
    item("nameless", image="gone.jpg")
    assert refreshed() == [
        f"texts: 5 encoded ({NAME})",
        "images: 1 read; 5 could not be read, and only texts tell of their items:"
        " it is no picture, or a broken one (2, as cut.png), there is no such file (2, as gone.jpg),"
        " it is behind a link, or outside of RECSITE_IMAGES (1, as ../good.png)",
    ]
    assert vectors().keys() == {"good.png", "cut.png", "words.jpg", "gone.png", "../good.png"}
    assert {item for item, vector in vectors().items() if not vector.endswith(",0,0,0]")} == {
        "good.png"
    }
    assert not embed.is_due()


def test_an_image_that_is_put_there_later_is_read_by_the_next_refresh(folder: Path) -> None:
    item("ball", title="Ball", image="ball.png")
    item("nameless", image="ball.png")
    lost = (
        "could not be read, and only texts tell of their items:"
        " there is no such file (2, as ball.png)"
    )
    assert refreshed() == [f"texts: 1 encoded ({NAME})", f"images: 0 read; 2 {lost}"]
    before = vectors()
    assert refreshed() == [f"texts: 0 encoded ({NAME})", f"images: 0 read; 2 {lost}"]
    assert vectors() == before
    put(folder, ball=drawn("ellipse", "red"))
    assert refreshed() == [f"texts: 2 encoded ({NAME})", "images: 2 read"]
    assert unread() == []
    assert vectors().keys() == {"ball", "nameless"}
    assert vectors()["ball"] != before["ball"]
    assert refreshed() == [f"texts: 0 encoded ({NAME})", "images: 2 read"]


def test_a_worker_tries_again_after_a_day_and_says_what_is_wrong_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tasks._say_once.cache_clear()
    item("ball", title="Ball", image="ball.png")
    advance("content")
    tasks.embed()
    put(folder, ball=drawn("ellipse", "red"))
    tasks.embed()
    assert unread() == [("ball.png", "there is no such file")]
    ask("UPDATE unread_image SET tried_at = tried_at - interval '25 hours' RETURNING 1")
    tasks.embed()
    assert unread() == []
    assert [record.getMessage() for record in caplog.records] == [
        "images: 1 could not be read, and only texts tell of their items:"
        " there is no such file (1, as ball.png)"
    ]


def test_without_the_networks_package_texts_go_on_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "PACKAGES", ("recsite_has_no_such_package",))
    item("ball", title="Ball", image="ball.png")
    assert refreshed() == [
        "texts: 1 encoded (multilingual-1)",
        "images: 1 are not read: the package recsite_has_no_such_package is missing."
        " Run `make setup`.",
    ]


# ── the folder ─────────────────────────────────────────────────────────────────────────────

OUTSIDE: Final = "it is behind a link, or outside of RECSITE_IMAGES"


def test_a_path_stays_in_the_folder(folder: Path) -> None:
    put(folder, ball=drawn("ellipse", "red"))
    put(folder.parent, secret=drawn("ellipse", "red"))
    (folder / "deep").mkdir()
    put(folder / "deep", er=drawn("ellipse", "red"))
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "up").symlink_to(folder.parent)
    assert {path: why(path) for path in (
        "ball.png", "/ball.png", "deep/er.png", "./deep//er.png", "deep", "", "BALL",
        "../secret.png", "deep/../ball.png", str(folder.parent / "secret.png"), "link.png",
        "up/secret.png", "x" * 2_000, "ball.png/x",
    )} == {
        "ball.png": None, "/ball.png": None, "deep/er.png": None, "./deep//er.png": None,
        "deep": "there is no such file", "": "there is no such file",
        "BALL": "there is no such file", "../secret.png": OUTSIDE, "deep/../ball.png": OUTSIDE,
        str(folder.parent / "secret.png"): "there is no such file", "link.png": OUTSIDE,
        "up/secret.png": OUTSIDE, "x" * 2_000: "its file cannot be opened",
        "ball.png/x": "there is no such file",
    }  # fmt: skip
    assert why("loop.png") == "its file cannot be opened"


def test_a_path_without_a_folder_is_said(settings: Settings) -> None:
    settings.IMAGE_HOSTS = ["cdn.shop.example"]
    assert why("ball.png") == "it is a path, and RECSITE_IMAGES names no folder"
    settings.IMAGES = "/srv/recsite/no/such/folder"
    assert why("ball.png") == "there is no folder RECSITE_IMAGES"


# ── the file ───────────────────────────────────────────────────────────────────────────────

BALL: Final = drawn("ellipse", "red")


@pytest.mark.parametrize(
    "file",
    [
        written(BALL, "JPEG", quality=95),
        written(BALL, "WEBP", lossless=True),
        written(BALL.convert("P"), "GIF"),
        written(BALL.convert("RGBA")),
        written(BALL.convert("CMYK"), "JPEG", quality=95),
        written(drawn("ellipse", "red", size=1_200).convert("RGB"), "JPEG"),
    ],
    ids=["jpeg", "webp", "gif", "alpha", "cmyk", "large"],
)
def test_every_format_shows_the_same_thing(file: bytes) -> None:
    found = pixels.unpack(file)
    assert found.shape == (224, 224, 3)
    middle, corner = found[112, 112].astype(int), found[3, 3].astype(int)
    assert middle == pytest.approx(np.array([254, 0, 0]), abs=12)
    assert corner == pytest.approx(np.array([255, 255, 255]), abs=3)


def test_a_picture_is_whole_and_upright_on_white() -> None:
    wide = Image.new("RGB", (400, 100), "black")
    assert [tuple(pixels.unpack(written(wide))[y, 112]) for y in (10, 112, 214)] == [
        (255, 255, 255), (0, 0, 0), (255, 255, 255),
    ]  # fmt: skip
    turned = Image.Exif()
    turned[0x0112] = 6
    tall = pixels.unpack(written(wide, "JPEG", exif=turned))
    assert [tuple(tall[112, x]) for x in (10, 112, 214)] == [
        (255, 255, 255), (0, 0, 0), (255, 255, 255),
    ]  # fmt: skip
    clear = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    assert tuple(pixels.unpack(written(clear))[112, 112]) == (255, 255, 255)


def bomb(side: int) -> bytes:
    """A file of a few bytes that claims side × side pixels."""
    return written(Image.new("1", (side, side)))


BROKEN: Final = "it is no picture, or a broken one"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", BROKEN),
        (b"\x89PNG\r\n\x1a\n", BROKEN),
        (PNG[:200], BROKEN),
        (written(BALL, "JPEG")[:400], BROKEN),
        (written(BALL, "BMP"), BROKEN),
        (written(BALL, "TIFF"), BROKEN),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", BROKEN),
        (bomb(6_400), "it has more than 40 million pixels"),
        (bomb(9_600), "it has more than 40 million pixels"),
        (bomb(13_500), "it has more than 40 million pixels"),
    ],
)
def test_a_file_that_cannot_be_unpacked_says_why(file: bytes, reason: str) -> None:
    with pytest.raises(images.Unread, match=f"^{reason}$"):
        pixels.unpack(file)


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    (folder / "large.png").write_bytes(PNG + bytes(gallery.LARGEST))
    assert why("large.png") == "it is larger than 5 MB"


# ── hosts ──────────────────────────────────────────────────────────────────────────────────


class Shelf(BaseHTTPRequestHandler):
    """A real server of images, and of what a bad one does."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        match self.path.split("/"):
            case [_, "moved", *rest]:
                self.send_response(302)
                self.send_header("Location", "/".join(rest))
                self.end_headers()
            case [_, "hung"]:
                # Neither an answer nor an end, until whoever asked has gone.
                self.rfile.read(1)
            case [_, "endless"]:
                self._say(bytes(gallery.LARGEST + 2))
            case [_, ("ball.png" | "ball.png?v=2" | "%E7%90%83%20.png")]:
                self._say(PNG)
            case _:
                self.send_error(404)

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are silent."""


@pytest.fixture
def shelf(settings: Settings) -> Iterator[tuple[str, list[str]]]:
    """A host that is allowed, and what it was asked for."""

    class Own(Shelf):
        asked: list[str] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        settings.IMAGE_HOSTS = [host]
        yield host, Own.asked
        server.shutdown()


NOT_NAMED: Final = "its host is not named in RECSITE_IMAGE_HOSTS"


def test_a_host_that_is_named_is_asked(shelf: tuple[str, list[str]]) -> None:
    host, asked = shelf
    item("ball", title="Ball", image=f"http://{host}/ball.png?v=2")
    item("chinese", title="球", image=f"http://{host}/球 .png")
    item("gone", title="Gone", image=f"http://{host}/gone.png")
    assert refreshed() == [
        f"texts: 3 encoded ({NAME})",
        "images: 2 read; 1 could not be read, and only texts tell of their items:"
        f" its host answered 404 (1, as http://{host}/gone.png)",
    ]
    assert sorted(asked) == ["/%E7%90%83%20.png", "/ball.png?v=2", "/gone.png"]


def test_no_other_host_is_asked(shelf: tuple[str, list[str]]) -> None:
    host, asked = shelf
    port = host.split(":")[1]
    neither = "its address is neither a path nor one of http or https"
    assert {address: why(address) for address in (
        f"http://localhost:{port}/ball.png", "http://127.0.0.1/ball.png", "//cdn.shop.example/x",
        f"http://{host}@cdn.shop.example/x", "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd", "data:image/png;base64,AA", "ftp://127.0.0.1/x", "C:/x.png",
        "http://[::1/x", "http://a:b/x", "http:///x",
    )} == {
        f"http://localhost:{port}/ball.png": NOT_NAMED, "http://127.0.0.1/ball.png": NOT_NAMED,
        "//cdn.shop.example/x": NOT_NAMED, f"http://{host}@cdn.shop.example/x": NOT_NAMED,
        "http://169.254.169.254/latest/meta-data": NOT_NAMED, "file:///etc/passwd": neither,
        "data:image/png;base64,AA": neither, "ftp://127.0.0.1/x": neither, "C:/x.png": neither,
        "http://[::1/x": "its address cannot be understood",
        "http://a:b/x": "its address cannot be understood", "http:///x": NOT_NAMED,
    }  # fmt: skip
    assert asked == []


def test_a_redirect_leads_nowhere_else(shelf: tuple[str, list[str]]) -> None:
    host, asked = shelf
    start = f"http://{host}/moved"
    assert why(f"{start}//ball.png") is None
    assert why(f"{start}/http://localhost/ball.png") == NOT_NAMED
    assert why(f"{start}/file:///etc/passwd") == "its host answered 302"
    assert why(f"{start}//moved//moved//moved//moved//ball.png") == "its host answered 302"
    assert why(f"{start}/http://[::1/x") == (
        "its host leads to an address that cannot be understood"
    )
    assert "/etc/passwd" not in asked


def test_what_is_too_large_or_never_comes_is_given_up(
    shelf: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, asked = shelf
    monkeypatch.setattr(gallery, "PATIENCE", 0.3)
    assert why(f"http://{host}/endless") == "it is larger than 5 MB"
    one = Gallery()
    for _ in range(5):
        (found,) = one.look([f"http://{host}/hung"])
        assert str(found) == "its host does not answer, or not in time"
    assert asked == ["/endless", *["/hung"] * gallery.FAILURES]
    assert why(f"http://{host}/ball.png") is None


def test_a_default_port_needs_no_name(settings: Settings) -> None:
    settings.IMAGE_HOSTS = ["cdn.shop.example", "xn--bcher-kva.example"]
    assert gallery.allowed("//cdn.shop.example/a b.jpg") == (
        "cdn.shop.example", "https://cdn.shop.example/a%20b.jpg",
    )  # fmt: skip
    assert gallery.allowed("HTTPS://ann:secret@CDN.shop.example:443?x=1#y") == (
        "cdn.shop.example", "https://cdn.shop.example/?x=1",
    )  # fmt: skip
    assert gallery.allowed("http://bücher.example/x")[0] == "xn--bcher-kva.example"
    with pytest.raises(images.Unread, match=NOT_NAMED):
        gallery.allowed("http://cdn.shop.example:443/x")


def test_what_is_no_host_is_refused(settings: Settings) -> None:
    settings.IMAGE_HOSTS = ["https://cdn.shop.example/"]
    with pytest.raises(
        ImproperlyConfigured, match=r"'https://cdn.shop.example/' is no host\. Name hosts without"
    ):
        fusion.chosen()


def test_a_process_with_a_host_that_is_none_ends_with_a_sentence() -> None:
    elsewhere = {
        "DATABASE_URL": "postgresql://nowhere/none",
        "RECSITE_IMAGE_HOSTS": "a.example, b/c",
    }
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=os.environ | elsewhere,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (
        1,
        "recsite: RECSITE_IMAGE_HOSTS 'b/c' is no host. Name hosts without scheme and path, with"
        " commas: cdn.shop.example,images.shop.example:8443.\n",
    )


def test_items_that_say_the_same_are_twins_whatever_they_show() -> None:
    item("red", title="Shirt", image="red.png")
    item("blue", title="Shirt", image="blue.png")
    item("hat", title="Hat", image="red.png")
    advance("content")
    said: dict[str, int] = dict(
        ask("SELECT key, said FROM item_passage JOIN item_key USING (item)")
    )
    passages_: dict[str, int] = dict(
        ask("SELECT key, passage FROM item_passage JOIN item_key USING (item)")
    )
    assert said["red"] == said["blue"] != said["hat"]
    assert len(set(passages_.values())) == 3
