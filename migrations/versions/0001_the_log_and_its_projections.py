"""The log and its projections."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects.postgresql import JSONB

from recsite.db import Xid8

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# An event's id: the milliseconds of its time, the microseconds within them, the number of its
# line, and 48 bits of its key's hash, in the shape of a UUIDv7. The same fact always has the
# same id; ids sort by time, and two changes of an item, which its row lock keeps apart, never
# share a microsecond.
EVENT_ID = """
CREATE FUNCTION event_id(at timestamptz, line int, key text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
     || '7' || lpad(to_hex(floor(extract(epoch FROM at) * 1000000)::bigint % 1000), 3, '0')
     || '8' || lpad(to_hex(line), 3, '0') || left(md5(key), 12))::uuid
"""

HOUR_OF = """
CREATE FUNCTION hour_of(id uuid) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    floor(extract(epoch FROM uuid_extract_timestamp(id)) / 3600)::int
"""

FIRST_ID = """
CREATE FUNCTION first_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
"""

# Facts are never changed. The one way round is the erase path, which says so in its own
# transaction: SET LOCAL rec.erasing = 'on'.
REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('rec.erasing', true) = 'on' THEN
        RETURN coalesce(new, old);
    END IF;
    RAISE EXCEPTION 'facts are append-only: % on % is refused', tg_op, tg_table_name
        USING ERRCODE = 'restrict_violation';
END $$
"""

# A month's partition is attached, not created in place: attaching lets writers go on. Where
# rows of the month already lie in the late partition, the month stays there.
MAKE_MONTH = """
CREATE FUNCTION make_month(year int, month int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    name text := format('event_%s_%s', year, lpad(month::text, 2, '0'));
    first timestamptz := make_timestamptz(year, month, 1, 0, 0, 0, 'UTC');
    low uuid := rec.first_id(first);
    high uuid := rec.first_id((first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
BEGIN
    IF to_regclass('rec.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('recsite.make_month'));
    IF to_regclass('rec.' || name) IS NOT NULL
       OR EXISTS (SELECT FROM rec.event_late WHERE id >= low AND id < high) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE rec.%I (LIKE rec.event INCLUDING DEFAULTS INCLUDING GENERATED)', name);
    EXECUTE format('ALTER TABLE rec.event ATTACH PARTITION rec.%I FOR VALUES FROM (%L) TO (%L)',
                   name, low, high);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON rec.%I'
                   ' EXECUTE FUNCTION rec.refuse_change()', name);
    RETURN true;
END $$
"""

KIND_NAME = """
CREATE FUNCTION kind_name(kind smallint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (ARRAY['view_item', 'view_item_list', 'select_item', 'add_to_cart', 'remove_from_cart',
           'view_cart', 'begin_checkout', 'purchase', 'refund', 'add_to_wishlist',
           'remove_from_wishlist', 'search', 'rate', 'dismiss', 'share', 'follow', NULL, NULL,
           NULL, 'item_changed', 'item_removed', 'rule_changed'])[kind]
"""

# What people look at: the log with the shop's own names, for the admin.
EVENT_LOG = """
CREATE VIEW event_log AS
SELECT id, occurred_at, kind_name(kind) AS kind, s.key AS subject, i.key AS item_id, quantity,
       price, slate AS recommendation_id, detail
FROM event LEFT JOIN subject_key s USING (subject) LEFT JOIN item_key i USING (item)
"""

SLATE_LOG = """
CREATE VIEW slate_log AS
SELECT id, served_at, scenario, s.key AS subject,
       ARRAY(SELECT key FROM unnest(items) WITH ORDINALITY AS shown(item, place)
             JOIN item_key USING (item) ORDER BY place) AS items,
       cardinality(items) AS count, shortfall, position, detail
FROM slate LEFT JOIN subject_key s USING (subject)
"""

AFTER_TABLES = (
    "CREATE TABLE event_late PARTITION OF event DEFAULT",
    "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON event_late EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON event EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON event"
    " FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON slate EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON slate"
    " FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    # Neighbour arrays are read whole, twenty at a request: never compressed, never out of line.
    "ALTER TABLE neighbours ALTER items SET STORAGE PLAIN, ALTER weights SET STORAGE PLAIN",
    "ALTER TABLE user_state ALTER ids SET STORAGE PLAIN, ALTER items SET STORAGE PLAIN,"
    " ALTER kinds SET STORAGE PLAIN",
    "INSERT INTO wakeup VALUES ('advance', false)",
    MAKE_MONTH,
    EVENT_LOG,
    SLATE_LOG,
)


def upgrade() -> None:
    for statement in (EVENT_ID, HOUR_OF, FIRST_ID, REFUSE, KIND_NAME):
        op.execute(sa.text(statement.replace(":", r"\:")))
    _create_tables()
    for statement in AFTER_TABLES:
        op.execute(sa.text(statement.replace(":", r"\:")))


