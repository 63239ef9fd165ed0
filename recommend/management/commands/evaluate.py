"""`manage.py evaluate`: how good the lists are, by a time split, through the serving path."""

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from recommend.evaluate import NothingToJudge, Plan, Report, evaluate
from recommend.metrics import Quality
from recommend.pipeline import SEEN, Refused
from recsite.progress import bar
from recsite.times import moment

COLUMNS: Final = ("hit_rate", "ndcg", "recall", "precision", "coverage")


class Command(BaseCommand):
    """Train on what came before a date, judge on what came after."""

    help = "Evaluate a scenario by a time split: hit rate, NDCG, recall, precision, coverage."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--cut", required=True, metavar="DATE", help="an ISO date or time (UTC)"
        )
        parser.add_argument("--scenario", default="home")
        parser.add_argument("--count", type=int, default=10)
        parser.add_argument("--exclude-seen", choices=tuple(SEEN))
        parser.add_argument("--shoppers", type=int, default=2_000, help="at most this many")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["count"] <= 100 or options["shoppers"] < 1:
            raise CommandError("--count must be from 1 to 100, --shoppers at least 1.")
        plan = Plan(
            cut=moment(options["cut"], "--cut"),
            scenario=options["scenario"],
            count=options["count"],
            exclude_seen=options["exclude_seen"],
            most=options["shoppers"],
        )
        try:
            report = evaluate(plan, lambda shoppers: bar("shoppers", of=shoppers, unit=""))
        except (NothingToJudge, Refused) as error:
            raise CommandError(str(error)) from None
        self.stdout.write("\n".join(_table(plan, report)))


def _table(plan: Plan, report: Report) -> list[str]:
    head = "".join(f"{name:>11}" for name in COLUMNS)
    lines = [
        f"{plan.scenario} at {plan.count}, cut {plan.cut.date()}",
        f"{'':8}{'shoppers':>9}{head}",
    ]
    for name, quality in (("all", report.every), ("repeat", report.repeat), ("new", report.new)):
        figures = "".join(f"{_figure(quality, column):>11}" for column in COLUMNS)
        lines.append(f"{name:8}{quality.shoppers:>9,}{figures}")
    return lines


def _figure(quality: Quality, column: str) -> str:
    """Of nobody there is no rate: 0.0000 would read as a bad list."""
    return f"{getattr(quality, column):.4f}" if quality.shoppers else "–"
