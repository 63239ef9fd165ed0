"""Alembic on Django's connection: it owns schema `rec` and nothing else."""

from alembic import context
from sqlalchemy import Connection, text

from behavior import attribution, log, slates, user_state, wake
from recommend import fold, projections
from recsite.db import METADATA, connection

TABLES = (attribution, log, slates, user_state, wake, fold, projections)
"""Importing these fills METADATA."""


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """The months of the log are made by make_month, not by a migration."""
    return kind != "table" or not (name or "").startswith(("event_", "alembic_"))


def run(inside: Connection) -> None:
    # With rec in front, tables without a schema are rec's, for the comparison too.
    inside.execute(text("SET LOCAL search_path = rec, public"))
    inside.dialect.default_schema_name = "rec"
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
