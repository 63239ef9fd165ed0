"""Who dealt with an item last, for what similar shoppers did."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "user_item_newest_idx", "user_item", ["item", "last"], postgresql_include=["person"]
    )


def downgrade() -> None:
    op.drop_index("user_item_newest_idx", table_name="user_item")
