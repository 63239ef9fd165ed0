"""Rules: what the merchant wants hidden, boosted, buried or pinned.

Pure. It promises that each removal and each move carries the rule that caused it, that a
boost multiplies and never adds, that equal scores keep the order in which they came, and that
a pin takes its slot whatever the scores say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from catalog.wishes import RuleRow
from recommend.candidates import Candidate


@dataclass(frozen=True, slots=True)
class Weighed:
    """Candidates after hide, boost and bury: best first, and which rules acted on what."""

    candidates: list[Candidate]
    hidden: dict[int, int]
    moved: dict[int, tuple[int, ...]]


def weigh(candidates: Sequence[Candidate], rules: Sequence[RuleRow]) -> Weighed:
    """Apply every rule but pins. `hidden` is item → rule, `moved` item → rules."""
    kept, hidden, moved = [], {}, {}
    for candidate in candidates:
        acting = [rule for rule in rules if rule.action != "pin" and is_about(rule, candidate)]
        hiding = next((rule for rule in acting if rule.action == "hide"), None)
        if hiding is not None:
            hidden[candidate.item] = hiding.id
            continue
        kept.append(_multiplied(candidate, acting))
        if acting:
            moved[candidate.item] = tuple(rule.id for rule in acting)
    return Weighed(sorted(kept, key=lambda c: -c.score), hidden, moved)


def pin(
    ordered: Sequence[Candidate], rules: Sequence[RuleRow], live: Mapping[int, Candidate]
) -> tuple[list[Candidate], dict[int, int]]:
    """Put pinned items that may be shown into their slots; also item → rule.

    Of two pins for a slot the older rule takes it and the other the next. A slot beyond the
    list's end is its end.
    """
    pins = _pins(rules, live)
    result = [c for c in ordered if c.item not in pins]
    for rule in sorted(pins.values(), key=lambda r: (r.slot or 1, r.id)):
        candidate = live[rule.item or 0]
        result.insert(_free_slot(result, (rule.slot or 1) - 1, pins), candidate)
    return result, {item: rule.id for item, rule in pins.items()}


def is_about(rule: RuleRow, candidate: Candidate) -> bool:
    """Whether the rule's one target covers the candidate; a category covers all below it."""
    if rule.item is not None:
        return rule.item == candidate.item
    if rule.category is not None:
        return rule.category in candidate.lineage
    if rule.brand is not None:
        return rule.brand == candidate.brand
    return rule.attribute is not None and _has(candidate, rule.attribute, rule.value)


def _has(candidate: Candidate, attribute: str, value: str | None) -> bool:
    """An attribute may be a list (sizes, tags): one of its values is enough."""
    own = candidate.attributes.get(attribute, [])
    return any(_written(v) == value for v in (own if isinstance(own, list) else [own]))


def _written(value: object) -> str:
    """As the merchant types it: true and 12.5 as in JSON, text without its quotes."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _multiplied(candidate: Candidate, acting: Sequence[RuleRow]) -> Candidate:
    score = candidate.score
    for rule in acting:
        score *= rule.factor if rule.factor is not None else 1.0
    return candidate if score == candidate.score else replace(candidate, score=score)


def _pins(rules: Sequence[RuleRow], live: Mapping[int, Candidate]) -> dict[int, RuleRow]:
    pins: dict[int, RuleRow] = {}
    for rule in rules:
        if rule.action == "pin" and rule.item is not None and rule.item in live:
            pins.setdefault(rule.item, rule)
    return pins


def _free_slot(result: Sequence[Candidate], wanted: int, pins: Mapping[int, RuleRow]) -> int:
    slot = wanted
    while slot < len(result) and result[slot].item in pins:
        slot += 1
    return min(slot, len(result))
