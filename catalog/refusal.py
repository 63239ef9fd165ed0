"""How the readers of the feed say no: a code for programs and a sentence for people.

Pure. Refused is used inside catalog.feed and catalog.attributes only; outside they return a
Rejection.
"""

from behavior.events import Rejection


class Refused(Exception):
    """A value that cannot be taken; caught where the record is read."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.rejection = Rejection(code, message)


def storable(text: str) -> bool:
    """Postgres text holds neither NUL nor a lone surrogate."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def shown(value: object) -> str:
    """A value in a message: short, and harmless whatever it holds."""
    said = repr(value)
    return said if len(said) <= 40 else said[:39] + "…"
