"""What the workers do: bring every projection to the log's end, encode what is new."""

import functools
import logging
import time
from datetime import UTC, datetime
from typing import Final

from celery import shared_task

from behavior import wake
from behavior.coverage import MonthsArchived
from recommend import embed as embedding
from recommend import encoders, fold, learn
from recommend.finetuning import attempt
from recommend.images import unread
from recommend.projections import PROJECTIONS
from recommend.ranker import store
from recommend.spaces import retained, shoppers
from recsite.db import cursor, if_alone

logger = logging.getLogger("recsite.tasks")

COLLECT: Final = 0.3
"""Seconds from one fold to the next while events keep coming: a fold of a few events costs
nearly as much as one of hundreds, and who posts events shares the machine with it."""

MINUTES: Final = 2.0
"""For teaching the encoder by itself."""

# By the database's clock, for there may be several workers; bounded, for it may be set back.
DUE: Final = f"""
SELECT greatest(0, least({COLLECT}, {COLLECT} - extract(epoch FROM clock_timestamp() - max(folded_at))))
FROM projection HAVING count(*) > 0
"""


@shared_task(acks_late=True)
def advance() -> None:
    """Fold what is new, and ask for new texts to be embedded.

    The flag is taken down before looking, so whoever commits from now on asks again; who
    commits while events collect need not.
    """
    time.sleep(until_due())
    wake.answer()
    for one in PROJECTIONS:
        try:
            fold.advance(one)
        except MonthsArchived as error:
            _say_once(f"{one.NAME} is not rebuilt, and stands still. {error}")
        except fold.FoldedByNewer as newer:
            _say_once(str(newer))
    shoppers.follow()
    if encoders.chosen().is_installed() and embedding.is_due():
        embed.delay()


def until_due() -> float:
    """Seconds until events have collected for long enough; none after a pause."""
    with cursor() as hot:
        (seconds,) = hot.execute(DUE).fetchone() or (0,)
    return float(seconds)


@functools.cache
def _say_once(sentence: str) -> None:
    """Not at every tick. During a deploy it is as it should be; later somebody forgot something."""
    logger.warning("%s", sentence)


@shared_task(acks_late=True)
def embed() -> None:
    """Encode the passages that wait; without the model they keep waiting, and it is said. So it is
    of images that could not be read."""
    try:
        for _ in embedding.embed():
            continue
    except encoders.ModelMissing as error:
        logger.error("%s Lists go on without content.", error)
    if trouble := unread.trouble():
        _say_once(f"images: {trouble}")


@shared_task(acks_late=True)
def teach() -> None:
    """Make a ranker anew where the log has gone on by a day, let go of what old ones know, and of
    who was erased. A worker that is killed meanwhile has changed nothing."""
    now = datetime.now(UTC)
    store.let_go()
    store.settle_links()
    retained.let_go()
    shoppers.forget_gone()
    for said in learn.settle():
        logger.info("%s", said)
    if learn.is_due(now):
        done = learn.learn(now)
        logger.info("weights: %s", done.weights)
        logger.info("ranker: %s", done.said)
        for said in done.spaces:
            logger.info("%s", said)


@shared_task(acks_late=True)
def finetune() -> None:
    """Teach the encoder's adapter where the log has gone on by a week. No texts are encoded meanwhile:
    of the worker's threads one is always left to fold."""
    now = datetime.now(UTC)
    if not (encoders.untuned().is_installed() and attempt.is_due(now)):
        return
    with if_alone("embed") as is_ours:
        if is_ours:
            logger.info("encoder: %s", attempt.attempt(now, minutes=MINUTES).said)
