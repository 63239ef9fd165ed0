"""`make drill`: kill everything, one after the other and again, and prove that nothing is lost.

It promises to end what it started, and to end with 0 only if every event that was answered
with 202 is there once, nothing else is, and `verify` is clean. Where it fails, the folder
with all logs stays.
"""

import argparse
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Final

import orjson
import psycopg

from bench.drill import house
from bench.drill.house import POSTGRES, House
from bench.drill.proof import Reckoning, reckon
from bench.drill.rounds import Load, Round, fire, victims, wait_until_all_is_read
from bench.drill.shoppers import Shopper, catalogue
from demo.processes import Failed
from recsite.postgres import ClusterError

HEAD: Final = ("round", "killed", "after (s)", "requests in flight", "all works again after (s)")


def main() -> None:
    """Ends the process with 0, or with 1 and a sentence."""
    given = _arguments()
    # Ending must run every `finally`: the processes go away there.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with house.standing() as home:
            print(f"• A shop in {home.home}, and {given.rounds} kills to come\n", flush=True)
            print(f"\n{drill(home, rounds=given.rounds, seed=given.seed)}")
    except KeyboardInterrupt:
        sys.exit("\ndrill: stopped.")
    except (Failed, ClusterError, OSError, psycopg.Error) as failure:
        sys.exit(f"drill: {failure}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.drill", description="Kill everything, and look.")
    parser.add_argument("--rounds", type=int, default=20, help="how many kills")
    parser.add_argument("--seed", type=int, default=7, help="whom, when, and what shoppers do")
    return parser.parse_args()


def drill(home: House, *, rounds: int, seed: int) -> str:
    """All rounds under load, a printed row each, then the reckoning as the last line.

    Raises Failed where anything is lost, twice, in part, of nobody's, or not equal.
    """
    _stock(home)
    key = home.manage("create_key", "drill", "--scope", "publishable").split()[-1]
    probe = Shopper("probe", home.port, key, seed)
    print(_row(HEAD), _row("---" for _ in HEAD), sep="\n", flush=True)
    done = []
    with closing(probe), Load(home, key, seed) as load:
        for each in fire(home, load, probe, victims(rounds, random.Random(seed)), seed):
            done.append(each)
            print(_row(_cells(each)), flush=True)
    wait_until_all_is_read(home)
    killed = [each.moment for each in done if each.victim == POSTGRES]
    return _total(done, reckon(home, [*load.books, probe.book], killed))


def _stock(home: House) -> None:
    file = home.home / "catalogue.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, catalogue())))
    home.manage("import_catalog", str(file))


def _total(done: Sequence[Round], reckoning: Reckoning) -> str:
    kills = Counter(each.victim for each in done)
    said = f"{len(done)} kills ({', '.join(f'{n} of {who}' for who, n in sorted(kills.items()))}): "
    if reckoning.wrong:
        raise Failed(said + str(reckoning))
    return said + str(reckoning)


def _cells(each: Round) -> tuple[str, ...]:
    return (str(each.number), each.victim, f"{each.when:.1f}", str(each.in_flight),
            f"{each.recovered:.1f}")  # fmt: skip


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
