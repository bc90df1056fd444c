"""The support desk: sessions, jobs, edits, and the indexes that its lists are read by."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OPEN = sa.text("resolved_at IS NULL")
INDEXES = (
    ("deliveries_by_provider", "deliveries", ["provider", "id"]),
    ("deliveries_by_tenant", "deliveries", ["tenant", "id"]),
    ("deliveries_by_connection", "deliveries", ["connection", "id"]),
    ("outcomes_by_state", "outcomes", ["state", "delivery"]),
    ("outcomes_by_time", "outcomes", ["at", "state", "attempt"]),
    ("outcomes_by_store", "outcomes", ["external_store", "delivery"]),
    ("outcomes_by_store_id", "outcomes", ["store_id", "delivery"]),
)


def upgrade() -> None:
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.create_index("failures_open", "failures", ["code", "delivery"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "desk_sessions",
        sa.Column("token", sa.Text(), primary_key=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "desk_jobs",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("rate", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("desk_jobs_by_time", "desk_jobs", ["at"])
    op.create_table(
        "desk_job_items",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job", "delivery"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "desk_edits",
        sa.Column("delivery", sa.Text(), primary_key=True, nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_desk_edits_original", "desk_edits", ["original"])
