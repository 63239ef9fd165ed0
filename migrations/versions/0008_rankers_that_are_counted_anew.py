"""Rankers: what was retired, what was counted anew, attempts in vain, a live one a version of code."""

import sqlalchemy as sa
from alembic import op

from recsite.db import Xid8

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Of several that are live the newest stays so.
ONLY_ONE = """
UPDATE ranker SET is_live = false
WHERE is_live AND name <> (SELECT name FROM ranker WHERE is_live ORDER BY live_since DESC LIMIT 1)
"""


def upgrade() -> None:
    op.add_column("ranker", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("ranker", sa.Column("recounted_xid", Xid8(), nullable=True))
    op.alter_column("ranker", "network", nullable=True)
    op.execute("UPDATE ranker SET retired_at = now() WHERE live_since IS NOT NULL AND NOT is_live")
    op.create_index("item_habit_item_idx", "item_habit", ["item"])
    op.drop_index("ranker_live_idx", table_name="ranker")
    op.create_index(
        "ranker_live_idx", "ranker", ["features"], unique=True, postgresql_where=sa.text("is_live")
    )


def downgrade() -> None:
    op.execute(ONLY_ONE)
    op.drop_index("ranker_live_idx", table_name="ranker")
    op.create_index(
        "ranker_live_idx", "ranker", ["is_live"], unique=True, postgresql_where=sa.text("is_live")
    )
    op.drop_index("item_habit_item_idx", table_name="item_habit")
    op.execute("DELETE FROM ranker WHERE network IS NULL")
    op.alter_column("ranker", "network", nullable=False)
    op.drop_column("ranker", "recounted_xid")
    op.drop_column("ranker", "retired_at")
