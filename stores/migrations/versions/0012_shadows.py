"""Shadows, promoted revisions, and what payloads show beyond the golden cases."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("notices", sa.Column("kind", sa.Text(), nullable=False, server_default="handshake"))
    op.add_column("notices", sa.Column("feed", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "promotions",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("file_hash", sa.Text(), nullable=False),
        sa.Column("former", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
    )
    op.create_index("promotions_by_provider", "promotions", ["provider", "id"])
    op.create_table(
        "shadows",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("live_hash", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("rate", sa.Integer(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("examples", sa.LargeBinary(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
    )
    op.create_index("shadows_by_provider", "shadows", ["provider"], unique=True)
    op.create_table(
        "drifts",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
    )
    op.create_index("drifts_once", "drifts", ["provider", "feed", "kind", "path", "value"], unique=True)
    op.create_table(
        "shapes",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "feed"),
    )
    op.create_table(
        "positions",
        sa.Column("name", sa.Text(), primary_key=True, nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
    )
