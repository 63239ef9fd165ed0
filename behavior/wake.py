"""Waking the workers when facts have committed.

It promises that after a commit a worker will look at the log soon, without a task per event:
a flag in the database says whether one has been asked already. It never carries facts, so a
lost wake-up delays a fold until the next tick of beat and loses nothing.
"""

import logging
from typing import Final

from celery import current_app
from sqlalchemy import Boolean, Column, Table, Text

from recsite.db import METADATA, cursor

logger = logging.getLogger("recsite.wake")

wakeup = Table(
    "wakeup",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("asked", Boolean, nullable=False),
)

# Compare-and-set: of all writers that commit before the worker looks, one sends the task.
ASK: Final = "UPDATE wakeup SET asked = true WHERE name = 'advance' AND NOT asked"
ANSWER: Final = "UPDATE wakeup SET asked = false WHERE name = 'advance' AND asked"

TASK: Final = "recommend.tasks.advance"


def ask() -> None:
    """After a commit: have one task sent, unless one is already on its way.

    The facts are safe by now, so a broker that is away is a line in the log, not an error.
    """
    with cursor() as hot:
        hot.execute(ASK, prepare=True)
        if hot.rowcount:
            _send()


def answer() -> None:
    """By the worker, before it looks: whoever commits from now on must ask again."""
    with cursor() as hot:
        hot.execute(ANSWER, prepare=True)


def _send() -> None:
    try:
        current_app.send_task(TASK, retry=False, expires=60)
    except Exception as error:  # whatever the broker's client raises; beat asks again
        logger.warning("no worker was woken (%s); beat will ask again", type(error).__name__)
