"""Rules in words: what a merchant reads in a list instead of ten columns.

Pure; the clock is an argument. It promises one short sentence a rule, with days where a
period begins and ends at midnight, and hours where it does not.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Final

from catalog.models import Action, Rule

SHORTEST: Final = timedelta(microseconds=1)


def sentence(rule: Rule, item_title: str, scenarios: Sequence[str], now: datetime) -> str:
    """For example: Pin “Oat milk” to slot 1 in home, 1–14 Dec."""
    words = [rule.action.capitalize(), target(rule, item_title), _strength(rule), _where(scenarios)]
    said = " ".join(word for word in words if word)
    when = period(rule.starts_at, rule.ends_at, now)
    return f"{said}, {when}" if when else said


def target(rule: Rule, item_title: str) -> str:
    """What the rule is about."""
    if rule.item_id:
        return f"“{item_title or rule.item_id}”"
    if rule.category:
        return f"category “{rule.category.path}”"
    if rule.brand:
        return f"brand “{rule.brand}”"
    return f"{rule.attribute} “{rule.value}”"


def period(starts: datetime | None, ends: datetime | None, now: datetime) -> str:
    """When, without the year where it is this one. The end is the last moment, not the next."""
    if starts is None and ends is None:
        return ""
    if ends is None:
        return f"from {_moment(starts, now)}" if starts else ""
    if not _midnight(ends):
        until = _moment(ends, now)
        return f"{_moment(starts, now)} – {until}" if starts else f"until {until}"
    last = ends - SHORTEST
    if starts is None:
        return f"until {_day(last, now)}"
    if not _midnight(starts):
        return f"{_moment(starts, now)} – {_day(last, now)}"
    return _days(starts, last, now)


def state(rule: Rule, now: datetime) -> str:
    """Whether it applies: active, scheduled, over or off."""
    if not rule.enabled:
        return "off"
    if rule.ends_at is not None and rule.ends_at <= now:
        return "over"
    if rule.starts_at is not None and rule.starts_at > now:
        return "scheduled"
    return "active"


def _strength(rule: Rule) -> str:
    if rule.action == Action.PIN:
        return f"to slot {rule.slot}"
    return f"×{rule.factor:g}" if rule.factor is not None else ""


def _where(scenarios: Sequence[str]) -> str:
    if not scenarios:
        return "everywhere"
    *others, last = scenarios
    return f"in {', '.join(others)} and {last}" if others else f"in {last}"


def _days(first: datetime, last: datetime, now: datetime) -> str:
    if first.date() == last.date():
        return _day(first, now)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{_day(last, now)}"
    return f"{_day(first, now)} – {_day(last, now)}"


def _moment(at: datetime, now: datetime) -> str:
    return _day(at, now) if _midnight(at) else f"{_day(at, now)} {at:%H:%M}"


def _day(at: datetime, now: datetime) -> str:
    return f"{at.day} {at:%b}" if at.year == now.year else f"{at.day} {at:%b %Y}"


def _midnight(at: datetime) -> bool:
    return at.time() == time.min


def weighing(weights: Mapping[str, float], double_click: float) -> str:
    """What a projection weighs as a line, the heaviest first."""
    heaviest = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    said = [f"{kind.replace('_', ' ')} {weight:g}" for kind, weight in heaviest]
    once = [f"double clicks within {double_click:g} s once"] if double_click else []
    return " · ".join(said + once)
