"""Spaces in which items and shoppers lie."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects.postgresql import JSONB

from recsite.db import Xid8

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "space",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("network", sa.LargeBinary(), nullable=True),
        sa.Column("ridge", sa.LargeBinary(), nullable=True),
        sa.Column("judged", JSONB(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "made_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("live_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Text(), nullable=True),
        sa.Column("owes", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("space_pkey")),
    )
    op.create_index(
        "space_live_idx", "space", ["kind"], unique=True, postgresql_where=sa.text("is_live")
    )
    for kind in ("factors", "sequence"):
        _place(f"{kind}_item")
    op.create_table(
        "sequence_shopper",
        sa.Column("person", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("vector", HALFVEC(64), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("sequence_shopper_pkey")),
    )


def _place(table: str) -> None:
    op.create_table(
        table,
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("vector", HALFVEC(64), nullable=False),
        sa.Column("placed_xid", Xid8(), nullable=True),
        sa.PrimaryKeyConstraint("item", name=op.f(f"{table}_pkey")),
    )
    op.create_index(
        f"{table}_vector_idx", table, ["vector"], postgresql_using="hnsw",
        postgresql_ops={"vector": "halfvec_ip_ops"},
    )  # fmt: skip


# Past versions, and what was written and never switched in.
BESIDE = """
SELECT tablename FROM pg_tables
WHERE schemaname = 'rec'
  AND tablename ~ '^((factors|sequence)_item_([0-9a-f]{12}|next)|sequence_shopper_next)$'
"""


def downgrade() -> None:
    for table in list(op.get_bind().scalars(sa.text(BESIDE))):
        op.drop_table(table, schema="rec")
    for table in ("sequence_shopper", "sequence_item", "factors_item", "space"):
        op.drop_table(table)
