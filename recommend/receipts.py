"""Receipts: what a served list rests on, so that it can be made again from the log.

A receipt holds the moment, where the gathering statement stood (its snapshot of the log, each
projection's version and snapshot, how much of the shopper was known; for a list with a slot for
the untried, how often each of those had been shown and chosen), the scenario's settings and the
rules in force in full, the code, and the seed of the request. Same request, same tables, same
seed: same slate. It never reads a table: the statement that gathers brings it.

A list is made of several statements, each with a snapshot of its own; to read them all in one
costs more than the receipt (0.2 ms of 3.8). What commits in between matters in two places:
the title or deed that a reason names, and the stock of a pinned item, may be newer than the
receipt's snapshot. A slate keeps the last snapshot, too, so a replay can tell.
"""

import hashlib
import inspect
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from django.conf import settings

from behavior import standing as deeds
from catalog import wishes
from catalog.wishes import RuleRow, ScenarioSettings
from recommend import candidates, choice, explore, gathering, ordering, reasons, rerank, rules
from recommend.ranker import features, network, store
from recsite.numbers import many

if TYPE_CHECKING:
    from recommend.pipeline import Ask

SEED_BITS: Final = 48
"""Short enough to be a number in JSON, wherever it is read."""


def receipt(
    now: datetime,
    *,
    settings: ScenarioSettings,
    rules: Sequence[RuleRow],
    standing: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """As JSON has it; the dataclasses in it are written out when the slate is."""
    return {
        "now": now, **standing, "settings": settings, "rules": rules, "code": CODE,
        "seed": seed,
    }  # fmt: skip


def seed(ask: "Ask") -> int:
    """Where the randomness of a list begins. Equal requests, equal seeds."""
    said = orjson.dumps([ask.scenario, ask.shopper, ask.items, ask.category, ask.count,
                         ask.exclude_seen])  # fmt: skip
    return int.from_bytes(hashlib.blake2b(said, digest_size=SEED_BITS // 8).digest())


def log_end(standing: dict[str, Any]) -> str:
    """The position that an answer names: nothing at or above it was visible yet."""
    return str(standing["snapshot"].split(":")[1])


def worded(
    receipt: Mapping[str, Any], explored: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """What a kept receipt says, line by line, for people; and what the list tried out."""
    read = receipt["projections"] or {}
    shopper = receipt["history"]
    settings = {name: value for name, value in receipt["settings"].items() if value}
    rules = (f"#{rule['id']} {rule['action']} {_about(rule)}" for rule in receipt["rules"])
    return [
        ("moment", receipt["now"]),
        ("log seen", receipt["snapshot"]),
        *(
            (f"{name} v{version} had read", seen)
            for name, (version, seen, _) in sorted(read.items())
        ),
        *(
            (f"{name} weighs", _weights(said))
            for name, (_, _, said) in sorted(read.items())
            if said.get("weights")
        ),
        ("ranker", receipt.get("ranker") or "none: the blend alone"),
        ("texts encoded by", receipt.get("encoder") or "none"),
        *((kind, name) for kind, (name, _) in sorted((receipt.get("spaces") or {}).items())),
        ("shopper's last events", str(shopper[0]) if shopper else "none"),
        ("settings", _pairs(settings)),
        ("rules in force", "; ".join(rules) or "none"),
        ("code", receipt["code"]),
        ("seed", str(receipt["seed"])),
        ("tried out", _tried(explored) if explored else "nothing"),
        ("cluster", receipt["cluster"]),
    ]


def _tried(explored: Mapping[str, Any]) -> str:
    return (
        f"place {explored['place']}, drawn with probability {explored['propensity']:.3g}"
        f" out of {many(explored['of'], 'item')} that few have been shown"
    )


def _about(rule: Mapping[str, Any]) -> str:
    given = ("slot", "factor", "item", "category", "brand", "attribute", "value")
    return _pairs({name: rule[name] for name in given if rule[name] is not None})


def _weights(said: Mapping[str, Any]) -> str:
    within = said.get("double_click")
    return _pairs(said["weights"]) + (f"; a click again within {within:g} s once" if within else "")


def _pairs(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in named.items())


def _short(value: Any) -> Any:
    """6 rather than 6.0."""
    return f"{value:g}" if isinstance(value, float) else value


def _code() -> str:
    """The version and a digest of all that makes a list: the statements and their modules."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    said = [*gathering.EXPLORING, *gathering.EXPLORING.values()]
    modules = (candidates, choice, explore, ordering, features, network, store, deeds, reasons,
               rerank, rules, wishes)  # fmt: skip
    said += [inspect.getsource(module) for module in modules]
    # Read, for it imports receipts.
    said.append(Path(__file__).with_name("pipeline.py").read_text())
    digest = hashlib.blake2b("".join(said).encode(), digest_size=6).hexdigest()
    return f"{project['version']}+{digest}"


CODE: Final = _code()
"""Which code made a list; another digest may make another one."""
