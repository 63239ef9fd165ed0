"""Rankers, and the habits that each of them knows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ranker",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("features", sa.Text(), nullable=False),
        sa.Column("network", JSONB(), nullable=False),
        sa.Column("judged", JSONB(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("live_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("ranker_pkey")),
    )
    op.create_index(
        "ranker_live_idx", "ranker", ["is_live"], unique=True, postgresql_where=sa.text("is_live")
    )
    op.create_table(
        "item_habit",
        sa.Column("ranker", sa.Text(), nullable=False),
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("buyers", sa.Integer(), nullable=False),
        sa.Column("rebuyers", sa.Integer(), nullable=False),
        sa.Column("gap", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("ranker", "item", name=op.f("item_habit_pkey")),
    )


def downgrade() -> None:
    op.drop_table("item_habit")
    op.drop_table("ranker")
