"""`manage.py refresh`: every projection to the log's end, every text encoded, weights, spaces and
ranker taught; and which sources have nothing to say."""

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from behavior.coverage import MonthsArchived
from recommend import embed, encoders, fold, learn, silent, travel
from recommend.images import unread
from recommend.projections import Projection
from recommend.spaces import shoppers
from recsite.numbers import many
from recsite.progress import bar
from recsite.times import moment

Run = Callable[[Projection], fold.Advanced]

RANKER: Final = "ranker"


def _refuse(only: str | None, *, rebuild: bool, without_ranker: bool, **_: Any) -> None:
    """What is said of the ranker must make sense."""
    if only == RANKER and without_ranker:
        raise CommandError("--only ranker --without-ranker leaves nothing to do.")
    if only == RANKER and rebuild:
        raise CommandError(
            "--rebuild is for projections: the ranker is learned anew whenever it is taught."
        )


def _run(*, rebuild: bool, without_archived: bool, **_: Any) -> Run:
    if without_archived and not rebuild:
        raise CommandError("--without-archived goes with --rebuild.")
    if without_archived:
        return fold.rebuild_without_archived
    return fold.rebuild if rebuild else fold.advance


class Command(BaseCommand):
    """Advance (or rebuild) projections, then encode the texts that wait."""

    help = (
        "Bring projections to the log's end, encode new texts, tune, and teach spaces and ranker."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only", metavar="NAME", help="one projection, or all that is learned (ranker)"
        )
        parser.add_argument("--rebuild", action="store_true", help="build anew and switch")
        parser.add_argument(
            "--without-archived", action="store_true",
            help="with --rebuild: from the log alone, letting go of what archived months counted",
        )  # fmt: skip
        parser.add_argument(
            "--without-ranker",
            action="store_true",
            help="leave all that is learned to the workers' next hour",
        )
        parser.add_argument("--as-of", metavar="TIME", help="with --into: the moment (ISO, UTC)")
        parser.add_argument(
            "--into", metavar="SCHEMA", help="with --as-of: all that serving reads, beside the live"
        )

    def handle(self, *args: Any, only: str | None, **options: Any) -> None:
        if options["as_of"] or options["into"]:
            self._keep(only, **options)
            return
        run = _run(**options)
        _refuse(only, **options)
        try:
            chosen = () if only == RANKER else fold.named(only)
        except fold.UnknownProjection as error:
            raise CommandError(f"{error} Or say {RANKER}.") from None
        for one in bar("projections", of=chosen, unit=""):
            try:
                done = run(one)
            except fold.FoldedByNewer as newer:
                self.stderr.write(str(newer))
                continue
            except MonthsArchived as error:
                raise CommandError(str(error)) from None
            self.stdout.write(f"{done.name}: {many(done.events, 'event')} in {done.seconds:.1f} s")
        if only is None:
            shoppers.follow()
        if only in (None, "content"):
            self._embed()
        if only == RANKER or (only is None and not options["without_ranker"]):
            self._learn(again=only == RANKER)
        if only is None:
            self.stdout.write(f"sources: {silent.sentence()}")

    def _keep(
        self, only: str | None, *, rebuild: bool, as_of: str | None, into: str | None,
        without_archived: bool, **_: Any,
    ) -> None:  # fmt: skip
        if only or without_archived or not (rebuild and as_of and into):
            raise CommandError(
                "--rebuild, --as-of and --into go together, without --only and --without-archived."
            )
        then = moment(as_of, "--as-of")
        try:
            travel.keep(into, then, lambda all_of: bar("projections", of=all_of, unit=""))
        except travel.Unusable as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{into}: as of {then.isoformat()}")

    def _embed(self) -> None:
        count = 0
        embed.try_again()
        try:
            with bar("texts", total=embed.waiting(), unit=" texts") as progress:
                for done in embed.embed():
                    progress.update(done)
                    count += done
        except encoders.ModelMissing as error:
            self.stderr.write(f"{error} Lists go on without content.")
        self.stdout.write(f"texts: {embed.sentence(count)}")
        if of_images := unread.sentence():
            self.stdout.write(f"images: {of_images}")

    def _learn(self, *, again: bool) -> None:
        now = datetime.now(UTC)
        if not (again or learn.is_due(now)):
            said = learn.waits(now)
            self.stdout.write(f"weights, spaces and ranker: {said}")
            return
        done = learn.learn(now, lambda each: bar("ranker", of=list(each), unit=""))
        self.stdout.write(f"weights: {done.weights}")
        self.stdout.write(f"ranker: {done.said}")
        for said in done.spaces:
            self.stdout.write(said)
