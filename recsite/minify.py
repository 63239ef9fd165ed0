"""The tracker on its way from the source that people read to the file that pages load.

`make tracker` writes the minified script, and beside it the same compressed: that is the one
which travels, and it may weigh 3 kB. Both are committed; a test proves that they are fresh.
It needs rjsmin, which only developers install.
"""

import gzip
from pathlib import Path
from typing import Final

import rjsmin

SOURCE: Final = Path(__file__).with_name("tracker.js")
SERVED: Final = SOURCE.parent / "static" / "recsite" / "tracker.js"
COMPRESSED: Final = SERVED.with_name("tracker.js.gz")
LARGEST: Final = 3_000
"""Bytes of the compressed script."""


def minified() -> bytes:
    """The source without comments and space."""
    return f"{rjsmin.jsmin(SOURCE.read_text())}\n".encode()


def write() -> None:
    """Make both files anew."""
    script = minified()
    SERVED.write_bytes(script)
    # Without a time in it, the same script gives the same file.
    COMPRESSED.write_bytes(gzip.compress(script, 9, mtime=0))
    print(f"{SERVED.name}: {len(script)} bytes, {COMPRESSED.stat().st_size} compressed")


if __name__ == "__main__":
    write()
