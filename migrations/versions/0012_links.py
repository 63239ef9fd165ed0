"""Which items a ranker knows to speak for which."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "item_link",
        sa.Column("ranker", sa.Text(), nullable=False),
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("items", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("weights", sa.ARRAY(sa.Integer()), nullable=False),
        sa.PrimaryKeyConstraint("ranker", "item", name=op.f("item_link_pkey")),
    )
    op.execute(
        "ALTER TABLE item_link ALTER items SET STORAGE PLAIN, ALTER weights SET STORAGE PLAIN"
    )


def downgrade() -> None:
    op.drop_table("item_link")
