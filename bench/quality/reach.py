"""Reach: how far candidates reach, ours beside the peers', and how far any could.

`python -m bench.quality.reach` prints one table a set and kind: which share of what shoppers then took
is among the first 500 (recall@500, the most that fits in being 1), and how often an item that was taken
stands above one that was not (AUC), over everything that may be shown; above it, how well what they
took was known before. Ours come through the serving path; needs the peers' environment
(`make .venv-peers/.ready`). `--kept FOLDER` keeps each set's shop there for another run.
"""

import argparse
import subprocess
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.quality import judged, ours, sets
from bench.quality.__main__ import LONGEST, OURS, PEERS, PYTHON
from bench.quality.judged import Wanted
from bench.quality.sets import Kept

DEPTH: Final = 500
LEAST_KNOWN: Final = 3
"""Shoppers by whom an item is known well enough to tell whom else it is for."""

SLOW: Final = ("LightFM WARP", "RecTools SASRec")
"""Left out unless they are named."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of an item that was taken: how many others stand above it, and how many with it."""

    above: int
    equal: int


Places = Mapping[str, Mapping[str, Place]]
"""By shopper, by item."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Of `items`, all that there are, what is `hidden` from each who is judged; `known_by`: how many
    shoppers had dealt with an item before."""

    wanted: Wanted
    items: int
    hidden: Wanted
    known_by: Mapping[str, int]

    def size(self, user: str) -> int:
        """How many items may be shown."""
        return self.items - len(self.hidden[user])


def main() -> None:
    given = _given()
    with tempfile.TemporaryDirectory(prefix="reach-") as made:
        # Postgres runs as nobody where we are root.
        Path(made).chmod(0o755)
        base = (given.kept or Path(made)).resolve()
        for kept in sets.each(given.sets, base):
            for row in _of_set(
                kept, base / kept.name / "home", Path(made), given.peers, given.minutes
            ):
                print(row, flush=True)


def _given() -> argparse.Namespace:
    quick = tuple(peer for peer in PEERS if peer not in SLOW)
    parser = argparse.ArgumentParser(prog="reach", description="How far candidates reach.")
    parser.add_argument("--sets", nargs="+", choices=tuple(sets.SETS), default=tuple(sets.SETS))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=quick)
    parser.add_argument(
        "--minutes", type=float, default=1, help="a peer may try settings that long"
    )
    parser.add_argument("--kept", type=Path, help="a folder where shops are kept for another run")
    return parser.parse_args()


def _of_set(
    kept: Kept, home: Path, made: Path, peers: Sequence[str], minutes: float
) -> Iterator[str]:
    _fill(kept, home)
    outs = {name: made / f"{kept.name} {name}" for name in (OURS, *peers)}
    for out in outs.values():
        out.mkdir()
    failed = {peer: _place(peer, kept, outs[peer], minutes) for peer in peers}
    for kind in kept.lists:
        shop = shop_of(kept, kind)
        lines = {OURS: _own(kept, kind, home, outs[OURS], shop)}
        lines |= {p: _placed(outs[p] / f"{kind}.parquet") for p in peers if not failed[p]}
        yield from table(kept.name, kind, shop, lines)
        yield from (f"{peer:20}{'–':>11}  {why}" for peer, why in failed.items() if why)


def _fill(kept: Kept, home: Path) -> None:
    """A shop that was kept is there already."""
    print(f"• {kept.name}: {OURS}", flush=True)
    if not home.exists():
        ours.fill(kept, home)
        ours.manage(home, "refresh")


def _place(peer: str, kept: Kept, out: Path, minutes: float) -> str | None:
    """Have a peer write its places; why it has none."""
    print(f"• {kept.name}: {peer}", flush=True)
    command = (PYTHON, "-m", "bench.quality.places", peer, kept.folder, out, str(minutes))
    try:
        done = subprocess.run(
            [*command, *kept.lists], cwd=ours.ROOT, capture_output=True, text=True, check=False,
            timeout=LONGEST * 60 * minutes,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no places after {LONGEST * minutes:g} minutes"
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}"
    return None


def shop_of(kept: Kept, kind: str) -> Shop:
    """What was known at the cut, of what lists of this kind can show."""
    events = pq.read_table(kept.folder / "events.parquet", columns=["user_id", "item_id"])
    dealt = events.group_by(["user_id", "item_id"]).aggregate([])
    known_by = Counter(dealt["item_id"].to_pylist())
    listed = pq.read_table(kept.folder / "catalogue.parquet", columns=["item_id"])
    wanted = judged.wanted(kept, kind)
    hidden = judged.by_user(dealt) if kind == "new" else {}
    items = len({*known_by, *listed["item_id"].to_pylist()})
    return Shop(wanted, items, {user: hidden.get(user, set()) for user in wanted}, known_by)


# ── where what was taken stands ────────────────────────────────────────────────────────────


