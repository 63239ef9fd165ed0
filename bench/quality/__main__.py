"""`make quality`: one table a set, ours beside the peers'.

Takes an hour or two: ours learns for minutes, and each peer may try its settings as long. Sets
whose data is absent are named and left out.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from bench.quality import judged, ours, sets
from bench.quality.judged import Figures, Wanted
from bench.quality.sets import Kept

HERE: Final = Path(__file__).resolve().parent
PYTHON: Final = ours.ROOT / ".venv-peers" / "bin" / "python"
PEERS: Final = (
    "popular", "own frequency", "item-kNN", "EASE", "implicit ALS", "implicit BPR", "implicit BM25",
    "implicit TF-IDF", "LightFM WARP", "RecTools SASRec",
)  # fmt: skip
OURS: Final = "recsite"

LONGEST: Final = 6
"""Times the minutes for settings: for a last trial of each kind, the final models and the lists."""


@dataclass(frozen=True, slots=True)
class Line:
    """A recommender's lists of one kind, or why it has none."""

    name: str
    figures: Figures | None
    said: str


def main() -> None:
    given = _given()
    with tempfile.TemporaryDirectory(prefix="quality-") as made:
        # Postgres runs as nobody where we are root.
        Path(made).chmod(0o755)
        for kept in sets.each(given.sets, Path(made)):
            for row in _of_set(kept, Path(made) / kept.name, given.peers, given.minutes):
                print(row, flush=True)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="quality", description="Our lists beside the peers'.")
    parser.add_argument("--sets", nargs="+", choices=tuple(sets.SETS), default=tuple(sets.SETS))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument(
        "--minutes", type=float,
        help="a peer may try settings that long (else as long as ours took to learn)",
    )  # fmt: skip
    return parser.parse_args()


def _of_set(kept: Kept, made: Path, peers: Sequence[str], minutes: float | None) -> Iterator[str]:
    said = {OURS: _ours(kept, made)}
    allowed = said[OURS]["seconds"] / 60 if minutes is None else minutes
    said |= {peer: _peer(peer, kept, made, allowed) for peer in peers}
    for kind in kept.lists:
        wanted = judged.wanted(kept, kind)
        lines = [_line(name, kind, made, wanted, told) for name, told in said.items()]
        yield from _table(kept.name, kind, wanted, lines)


def _ours(kept: Kept, made: Path) -> dict[str, Any]:
    print(f"• {kept.name}: {OURS}", flush=True)
    out = made / OURS
    out.mkdir()
    return {"seconds": ours.run(kept, made / "home", out)}


def _peer(peer: str, kept: Kept, made: Path, minutes: float) -> dict[str, Any]:
    print(f"• {kept.name}: {peer}", flush=True)
    out = made / peer
    out.mkdir()
    try:
        done = subprocess.run(
            [PYTHON, HERE / "peers.py", peer, kept.folder, out, str(minutes), *kept.lists],
            capture_output=True, text=True, check=False, timeout=LONGEST * 60 * minutes,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"skipped": f"no lists after {LONGEST * minutes:g} minutes"}
    if done.returncode:
        return {
            "skipped": f"failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}"
        }
    found: dict[str, Any] = orjson.loads((out / "said.json").read_bytes())
    return found


def _line(name: str, kind: str, made: Path, wanted: Wanted, told: dict[str, Any]) -> Line:
    if "skipped" in told:
        return Line(name, None, told["skipped"])
    return Line(name, judged.judge(made / name / f"{kind}.parquet", wanted), _spent(kind, told))


def _spent(kind: str, told: dict[str, Any]) -> str:
    """What its settings are, how many it chose them from, and how long all took."""
    if "lists" not in told:
        return f"as `refresh` chooses; {told['seconds']:.0f} s"
    settings = ", ".join(f"{k} {v}" for k, v in told["lists"][kind]["settings"].items())
    tried = f"{told['tried']} of {told['of']} tried in {told['choosing']:.0f} s"
    return f"{settings}; {tried}, {told['seconds']:.0f} s in all"


def _table(name: str, kind: str, wanted: Wanted, lines: Sequence[Line]) -> Iterator[str]:
    """The best first; who has no list comes last."""
    yield f"\n{name}, lists of {kind} items, {len(wanted):,} shoppers"
    yield f"{'':18}{'NDCG@10':>9}  {'95%':13}{'HR@10':>7}  settings"
    for line in sorted(lines, key=lambda line: -(line.figures.ndcg.mean if line.figures else -1)):
        if line.figures is None:
            yield f"{line.name:18}{'–':>9}  {line.said}"
            continue
        low, high = line.figures.ndcg.interval or (0.0, 1.0)
        yield (f"{line.name:18}{line.figures.ndcg.mean:>9.4f}  {f'{low:.4f}–{high:.4f}':13}"
               f"{line.figures.hit_rate:>7.3f}  {line.said}")  # fmt: skip


if __name__ == "__main__":
    main()
