"""People: names that are one shopper, hidden ones, and keys that are known whatever their time."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from behavior import user_state
from behavior.events import Kind
from recsite.db import Xid8

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SIGNAL = f"""
CREATE FUNCTION signal(kind smallint, detail jsonb) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE WHEN kind = {Kind.RATE.value}
         THEN kind + 32 * least(10, greatest(0, round(coalesce((detail->>'rating')::numeric, 5) * 2)))
         ELSE kind END::smallint
"""

# Of a list of purchases and refunds, the newest first: the purchases that no refund took back.
KEPT = """
CREATE FUNCTION kept(bought int[]) RETURNS int[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    SELECT array_agg(hour ORDER BY age)
    FROM (SELECT hour, age, lag(hour) OVER (ORDER BY age) AS next
          FROM unnest(bought) WITH ORDINALITY AS entry(hour, age)) AS entries
    WHERE hour >= 0 AND coalesce(next, 0) >= 0)
"""

# The ids and hours that 0001 gives, in a seventh of the time: microseconds since 1970 are eight
# bytes at hand, where extract(epoch) makes a numeric of them.
EVENT_ID = """
CREATE OR REPLACE FUNCTION event_id(at timestamptz, line int, key text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (lpad(to_hex(((timestamptz_send(at)::bigint + 946684800000000) / 1000 << 16)
                 | 28672 | (timestamptz_send(at)::bigint + 946684800000000) % 1000), 16, '0')
     || to_hex(32768 + line) || left(md5(key), 12))::uuid
"""

HOUR_OF = """
CREATE OR REPLACE FUNCTION hour_of(id uuid) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (timestamptz_send(uuid_extract_timestamp(id))::bigint / 3600000000)::int + 262968
"""

KIND_NAME = """
CREATE OR REPLACE FUNCTION kind_name(kind smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (ARRAY['view_item', 'view_item_list', 'select_item', 'add_to_cart', 'remove_from_cart',
           'view_cart', 'begin_checkout', 'purchase', 'refund', 'add_to_wishlist',
           'remove_from_wishlist', 'search', 'rate', 'dismiss', 'share', 'follow', 'identify', NULL,
           NULL, 'item_changed', 'item_removed', 'rule_changed', 'subject_quarantined'])[kind]
"""


def upgrade() -> None:
    for statement in (SIGNAL, KEPT, EVENT_ID, HOUR_OF, KIND_NAME):
        op.execute(sa.text(statement.replace(":", r"\:")))
    op.drop_table("first_delivery")
    op.create_table(
        "delivery",
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("delivery_pkey")),
    )
    _people()
    _settings()
    _state_of_persons()


def _people() -> None:
    op.create_table(
        "person",
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("link", sa.Integer(), nullable=True),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("person_pkey")),
    )
    op.create_index("person_link_idx", "person", ["link"])
    op.create_index("person_person_idx", "person", ["person"])
    op.create_table(
        "person_change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("subject", sa.Integer(), nullable=False),
        sa.Column("before", sa.Integer(), nullable=True),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("person_change_pkey")),
    )
    op.create_index("person_change_xid_idx", "person_change", ["xid"])
    op.create_index("person_change_subject_idx", "person_change", ["subject"])
    op.create_index(
        "event_people_idx", "event", ["subject"], postgresql_where=sa.text("kind IN (17, 23)")
    )
    op.create_index(
        "event_joined_idx",
        "event",
        [sa.literal_column("(detail ->> 'person')")],
        postgresql_where=sa.text("kind = 17"),
    )


def _settings() -> None:
    op.create_table(
        "erasure",
        sa.Column("erasure", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "erased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("names", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("slates", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("erasure", name=op.f("erasure_pkey")),
    )
    op.add_column(
        "projection",
        sa.Column("settings", JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )


def _state_of_persons() -> None:
    """What is known of shoppers is made anew from the log: ratings and refunds count now."""
    op.execute("TRUNCATE user_state, user_item")
    op.alter_column("user_state", "subject", new_column_name="person")
    op.alter_column("user_state", "kinds", new_column_name="signals")
    op.alter_column("user_item", "subject", new_column_name="person")
    op.create_index(
        "user_item_dismissed_idx",
        "user_item",
        ["person", "item"],
        postgresql_where=sa.text(f"(kinds & {1 << Kind.DISMISS}) <> 0"),
    )
    op.execute(sa.text(user_state.FILL.replace(":", r"\:")))


def downgrade() -> None:
    raise NotImplementedError("Facts about people have no place in the schema before.")
