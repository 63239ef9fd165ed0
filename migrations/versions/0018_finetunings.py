"""Every attempt to teach a text encoder by the log, and what the good ones learned."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "finetuning",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("judged", JSONB(), nullable=False),
        sa.Column("weights", sa.LargeBinary(), nullable=True),
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
        sa.PrimaryKeyConstraint("id", name=op.f("finetuning_pkey")),
    )
    op.create_index(
        "finetuning_live_idx",
        "finetuning",
        ["base"],
        unique=True,
        postgresql_where=sa.text("is_live"),
    )
    op.create_index(
        "finetuning_name_idx",
        "finetuning",
        ["name"],
        unique=True,
        postgresql_where=sa.text("weights IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("finetuning")
