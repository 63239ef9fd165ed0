"""Vectors in a table of their own, which belongs to one encoder."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC

from recsite.db import Xid8

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "embedding",
        sa.Column("passage", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("vector", HALFVEC(512), nullable=False),
        sa.Column("encoded_xid", Xid8(), nullable=True),
        sa.PrimaryKeyConstraint("passage", name=op.f("embedding_pkey")),
    )
    op.create_index(
        "embedding_vector_idx", "embedding", ["vector"], postgresql_using="hnsw",
        postgresql_ops={"vector": "halfvec_cosine_ops"},
    )  # fmt: skip
    op.create_table(
        "encoder",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("encoder_pkey")),
        sa.UniqueConstraint("is_live", name=op.f("encoder_is_live_key")),
    )
    op.create_table(
        "unencoded",
        sa.Column("passage", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("passage", name=op.f("unencoded_pkey")),
    )
    # The old vectors are of no encoder that is chosen by default; every text is encoded anew.
    op.drop_index("passage_waiting_idx", table_name="passage")
    op.drop_index("passage_vector_idx", table_name="passage")
    op.drop_column("passage", "vector")
    op.drop_column("passage", "encoded_xid")


def downgrade() -> None:
    op.add_column("passage", sa.Column("vector", HALFVEC(384), nullable=True))
    op.add_column("passage", sa.Column("encoded_xid", Xid8(), nullable=True))
    op.create_index(
        "passage_vector_idx", "passage", ["vector"], postgresql_using="hnsw",
        postgresql_ops={"vector": "halfvec_cosine_ops"},
    )  # fmt: skip
    op.create_index(
        "passage_waiting_idx", "passage", ["passage"], postgresql_where=sa.text("vector IS NULL")
    )
    for table in ("unencoded", "encoder", "embedding"):
        op.drop_table(table)
