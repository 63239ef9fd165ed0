"""`manage.py tune`: a scenario's weights, chosen by the log's last weeks; or handed over to be."""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from catalog import changes
from catalog.models import Scenario
from catalog.models.places import Recipe
from recommend import learn, tune, tunings
from recommend.ranker import examples
from recommend.spaces.learning import Course
from recommend.tune import Tuned
from recommend.tunings import Weights
from recsite.progress import bar

WIDE: Final = 10


class Command(BaseCommand):
    """Choose the weights anew, whoever chose those that stand."""

    help = "Choose a scenario's weights by what shoppers took, and save them if they are better."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--scenario", default=learn.SCENARIO)
        parser.add_argument(
            "--hand-over", action="store_true",
            help="Leave the weights as they are, and let the workers tune them from now on.",
        )  # fmt: skip

    def handle(self, *args: Any, scenario: str, hand_over: bool, **options: Any) -> None:
        job = self._hand_over if hand_over else self._tune
        job(scenario)

    def _hand_over(self, scenario: str) -> None:
        if scenario != learn.SCENARIO:
            raise CommandError(f"Only the weights of {learn.SCENARIO!r} are tuned by themselves.")
        _refuse(scenario)
        if not tunings.is_left_alone(scenario):
            changes.hand_over(scenario)
        self.stdout.write(f"{scenario}: from now on its weights are tuned by themselves")

    def _tune(self, scenario: str) -> None:
        _refuse(scenario)
        spans = examples.windows(datetime.now(UTC))
        begun = tunings.begin(scenario)
        lists = learn.collecting(spans, _shown, Course(_shown))
        goal, found = learn.find(lists, tune.LEAST)
        tuned = tune.tune(begun, goal, found, spans[0][1]) if spans else Tuned(tune.EMPTY)
        self.stdout.write(f"{scenario}: {tuned.said}")
        for line in _table(begun.stood, tuned):
            self.stdout.write(line)


def _shown(each: Iterable[Any]) -> Any:
    return bar("lists", of=list(each), unit="")


def _refuse(scenario: str) -> None:
    """What a shopper took tells only of lists that start from the shopper."""
    recipe = Scenario.objects.filter(name=scenario).values_list("recipe", flat=True).first()
    if recipe is None:
        raise CommandError(f"There is no scenario {scenario!r}.")
    if recipe != Recipe.PERSONAL:
        raise CommandError(
            f"Lists of {scenario!r} do not start from the shopper's history; only such can be judged"
            " by what shoppers took next."
        )


def _table(stood: Weights, tuned: Tuned) -> Iterator[str]:
    if tuned.weights is None:
        return
    yield f"{'':{WIDE}}{'stood':>{WIDE}}{'chosen':>{WIDE}}"
    for name, weight in stood.items():
        yield f"{name:{WIDE}}{weight:>{WIDE}g}{tuned.weights[name]:>{WIDE}g}"
