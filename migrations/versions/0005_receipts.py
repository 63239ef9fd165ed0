"""When a text was encoded, and heads of popularity whose ties are settled."""

import sqlalchemy as sa
from alembic import op

from recsite.db import Xid8

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

HEADS = ("score", "trend")


def upgrade() -> None:
    op.add_column("passage", sa.Column("encoded_xid", Xid8(), nullable=True))
    for column in HEADS:
        op.drop_index(f"popularity_{column}_idx", table_name="popularity")
        op.create_index(f"popularity_{column}_idx", "popularity", ["category", column, "item"])


def downgrade() -> None:
    op.drop_column("passage", "encoded_xid")
    for column in HEADS:
        op.drop_index(f"popularity_{column}_idx", table_name="popularity")
        op.create_index(f"popularity_{column}_idx", "popularity", ["category", column])
