"""`manage.py evaluate`: how good the lists are, by a split of the log, through the serving path."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from behavior.coverage import MonthsArchived
from recommend.evaluate import NothingToJudge, Plan, Report, evaluate
from recommend.evaluation import page
from recommend.evaluation.intervals import Estimate
from recommend.evaluation.judgement import FIGURES, Judged
from recommend.goals import GOALS
from recommend.pipeline import SEEN, Refused
from recommend.sources import NAMES
from recsite.progress import bar
from recsite.times import moment

WIDE: Final = 13


class Command(BaseCommand):
    """Hold something out, ask for lists without it, and judge them by it."""

    help = "Evaluate a scenario by a split of the log, through the serving path."

    def add_arguments(self, parser: ArgumentParser) -> None:
        held_out = parser.add_mutually_exclusive_group(required=True)
        held_out.add_argument(
            "--cut", metavar="DATE", help="hold out all from an ISO date or time (UTC) on"
        )
        held_out.add_argument(
            "--leave-last", action="store_true", help="hold out each shopper's last"
        )
        parser.add_argument("--of", choices=tuple(GOALS), default="purchase", help="what judges")
        parser.add_argument("--scenario", default="home")
        parser.add_argument("--count", type=int, default=10)
        parser.add_argument("--exclude-seen", choices=tuple(SEEN))
        parser.add_argument("--shoppers", type=int, default=2_000, help="at most this many")
        parser.add_argument(
            "--with-ranker", action="store_true", help="teach one from what is known, and ask it"
        )
        parser.add_argument(
            "--without", choices=NAMES, action="append", default=[], metavar="SOURCE",
            help="a source that is silent, to see what it is good for; may come several times",
        )  # fmt: skip
        parser.add_argument("--report", metavar="FILE", help="a page with charts, .html")

    def handle(self, *args: Any, report: str | None, **options: Any) -> None:
        if not 1 <= options["count"] <= 100 or options["shoppers"] < 1:
            raise CommandError("--count must be from 1 to 100, --shoppers at least 1.")
        if report and not (report.endswith(".html") and Path(report).parent.is_dir()):
            raise CommandError("--report must end in .html, in a folder that is there.")
        try:
            found = evaluate(_plan(options), lambda each: bar("asked", of=list(each), unit=""))
        except (NothingToJudge, Refused, MonthsArchived) as error:
            raise CommandError(str(error)) from None
        self.stdout.write("\n".join(_said(found)))
        if report:
            self._write(Path(report), page.render(found))

    def _write(self, path: Path, html: str) -> None:
        try:
            path.write_text(html)
        except OSError as error:
            raise CommandError(f"--report {path}: {error.strerror or error}.") from None
        self.stdout.write(f"\nReport in {path}")


def _plan(options: dict[str, Any]) -> Plan:
    return Plan(
        cut=moment(options["cut"], "--cut") if options["cut"] else None,
        scenario=options["scenario"],
        count=options["count"],
        exclude_seen=options["exclude_seen"],
        most=options["shoppers"],
        of=options["of"],
        with_ranker=options["with_ranker"],
        without=tuple(options["without"]),
    )


def _said(report: Report) -> Iterator[str]:
    yield page.title(report.plan)
    yield ""
    yield f"{'':16}{'shoppers':>9}" + "".join(f"{name:>{WIDE}}" for name in FIGURES)
    for group in (*report.judgement.by_item, *report.judgement.by_history):
        yield from _group(group)
    yield ""
    for name, figure in page.list_figures(report.judgement):
        yield f"{name:16}{figure}"
    yield ""
    yield from report.notes


def _group(group: Judged) -> Iterator[str]:
    estimates = [group.figures[name] for name in FIGURES]
    yield f"{group.name:16}{group.shoppers:>9,}" + "".join(f"{_mean(e):>{WIDE}}" for e in estimates)
    if group.shoppers > 1:
        yield f"{'':16}{'95%':>9}" + "".join(f"{_interval(e):>{WIDE}}" for e in estimates)


def _mean(estimate: Estimate | None) -> str:
    """Of nobody there is no rate: 0.0000 would read as a bad list."""
    return "–" if estimate is None else f"{estimate.mean:.4f}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None or estimate.interval is None:
        return ""
    low, high = estimate.interval
    return f"{low:.3f}–{high:.3f}".replace("0.", ".")
