"""Alembic on Django's connection: it owns schema `rec` and nothing else."""

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.base import ischema_names

from behavior import (
    attribution,
    coverage,
    log,
    names,
    people,
    rejected,
    runs,
    slates,
    suspects,
    user_state,
    wake,
)
from recommend import erase, fold, projections, tunings
from recommend.finetuning import store as finetunings
from recommend.images import unread
from recommend.ranker import store as rankers
from recsite.db import METADATA, Xid8, connection

TABLES = (
    attribution, coverage, log, names, people, rejected, runs, slates, suspects, user_state, wake, erase,
    finetunings, fold, projections, rankers, tunings, unread,
)  # fmt: skip
"""Importing these fills METADATA."""


# Reflection meets the column's type; SQLAlchemy knows it only by being told.
ischema_names["xid8"] = Xid8

TABLES_OF_REC = "SELECT tablename FROM pg_tables WHERE schemaname = 'rec'"


def run(inside: Connection) -> None:
    # With rec in front, tables without a schema are rec's; public stays, for pgvector's types.
    inside.execute(text("SET LOCAL search_path = rec, public"))
    inside.dialect.default_schema_name = "rec"
    found: set[str] = set(inside.scalars(text(TABLES_OF_REC)))

    def is_ours(name: str | None, kind: str, _parents: object) -> bool:
        """Django's tables are Django's; the months of the log are made by make_month."""
        return kind != "table" or (name in found and not name.startswith(("event_", "alembic_")))

    context.configure(
        connection=inside,
        target_metadata=METADATA,
        include_name=is_ours,
        version_table_schema="rec",
        transactional_ddl=True,
    )
    context.run_migrations()
    inside.execute(text("SET LOCAL search_path = public, rec"))


with connection() as borrowed:
    run(borrowed)