def _own(kept: Kept, kind: str, home: Path, out: Path, shop: Shop) -> Places:
    lists, rest = out / f"{kind}.parquet", out / "rest.parquet"
    given = (kept.folder / "users.parquet", ours.EXCLUDED[kind], lists, rest)
    ours.run_in(home, "-m", "bench.quality.gathered", *map(str, given))
    return behind(shop, pq.read_table(lists), pq.read_table(rest)["item_id"].to_pylist())


def behind(shop: Shop, lists: pa.Table, rest: Sequence[str]) -> Places:
    """The places that lists (user_id, rank, item_id) give; behind each stands the rest, without what is
    in it or hidden, and behind that all others in one last place."""
    listed = judged.by_user(lists)
    columns = (lists[name].to_pylist() for name in ("user_id", "item_id", "rank"))
    rank = {(user, item): Place(at - 1, 0) for user, item, at in zip(*columns, strict=True)}
    line = {item: at for at, item in enumerate(rest)}
    found: dict[str, dict[str, Place]] = {}
    for user, items in shop.wanted.items():
        own = listed.get(user, set())
        gone = sorted(line[item] for item in own | shop.hidden[user] if item in line)
        end = len(own) + len(line) - len(gone)
        last = Place(end, shop.size(user) - end - 1)
        found[user] = {
            item: rank.get((user, item)) or _in_line(line.get(item), len(own), gone) or last
            for item in items
        }
    return found


def _in_line(at: int | None, ahead: int, gone: Sequence[int]) -> Place | None:
    return None if at is None else Place(ahead + at - bisect_left(gone, at), 0)


def _placed(path: Path) -> Places:
    """As a peer wrote them (places.py)."""
    rows = pq.read_table(path)
    found: dict[str, dict[str, Place]] = {}
    columns = (rows[name].to_pylist() for name in ("user_id", "item_id", "above", "equal"))
    for user, item, above, equal in zip(*columns, strict=True):
        found.setdefault(user, {})[item] = Place(above, equal)
    return found


# ── the figures ────────────────────────────────────────────────────────────────────────────


def recall(taken: Sequence[Place]) -> float:
    """Who stands with others, all in one place, is found where all of them are."""
    return sum(p.above + p.equal < DEPTH for p in taken) / min(DEPTH, len(taken))


def auc(taken: Sequence[Place], size: int) -> float:
    """Of all pairs of an item that was taken and another of the `size` that may be shown, the share
    that is in order; equals count half (Mann & Whitney, 1947)."""
    own = len(taken)
    # Among themselves, too, each of those taken is above another or the other above it.
    above = sum(p.above + p.equal / 2 for p in taken) - own * (own - 1) / 2
    return 1 - above / (own * (size - own))


def figures(shop: Shop, places: Places) -> tuple[float, float]:
    """Recall and AUC, means over shoppers. What has no place may stand anywhere."""
    reached, ordered = [], []
    for user, items in shop.wanted.items():
        own, size = places.get(user, {}), shop.size(user)
        taken = [own.get(item) or Place(0, size - 1) for item in items]
        reached.append(recall(taken))
        ordered.append(auc(taken, size))
    return fmean(reached), fmean(ordered)


def shares(shop: Shop) -> tuple[float, float, float]:
    """Of all that was taken: known by nobody, by fewer than LEAST_KNOWN, and the rest."""
    known_by = [shop.known_by.get(item, 0) for items in shop.wanted.values() for item in items]
    nobody = fmean(not shoppers for shoppers in known_by)
    rest = fmean(shoppers >= LEAST_KNOWN for shoppers in known_by)
    return nobody, 1 - nobody - rest, rest


def ideal(shop: Shop, least: int) -> Places:
    """What could be had at best by who knows nothing of an item that fewer shoppers knew: all of the
    others that was taken stands first, and behind all the others is no order."""
    known = {item for item, shoppers in shop.known_by.items() if shoppers >= least}
    found: dict[str, dict[str, Place]] = {}
    for user, items in shop.wanted.items():
        above = len(known) - len(known & shop.hidden[user])
        anywhere = Place(above, shop.size(user) - above - 1)
        places = {item: Place(at, 0) for at, item in enumerate(sorted(items & known))}
        found[user] = {item: places.get(item, anywhere) for item in items}
    return found


def table(name: str, kind: str, shop: Shop, lines: Mapping[str, Places]) -> Iterator[str]:
    """The farthest first."""
    nobody, few, rest = shares(shop)
    yield f"\n{name}, lists of {kind} items, {len(shop.wanted):,} shoppers"
    yield (f"what was taken: {nobody:.1%} had been known by nobody, {few:.1%} by one or two shoppers,"
           f" {rest:.1%} by more")  # fmt: skip
    yield f"{'':20}{f'recall@{DEPTH}':>11}{'AUC':>8}"
    bounds = {f"at best, known by {least}": ideal(shop, least) for least in (1, LEAST_KNOWN)}
    found = {line: figures(shop, places) for line, places in (bounds | dict(lines)).items()}
    for line, (reached, ordered) in sorted(found.items(), key=lambda each: -each[1][0]):
        yield f"{line:20}{reached:>11.3f}{ordered:>8.3f}"


if __name__ == "__main__":
    main()
