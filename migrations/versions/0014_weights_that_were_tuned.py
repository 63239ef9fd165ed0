"""Every attempt to choose a scenario's weights by the log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tuning",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("scenario", sa.Text(), nullable=False),
        sa.Column(
            "made_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stood", JSONB(), nullable=False),
        sa.Column("weights", JSONB(), nullable=False),
        sa.Column("judged", JSONB(), nullable=False),
        sa.Column("is_saved", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("tuning_pkey")),
    )


def downgrade() -> None:
    op.drop_table("tuning")
