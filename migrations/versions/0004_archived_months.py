"""Months that are archived, and months that are gathered."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The least id of a month; month 13 is the next January.
MONTH_START = """
CREATE FUNCTION month_start(year int, month int) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    first_id(make_timestamptz(year + (month - 1) / 12, (month - 1) % 12 + 1, 1, 0, 0, 0, 'UTC'))
"""

# A month's own table with the log's indexes, not attached yet; none where the month has one
# or is archived. Indexes that are there need not be built while attaching, under its locks.
NEW_MONTH = """
CREATE FUNCTION new_month(y int, m int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text := format('event_%s_%s', y, lpad(m::text, 2, '0'));
BEGIN
    IF to_regclass('rec.' || name) IS NOT NULL
       OR EXISTS (SELECT FROM rec.archived_month AS gone WHERE gone.year = y AND gone.month = m) THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE rec.%I (LIKE rec.event INCLUDING DEFAULTS INCLUDING GENERATED'
                   ' INCLUDING INDEXES)', name);
    RETURN name;
END $$
"""

# Attached, not created in place: attaching lets writers go on.
JOIN_MONTH = """
CREATE FUNCTION join_month(y int, m int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := format('event_%s_%s', y, lpad(m::text, 2, '0'));
BEGIN
    EXECUTE format('ALTER TABLE rec.event ATTACH PARTITION rec.%I FOR VALUES FROM (%L) TO (%L)',
                   name, rec.month_start(y, m), rec.month_start(y, m + 1));
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON rec.%I'
                   ' EXECUTE FUNCTION rec.refuse_change()', name);
END $$
"""

# A month whose rows already lie in the late partition stays there until it is gathered; one
# that is archived until it is attached.
MAKE_MONTH = """
CREATE OR REPLACE FUNCTION make_month(year int, month int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(format('rec.event_%s_%s', year, lpad(month::text, 2, '0'))) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('recsite.make_month'));
    IF EXISTS (SELECT FROM rec.event_late WHERE id >= rec.month_start(year, month)
               AND id < rec.month_start(year, month + 1))
       OR rec.new_month(year, month) IS NULL THEN
        RETURN false;
    END IF;
    PERFORM rec.join_month(year, month);
    RETURN true;
END $$
"""

# A fact of an archived month lands in the late partition; one that was archived is known by
# its id, so that its repeated delivery stays a no-op. Only late facts pay for the look-up.
REFUSE_ARCHIVED = """
CREATE FUNCTION refuse_archived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.id = ANY ((SELECT ids FROM rec.archived_ids WHERE low <= new.id
                      ORDER BY low DESC LIMIT 1)::uuid[]) THEN
        RETURN NULL;
    END IF;
    RETURN new;
END $$
"""

REFUSE_LATE = """
CREATE TRIGGER known_from_the_archive BEFORE INSERT ON event_late
FOR EACH ROW EXECUTE FUNCTION refuse_archived()
"""


def upgrade() -> None:
    _create_tables()
    for statement in (
        MONTH_START, NEW_MONTH, JOIN_MONTH, MAKE_MONTH, REFUSE_ARCHIVED, REFUSE_LATE,
    ):  # fmt: skip
        op.execute(sa.text(statement.replace(":", r"\:")))


def _create_tables() -> None:
    op.create_table(
        "archived_month",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("subjects", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("lacking", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "archived_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("year", "month", name=op.f("archived_month_pkey")),
    )
    op.create_table(
        "archived_ids",
        sa.Column("low", sa.Uuid(), nullable=False),
        sa.Column("ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.PrimaryKeyConstraint("low", name=op.f("archived_ids_pkey")),
    )
    op.create_table(
        "owed_rebuild",
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("owed_rebuild_pkey")),
    )


def downgrade() -> None:
    raise NotImplementedError("attach the archived months and restore a dump of before")
