"""Celery: the clock and the waker of workers, never the queue of facts.

A task carries no data. It says "look at the log", so a lost or repeated task loses and
repeats nothing. Beat asks again every few seconds, which bounds what a lost one can delay.
`celery -A recsite.worker` runs it.
"""

from typing import Any

from celery import Celery
from django.conf import settings
from kombu import Exchange, Queue

app = Celery("recsite")


def _broker() -> dict[str, Any]:
    """CELERY_BROKER_URL, or the Postgres that is there anyway (pgmq: LISTEN/NOTIFY, no polling)."""
    if settings.CELERY_BROKER_URL:
        return {"broker_url": settings.CELERY_BROKER_URL}
    return {
        # The host is not used: conn_string says where.
        "broker_url": "pgmq://localhost",
        "broker_transport_options": {
            "conn_string": settings.BROKER_CONNINFO,
            "init_extension": False,
            "use_notify": True,
            # The transport throttles its own wake-ups to one in 250 ms unless told otherwise.
            "notify_throttle_interval_ms": 20,
            # With NOTIFY the poll must not block, or the wake-up waits for its end.
            "wait_time_seconds": 0,
            # A wake-up that comes while every slot is busy is missed, and its task waits for the
            # next poll: at a second, the slowest folds came 1.3 s after the commit; at this, 0.2.
            "polling_interval": 0.1,
            "pool_size": 2,
            # After a restart of Postgres whoever asks for a worker would wait for half a minute.
            "pool_timeout": 1,
        },
    }


app.conf.update(
    **_broker(),
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # No limit: a task that ends while Postgres is away cannot be acknowledged, and kombu counts it as
    # under way for ever; with a limit of three, three of them and the worker never asked again
    # (one kill of Postgres in four, in the drill). They are few: each expires, and beat asks again.
    worker_prefetch_multiplier=0,
    # One process, three threads: encoding texts (or teaching their encoder, under the same lock) and
    # teaching the ranker can take minutes, each runs once at a time at most, so one thread is always
    # there to fold. Of a pool of processes one could be killed while it idles and take the others'
    # queue lock with it.
    worker_pool="threads",
    worker_concurrency=3,
    broker_connection_retry_on_startup=True,
    # Asking for a worker happens after the commit, while the shop waits for its answer.
    broker_connection_timeout=1,
    worker_hijack_root_logger=False,
    # A key for each: without one both are bound to the default key and get every task.
    task_queues=[Queue(name, Exchange("recsite"), routing_key=name) for name in ("fold", "embed")],
    task_default_queue="fold",
    task_routes={"recommend.tasks.embed": {"queue": "embed"},
                 "recommend.tasks.teach": {"queue": "embed"},
                 "recommend.tasks.finetune": {"queue": "embed"}},
    beat_schedule={
        "advance projections": {"task": "recommend.tasks.advance", "schedule": 2.0,
                                "options": {"expires": 30}},
        "embed changed texts": {"task": "recommend.tasks.embed", "schedule": 30.0,
                                "options": {"expires": 30}},
        "teach the ranker": {"task": "recommend.tasks.teach", "schedule": 3600.0,
                             "options": {"expires": 3600}},
        "teach the encoder": {"task": "recommend.tasks.finetune", "schedule": 3600.0,
                              "options": {"expires": 3600}},
        "make partitions ahead": {"task": "behavior.tasks.make_months", "schedule": 3600.0},
        "bound refused records": {"task": "behavior.tasks.drop_old", "schedule": 60.0,
                                  "options": {"expires": 60}},
        "look for suspects": {"task": "behavior.tasks.look_for_suspects", "schedule": 600.0,
                              "options": {"expires": 600}},
    },
    beat_schedule_filename=str(settings.RECSITE_HOME / "beat-schedule"),
)  # fmt: skip
app.autodiscover_tasks(["behavior", "recommend"])
