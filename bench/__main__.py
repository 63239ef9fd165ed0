"""`make bench`: every promise of speed and size, measured in one run, in one table.

It knows the order: reading first, on a shop at rest; then a worker under a stream of events;
then folds by hand; then what needs tables of its own. It promises that it leaves the shop as
it was, and that it ends what it started. `--scale` measures the long log alone, at the length
that is promised.
"""

import argparse
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import psycopg
from django.db import Error as DatabaseError

from bench import (
    figures,
    folds,
    fresh,
    ground,
    http,
    ingest,
    log,
    memory,
    models,
    ranked,
    scale,
    sources,
    stack,
    texts,
)
from bench.figures import Figure
from bench.sizes import FULL, SCALE, SMOKE, Size
from bench.traffic import Client, Refused, Shop
from demo import processes
from demo.shop import MissingData

ROOT = Path(__file__).resolve().parent.parent
BUSY = 1.5
"""A load before the start that makes absolute figures worthless."""

Sections = list[tuple[str, list[Figure]]]


def main() -> None:
    """Ends the process with 0 once the table is out, with 1 and a sentence after a failure."""
    given = _arguments()
    # Ending must run every `finally`: children and the copy of the database go away there.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    home = ROOT / ".local" / ("bench-smoke" if given.smoke else "bench")
    load, began = os.getloadavg()[0], time.monotonic()
    try:
        with ground.alone(home):
            ground.boot(home, fresh=given.fresh)
            sections = _run(home, given)
    except KeyboardInterrupt:
        sys.exit("\nbench: stopped.")
    except (ground.InUse, MissingData, processes.Failed, Refused, fresh.NeverFresh) as failure:
        sys.exit(f"bench: {failure}")
    except (OSError, DatabaseError, psycopg.Error) as failure:
        sys.exit(f"bench: {type(failure).__name__}: {failure}")
    print(f"\n{_header(load)}\n\n{figures.table(sections)}")
    print(f"\nMade and measured in {time.monotonic() - began:.0f} seconds.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="One table of speeds and sizes.")
    parser.add_argument("--fresh", action="store_true", help="import and fold the shop anew")
    parser.add_argument("--scale", action="store_true", help="only the long log: 10 M events")
    parser.add_argument("--smoke", action="store_true", help="a small shop: does the bench work?")
    return parser.parse_args()


def _run(home: Path, given: argparse.Namespace) -> Sections:
    if given.scale:
        return [("Scale", scale.measure(SCALE))]
    size = SMOKE if given.smoke else FULL
    folder = ground.prepare(home, size)
    shop = Shop.read(folder)
    with ground.copied():
        sections = measure(shop, size, home)
    with ground.empty():
        ground.say("A history file into an empty log")
        sections.append(("Import", log.measure_append(shop, size, home)))
    return [*sections, ("Scale", scale.measure(size))]


def measure(shop: Shop, size: Size, logs: Path) -> Sections:
    """Everything that is measured on a shop with a history: Django's database as it stands."""
    from recsite import keys

    key = keys.create("bench", "publishable")
    with stack.web(logs) as (web, port):
        connect = partial(Client, port, key)
        ground.say("Lists over HTTP")
        lists = http.measure(connect, shop, size)
        weighed = memory.of_web(web)
        ground.say("A stream of events, and a worker that folds it")
        with stack.worker(logs) as worker:
            stream = fresh.measure(connect, shop, size)
            weighed += memory.of_worker(worker)
            ground.say("As many events as the stack can take")
            flood = ingest.measure(connect, shop, size)
    ground.say("What each source costs")
    heard = sources.measure(shop, size)
    ground.say("Models")
    learned = models.measure(size)
    ground.say("What a ranker costs")
    heard += ranked.measure(shop, size)
    ground.say("Folds, and rebuilds")
    folded = folds.measure(shop, size)
    ground.say("Texts")
    return [
        ("Lists", lists),
        ("Sources", heard),
        (f"Freshness at {size.rate} events/s", stream),
        ("Ingest over HTTP, while a worker folds", flood),
        ("Models", learned),
        ("Folds", folded + texts.measure(size)),
        ("Memory", weighed + log.measure_size()),
    ]


def _header(load: float) -> str:
    said = f"{os.cpu_count()} cores, load {load:.1f} before the start"
    if load > BUSY:
        said += "\nThe machine was busy: trust the ratios, not the figures beside them."
    return said


if __name__ == "__main__":
    main()
