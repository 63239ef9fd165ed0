"""`manage.py finetune`: the text encoder taught by the shop's own log, live if it is surely better."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommend import encoders
from recommend.encoders import ModelMissing
from recommend.finetuning import attempt, store
from recommend.finetuning.attempt import Refused
from recsite.progress import bar

THEN = "a worker, or `manage.py refresh --only content`, encodes all texts anew beside those that serve"


class Command(BaseCommand):
    """Teach the encoder, or go back to what it was."""

    help = "Teach the text encoder by what shoppers chose together; it serves only if it is better."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--mode", choices=attempt.MODES)
        parser.add_argument("--minutes", type=float, help="to learn for, at most")
        parser.add_argument(
            "--retire", action="store_true", help="go back to the encoder as its package has it"
        )
        parser.add_argument("--use", metavar="NAME", help="go back to one that was live before")

    def handle(self, *args: Any, use: str | None, retire: bool, **options: Any) -> None:
        if (use or retire) and (
            options["mode"] or options["minutes"] is not None or (use and retire)
        ):
            raise CommandError("--use and --retire go alone.")
        if retire:
            self._retire()
        elif use:
            self._use(use)
        else:
            self._teach(options["mode"] or attempt.ADAPTER, options["minutes"])

    def _teach(self, mode: str, minutes: float | None) -> None:
        minutes = attempt.MINUTES if minutes is None else minutes
        if not 0 < minutes <= 24 * 60:
            raise CommandError("--minutes is more than 0, and a day (1440) at most.")
        try:
            done = attempt.attempt(
                datetime.now(UTC), mode, minutes=minutes,
                each=lambda loop: bar(mode, of=list(loop), unit=""),
            )  # fmt: skip
        except (Refused, ModelMissing) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{mode}: {done.said}")
        if done.name:
            self.stdout.write(THEN)

    def _retire(self) -> None:
        base = encoders.untuned().name
        name = store.retire(base)
        if name is None:
            raise CommandError(f"No encoder that was made of {base} is live.")
        self.stdout.write(f"{name} is retired, {base} serves; {THEN}")

    def _use(self, name: str) -> None:
        base = encoders.untuned().name
        if not store.use(base, name):
            known = ", ".join(store.kept(base)) or "none"
            raise CommandError(f"Of {base} there is no {name!r} to go back to; there is {known}.")
        self.stdout.write(f"{name} is live; {THEN}")
