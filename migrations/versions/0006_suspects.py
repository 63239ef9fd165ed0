"""Suspects, and shoppers by name for the admin."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Who is somebody else by now, or hidden, is no suspect, even before the next look.
SUSPECT_LOG = """
CREATE VIEW suspect_log AS
SELECT suspect.person, key AS name, score, reasons,
       ARRAY(SELECT reason->>'reason' FROM jsonb_array_elements(reasons) AS reason) AS kinds, seen_at
FROM suspect JOIN subject_key ON subject_key.subject = suspect.person
LEFT JOIN person ON person.subject = suspect.person
WHERE person.subject IS NULL OR person.person = suspect.person
"""

SHOPPER_LOG = """
CREATE VIEW shopper_log AS
SELECT known.subject, known.key AS name, stands.key AS person,
       person.subject IS NOT NULL AND person.person IS NULL AS is_hidden
FROM subject_key AS known LEFT JOIN person ON person.subject = known.subject
LEFT JOIN subject_key AS stands ON stands.subject = coalesce(person.person, known.subject)
"""


def upgrade() -> None:
    op.create_table(
        "suspect",
        sa.Column("person", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("reasons", JSONB(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("person", name=op.f("suspect_pkey")),
    )
    op.create_index("suspect_score_idx", "suspect", ["score"])
    op.execute(SUSPECT_LOG)
    op.execute(SHOPPER_LOG)


def downgrade() -> None:
    op.execute("DROP VIEW shopper_log")
    op.execute("DROP VIEW suspect_log")
    op.drop_table("suspect")
