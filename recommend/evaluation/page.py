"""The page of a report: one HTML file with everything in it, for a desk, a phone, day and night.

It loads nothing from anywhere. It promises the same bytes for the same report, and no figure
that the report does not have.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.template.loader import render_to_string

from recommend.evaluate import Plan, Report
from recommend.evaluation import charts
from recommend.evaluation.answers import DEPTH
from recommend.evaluation.groups import ALL, COLD
from recommend.evaluation.intervals import Estimate
from recommend.evaluation.judgement import (
    AUC,
    FIGURES,
    FOUND,
    TITLES,
    Judged,
    Judgement,
)

MEANINGS: Final = (
    ("Hit rate", "The share of shoppers in whose list there is anything that they then chose."),
    ("Precision, recall", "Hits ÷ places of the list; hits ÷ as many as the list could have had."),
    ("NDCG", "Hits weigh less the lower they stand: 1 where the list could not be better."),
    ("MRR", "One divided by the place of the first hit; 0 without one."),
    (f"Recall@{DEPTH}", f"The share of what was chosen that is anywhere among {DEPTH} candidates:"
     " no order of them can find more."),
    ("AUC", "How often an item that was chosen stands above one that was not, over everything on"
     " sale; whatever is no candidate shares the last place, and a tie is half."),
    (f"AUC@{DEPTH}", "The same among the candidates alone. It cannot be said of a shopper none of"
     " whose items was gathered."),
    ("Repeat, new", "Items with which the shopper had, or had never, dealt before."),
    ("Warm, cold", f"Items with which at least, or fewer than, {COLD} shoppers had dealt."),
    ("Diversity", "1 less the mean likeness of a list's pairs: by text, category and brand."),
    ("Novelty", "How surprising an item is, in bits: 10 bits are one shopper in 1,024."),
    ("Popularity, bias", "The mean percentile of popularity, of the list and of what its shopper"
     " chose before; how much more popular the list is."),
    ("Coverage, Gini", "The share of what is on sale that any list showed; how unequally places"
     " fall to items, 0 to all the same, 1 all to one. Of all lists together, hence no interval."),
    ("95%", "Between these a mean surely is: shoppers drawn anew a thousand times."),
)  # fmt: skip

LISTS: Final = {"diversity": 3, "novelty": 2, "popularity": 3, "chosen before": 3, "bias": 3}
"""What lists are like, with the digits that mean something."""


def title(plan: Plan) -> str:
    """What was evaluated, in a line."""
    return f"{plan.scenario} at {plan.count}, {_held_out(plan)}"


def _held_out(plan: Plan) -> str:
    if plan.cut is None:
        return f"each shopper's last {plan.of} held out"
    return f"cut at {plan.cut:%Y-%m-%d %H:%M}, judged by {plan.of}s"


def list_figures(judgement: Judgement) -> Iterator[tuple[str, str]]:
    """What lists are like: a name, and its figure as people read it."""
    for name, digits in LISTS.items():
        yield name, _said(judgement.lists[name], digits)
    yield "coverage", f"{judgement.coverage:.4f}"
    yield "gini", f"{judgement.gini:.4f}"


def render(report: Report) -> str:
    """The page."""
    judgement = report.judgement
    return render_to_string("recommend/evaluation.html", {
        "title": title(report.plan),
        "held_out": _held_out(report.plan),
        "plan": report.plan,
        "judgement": judgement,
        "cards": _cards(judgement),
        "columns": [TITLES[name] for name in FIGURES],
        "tables": [
            ("By what was chosen", _rows(judgement.by_item)),
            ("By how much the shopper had dealt with before", _rows(judgement.by_history)),
        ],
        "charts": _charts(judgement),
        "lists": list(list_figures(judgement)),
        "notes": report.notes,
        "meanings": MEANINGS,
    })  # fmt: skip


def _cards(judgement: Judgement) -> list[dict[str, str]]:
    every = next(group for group in judgement.by_item if group.name == ALL)
    cards = [_card(TITLES[name], every.figures, name) for name in ("ndcg", "hit_rate", FOUND, AUC)]
    return [
        *cards,
        {"title": "Coverage", "figure": f"{judgement.coverage:.1%}", "note": "of what is on sale"},
        {"title": "Novelty", "figure": _mean(judgement.lists["novelty"], 1), "note": "bits"},
    ]


def _card(name: str, figures: Mapping[str, Estimate | None], key: str) -> dict[str, str]:
    estimate = figures[key]
    return {"title": name, "figure": _mean(estimate, 3), "note": _interval(estimate, 3)}


def _rows(groups: Sequence[Judged]) -> list[dict[str, Any]]:
    return [
        {
            "name": group.name,
            "shoppers": group.shoppers,
            "cells": [
                (_mean(group.figures[name], 3), _interval(group.figures[name], 3))
                for name in FIGURES
            ],
        }
        for group in groups
    ]


def _charts(judgement: Judgement) -> list[dict[str, str]]:
    drawn = (
        ("NDCG by what was chosen", "Whiskers are 95% intervals.",
         charts.by_group(judgement.by_item, "ndcg")),
        ("NDCG by history", "By how many different items the shopper had dealt with.",
         charts.by_group(judgement.by_history, "ndcg")),
        ("Along the list", "Figures of all, as the list grows by one place after the other.",
         charts.by_place(judgement)),
        ("Along the candidates", "Which share of what was chosen is among so many candidates.",
         charts.by_depth(judgement)),
        ("Popularity", "Shares of what was shown and chosen before, by tenths of popularity.",
         charts.by_tenth(judgement)),
    )  # fmt: skip
    return [{"title": name, "note": note, "svg": svg} for name, note, svg in drawn]


def _mean(estimate: Estimate | None, digits: int) -> str:
    return "–" if estimate is None else f"{estimate.mean:.{digits}f}"


def _interval(estimate: Estimate | None, digits: int) -> str:
    if estimate is None or estimate.interval is None:
        return ""
    low, high = estimate.interval
    return f"{low:.{digits}f} – {high:.{digits}f}"


def _said(estimate: Estimate | None, digits: int) -> str:
    interval = _interval(estimate, digits)
    return _mean(estimate, digits) + (f" ({interval})" if interval else "")
