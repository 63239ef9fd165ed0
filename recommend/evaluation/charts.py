"""The charts of a report: SVG that stands in a page, without scripts, in the page's own colours.

Pure. Vega-Lite draws; colours are names of the page's own (CSS custom properties), so that light
and dark are the page's matter. It promises the same bytes for the same figures, and that nothing
is fetched.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import vl_convert
from django.utils.safestring import SafeString, mark_safe

from recommend.evaluation.beyond import TENTHS
from recommend.evaluation.intervals import Estimate
from recommend.evaluation.judgement import CHARTED, DEPTHS, TITLES, Judged, Judgement

COLOURS: Final = ["var(--first)", "var(--second)", "var(--third)", "var(--fourth)", "var(--fifth)"]

# Small, so that its letters can be read on a phone, where it is shown at two thirds.
WIDTH, HEIGHT = 520, 300

Spec = dict[str, Any]

LOOK: Final[Spec] = {
    "background": "transparent",
    "font": "inherit",
    "view": {"stroke": None},
    "axis": {
        "title": None, "labelFontSize": 15, "labelColor": "var(--quiet)", "labelPadding": 8,
        "gridColor": "var(--line)", "domain": False, "ticks": False, "tickCount": 5,
    },
    "axisX": {"grid": False, "labelAngle": 0},
    "legend": {
        "orient": "top", "title": None, "labelFontSize": 15, "labelColor": "var(--ink)",
        "symbolType": "circle", "symbolSize": 110, "symbolStrokeWidth": 0, "offset": 14,
    },
    "range": {"category": COLOURS},
    # Round corners would be cut by paths whose ids count on within a process.
    "bar": {"color": COLOURS[0]},
    "rule": {"color": "var(--ink)", "strokeWidth": 1.5},
    "line": {"strokeWidth": 2.5},
    "point": {"filled": True, "size": 45},
}  # fmt: skip


def by_group(groups: Sequence[Judged], figure: str) -> SafeString:
    """A bar for each group, with its interval."""
    known = [(group.name.removesuffix(" items"), group.figures[figure]) for group in groups]
    rows = [{"group": name} | _bar(estimate) for name, estimate in known]
    return _drawn(rows, {
        "encoding": {"x": {"field": "group", "type": "nominal", "sort": None, "scale": {"padding": 0.45}}},
        "layer": [
            {"mark": "bar", "encoding": {"y": _amount("mean")}},
            {"mark": "rule", "encoding": {"y": _amount("low"), "y2": {"field": "high"}}},
        ],
    })  # fmt: skip


def _bar(estimate: Estimate | None) -> Spec:
    if estimate is None:
        return {}
    low, high = estimate.interval or (None, None)
    return {"mean": estimate.mean, "low": low, "high": high}


def by_place(judgement: Judgement) -> SafeString:
    """How figures grow with the list."""
    places = range(1, len(judgement.by_place[CHARTED[0]]) + 1)
    figures = {TITLES[name]: figures for name, figures in judgement.by_place.items()}
    return _lines(places, figures, {"type": "quantitative", "axis": {"tickMinStep": 1}})


def by_depth(judgement: Judgement) -> SafeString:
    """What is found at each depth of the candidates."""
    return _lines(DEPTHS, judgement.by_depth, {"type": "ordinal"})


def by_tenth(judgement: Judgement) -> SafeString:
    """Popularity of what was shown beside that of what was chosen before."""
    rows = [
        {"tenth": tenth, "of": label, "amount": share}
        for label, shares in judgement.by_tenth.items()
        for tenth, share in enumerate(shares, 1)
    ]
    ends = f"datum.value == 1 ? 'rare' : datum.value == {TENTHS} ? 'popular' : ''"
    return _drawn(rows, {
        "mark": "bar",
        "encoding": {
            "x": {"field": "tenth", "type": "ordinal", "axis": {"labelExpr": ends},
                  "scale": {"paddingInner": 0.3}},
            "xOffset": {"field": "of", "sort": None},
            "y": _amount("amount"),
            "color": {"field": "of", "type": "nominal", "sort": None},
        },
    })  # fmt: skip


def _lines(at: Sequence[int], lines: Mapping[str, Sequence[float]], scale: Spec) -> SafeString:
    rows = [
        {"at": place, "of": label, "amount": amount}
        for label, amounts in lines.items()
        for place, amount in zip(at, amounts, strict=True)
    ]
    return _drawn(rows, {
        "mark": {"type": "line", "point": len(at) <= 20},
        "encoding": {
            "x": {"field": "at"} | scale,
            "y": _amount("amount"),
            "color": {"field": "of", "type": "nominal", "sort": None},
        },
    })  # fmt: skip


def _amount(field: str) -> Spec:
    return {"field": field, "type": "quantitative", "axis": {"format": ".2~f"}}


def _drawn(rows: Sequence[Spec], shape: Spec) -> SafeString:
    spec = {"data": {"values": rows}, "width": WIDTH, "height": HEIGHT, "config": LOOK,
            "autosize": {"type": "fit", "contains": "padding"}} | shape  # fmt: skip
    return mark_safe(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))
