"""The mark of the views' copy, normalised forms with what they are compared by, suggested mappings, and, on
PostgreSQL, the search index, which is in a schema of its own: it can be made again."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SEARCH = """
CREATE SCHEMA tiffin_search;
CREATE TABLE tiffin_search.docs (
    tenant text NOT NULL, owner text NOT NULL, kind text NOT NULL, id text NOT NULL,
    name text NOT NULL, state text NOT NULL, words tsvector NOT NULL,
    PRIMARY KEY (tenant, owner, kind, id));
CREATE INDEX docs_by_words ON tiffin_search.docs USING gin (words);
CREATE TABLE tiffin_search.terms (
    term text COLLATE "C" NOT NULL PRIMARY KEY);
"""


def upgrade() -> None:
    op.create_table(
        "copies",
        sa.Column("name", sa.Text(), primary_key=True, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "normal_forms",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("pack", sa.Integer(), nullable=False),
        sa.Column("codes", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner", "kind", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("normal_forms_by_id", "normal_forms", ["id", "kind"])
    op.create_table(
        "alike_blocks",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("block", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "kind", "block", "source", "owner", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("alike_blocks_by_id", "alike_blocks", ["id", "tenant", "owner", "kind"])
    op.create_table(
        "mapping_suggestions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True,
                  nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("within", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("current_id", sa.Text(), nullable=False),
        sa.Column("suggested_id", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("mapping_suggestions_open", "mapping_suggestions", ["state", "tenant", "score"])
    op.create_index(
        "mapping_suggestions_once",
        "mapping_suggestions",
        ["tenant", "kind", "provider", "external_id", "within", "suggested_id"],
        unique=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(SEARCH)