def _create_tables() -> None:
    op.create_table(
        "attribution",
        sa.Column("event", sa.Uuid(), nullable=False),
        sa.Column("slate", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event", name=op.f("attribution_pkey")),
    )
    op.create_index("attribution_slate_idx", "attribution", ["slate"], unique=False)
    op.create_table(
        "covisit",
        sa.Column("lo", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hi", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("viewed_up", sa.BigInteger(), nullable=False),
        sa.Column("viewed_down", sa.BigInteger(), nullable=False),
        sa.Column("bought", sa.BigInteger(), nullable=False),
        sa.Column("led_up", sa.BigInteger(), nullable=False),
        sa.Column("led_down", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lo", "hi", name=op.f("covisit_pkey")),
        postgresql_with={"fillfactor": 85},
    )
    op.create_index("covisit_hi_idx", "covisit", ["hi"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("subject", sa.Integer(), nullable=True),
        sa.Column("item", sa.Integer(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("price", sa.Numeric(), nullable=True),
        sa.Column("slate", sa.Uuid(), nullable=True),
        sa.Column("detail", JSONB(), nullable=True),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True),
            sa.Computed("uuid_extract_timestamp(id)", persisted=False),
            nullable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("event_pkey")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index(
        "event_slate_idx",
        "event",
        ["slate"],
        unique=False,
        postgresql_where=sa.text("slate IS NOT NULL"),
    )
    op.create_index("event_subject_idx", "event", ["subject"], unique=False)
    op.create_index("event_xid_idx", "event", ["xid"], unique=False)
    op.create_table(
        "first_delivery",
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("first_delivery_pkey")),
    )
    op.create_table(
        "item_count",
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("bought", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("item", name=op.f("item_count_pkey")),
    )
    op.create_table(
        "item_key",
        sa.Column("item", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("item", name=op.f("item_key_pkey")),
        sa.UniqueConstraint("key", name=op.f("item_key_key_key")),
    )
    op.create_table(
        "item_passage",
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("passage", sa.Integer(), nullable=True),
        sa.Column("as_of", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("item", name=op.f("item_passage_pkey")),
    )
    op.create_index("item_passage_passage_idx", "item_passage", ["passage", "item"], unique=False)
    op.create_table(
        "neighbours",
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("items", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("weights", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("item", "channel", name=op.f("neighbours_pkey")),
    )
    op.create_table(
        "passage",
        sa.Column("passage", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.Uuid(), nullable=False),
        sa.Column("vector", HALFVEC(dim=384), nullable=True),
        sa.PrimaryKeyConstraint("passage", name=op.f("passage_pkey")),
        sa.UniqueConstraint("digest", name=op.f("passage_digest_key")),
    )
    op.create_index(
        "passage_vector_idx",
        "passage",
        ["vector"],
        unique=False,
        postgresql_using="hnsw",
        postgresql_ops={"vector": "halfvec_cosine_ops"},
    )
    op.create_index(
        "passage_waiting_idx",
        "passage",
        ["passage"],
        unique=False,
        postgresql_where=sa.text("vector IS NULL"),
    )
    op.create_table(
        "popularity",
        sa.Column("category", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("trend", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("category", "item", name=op.f("popularity_pkey")),
    )
    op.create_index("popularity_item_idx", "popularity", ["item"], unique=False)
    op.create_index("popularity_score_idx", "popularity", ["category", "score"], unique=False)
    op.create_index("popularity_trend_idx", "popularity", ["category", "trend"], unique=False)
    op.create_table(
        "popularity_day",
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("item", "day", name=op.f("popularity_day_pkey")),
    )
    op.create_table(
        "projection",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("folded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("projection_pkey")),
    )
    op.create_table(
        "slate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "served_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("scenario", sa.Text(), nullable=False),
        sa.Column("subject", sa.Integer(), nullable=True),
        sa.Column("items", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("shortfall", sa.SmallInteger(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("detail", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("slate_pkey")),
    )
    op.create_index("slate_subject_idx", "slate", ["subject"], unique=False)
    op.create_table(
        "subject_key",
        sa.Column("subject", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("subject_key_pkey")),
        sa.UniqueConstraint("key", name=op.f("subject_key_key_key")),
    )
    op.create_table(
        "user_item",
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kinds", sa.Integer(), nullable=False),
        sa.Column("last", sa.Uuid(), nullable=False),
        sa.Column("bought", sa.ARRAY(sa.Integer()), nullable=True),
        sa.PrimaryKeyConstraint("subject", "item", name=op.f("user_item_pkey")),
    )
    op.create_index(
        "user_item_habit_idx",
        "user_item",
        ["subject"],
        unique=False,
        postgresql_where=sa.text("bought[2] IS NOT NULL"),
    )
    op.create_table(
        "user_state",
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("items", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.SmallInteger()), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("user_state_pkey")),
    )
    op.create_table(
        "wakeup",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("asked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("wakeup_pkey")),
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA rec CASCADE; CREATE SCHEMA rec")
