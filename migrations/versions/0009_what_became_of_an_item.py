"""What was done with an item in lists, found without the slates."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("attribution_item_idx", "attribution", ["item", "slate", "kind"])


def downgrade() -> None:
    op.drop_index("attribution_item_idx", table_name="attribution")
