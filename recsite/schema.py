"""Schema `rec`: applying Alembic's migrations and the task queue's own SQL.

It promises that one call brings a database, new or old, to what this code expects. Django's
schema is Django's business; the two meet in `manage.py migrate`.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from django.conf import settings
from django.db import transaction
from pgmq.install import get_embedded_install_sql

from recsite.db import cursor

ROOT = Path(__file__).resolve().parent.parent


def alembic_config() -> Config:
    """Alembic's settings, from [tool.alembic] in pyproject.toml."""
    config = Config(toml_file=str(ROOT / "pyproject.toml"))
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


def upgrade() -> None:
    """Bring schema `rec` to head, in one transaction."""
    with transaction.atomic():
        with cursor() as hot:
            hot.execute("CREATE SCHEMA IF NOT EXISTS rec")
            hot.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        command.upgrade(alembic_config(), "head")


def check() -> None:
    """Raise alembic's CommandError where the tables differ from what the code declares."""
    with transaction.atomic():
        command.check(alembic_config())


def install_queue() -> None:
    """The task queue's tables, where Postgres carries it (no CELERY_BROKER_URL)."""
    if settings.CELERY_BROKER_URL:
        return
    with transaction.atomic(), cursor() as hot:
        hot.execute("SELECT to_regclass('pgmq.meta') IS NOT NULL")
        if hot.fetchone() != (True,):
            hot.execute(get_embedded_install_sql().encode())
