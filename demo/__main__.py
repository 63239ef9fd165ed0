"""`make demo`: a real shop's year goes in, and web, worker and beat serve it.

It knows the order of things and their end. It promises to begin only where the port is
free, to repeat no step that has finished, and to end everything it started on Ctrl-C or
when a part fails. It does nothing that a shop could not do with the same commands.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.core.management.base import CommandError
from django.db import OperationalError

from demo import processes, shop, steps, words

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

FAILURES = (
    processes.Failed,
    shop.MissingData,
    steps.AlreadyServing,
    CommandError,
    OperationalError,
)
"""What a user can do something about; each says what in its message."""


def main() -> None:
    """Ends the process with 0 after Ctrl-C, with 1 and a sentence after a failure."""
    for each in SIGNALS:
        signal.signal(each, _end)
    try:
        demo(_port())
    except KeyboardInterrupt:
        print("\nStopped.")
    except FAILURES as failure:
        sys.exit(f"recsite demo: {str(failure).strip()}")


def _end(*_: object) -> None:
    """Begin to end. A closed terminal says so twice at once, and people press Ctrl-C again:
    the second must not break off what the first began."""
    _be_deaf()
    raise KeyboardInterrupt


def _be_deaf() -> None:
    """From here on it is ten seconds at most."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def demo(port: int) -> None:
    """Do what no earlier run has done, then serve until Ctrl-C."""
    began = time.monotonic()
    with ExitStack() as stack:
        home = steps.boot(stack)
        remembered = steps.prepare(home)
        steps.say("Starting web, worker and beat")
        with _served(home, port) as children:
            print(words.ready(remembered, port=port, seconds=time.monotonic() - began), flush=True)
            processes.watch(children)


@contextmanager
def _served(home: Path, port: int) -> Iterator[list[processes.Child]]:
    children: list[processes.Child] = []
    try:
        for name, command in processes.commands(port).items():
            children.append(
                processes.start(name, command, log=home / f"{name}.log",
                                environment={"RECSITE_HOME": str(home)})
            )  # fmt: skip
        processes.wait_for(words.address(port, "/healthz"), children)
        yield children
    finally:
        _be_deaf()
        processes.stop(children)


def _port() -> int:
    given = os.environ.get("PORT") or "8000"
    if not given.isdecimal() or not 0 < int(given) < 65536:
        sys.exit(f"recsite demo: PORT={given} is not a port. Give a number from 1 to 65535.")
    if not processes.is_free(int(given)):
        sys.exit(
            f"recsite demo: port {given} is taken by another program (or another demo). "
            f"Stop that one, or choose another port: make demo PORT={int(given) % 65535 + 1}"
        )
    return int(given)


if __name__ == "__main__":
    main()
