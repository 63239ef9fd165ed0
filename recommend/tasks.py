"""What the workers do: bring every projection to the log's end, encode what is new."""

import functools
import logging

from celery import shared_task

from behavior import wake
from behavior.coverage import MonthsArchived
from recommend import embed as embedding
from recommend import encoders, fold
from recommend.projections import PROJECTIONS

logger = logging.getLogger("recsite.tasks")


@shared_task(acks_late=True)
def advance() -> None:
    """Fold what is new, and ask for new texts to be embedded.

    The flag is taken down before looking, so whoever commits from now on asks again.
    """
    wake.answer()
    for one in PROJECTIONS:
        try:
            fold.advance(one)
        except MonthsArchived as error:
            _say_once(f"{one.NAME} is not rebuilt, and stands still. {error}")
        except fold.FoldedByNewer as newer:
            _say_once(str(newer))
    if encoders.is_installed() and embedding.waiting():
        embed.delay()


@functools.cache
def _say_once(sentence: str) -> None:
    """Not at every tick. During a deploy it is as it should be; later somebody forgot something."""
    logger.warning("%s", sentence)


@shared_task(acks_late=True)
def embed() -> None:
    """Encode the passages that wait; without the model they keep waiting, and it is said."""
    try:
        for _ in embedding.embed():
            continue
    except encoders.ModelMissing as error:
        logger.error("%s Lists go on without content.", error)
