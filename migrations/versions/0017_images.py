"""Images beside texts, and which of them could not be read."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("passage", sa.Column("image", sa.Text(), nullable=True))
    op.alter_column("passage", "body", nullable=True)
    op.add_column("item_passage", sa.Column("said", sa.Integer(), nullable=True))
    op.create_table(
        "unread_image",
        sa.Column("passage", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("encoder", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("passage", "encoder", name=op.f("unread_image_pkey")),
    )


SAYS_NOTHING = "SELECT passage FROM passage WHERE body IS NULL"


def downgrade() -> None:
    op.drop_table("unread_image")
    # What waits is read by its passage: the queue would stand still behind those that are gone.
    op.execute(f"DELETE FROM unencoded WHERE passage IN ({SAYS_NOTHING})")
    op.execute(f"UPDATE item_passage SET passage = NULL WHERE passage IN ({SAYS_NOTHING})")
    op.execute("DELETE FROM passage WHERE body IS NULL")
    op.alter_column("passage", "body", nullable=False)
    op.drop_column("item_passage", "said")
    op.drop_column("passage", "image")
