"""External ids and canonical ids, and which items are likely the same."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from stores.tables.column import Moment, Serial, metadata, partial

mappings = Table(
    "mappings",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("within", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("canonical_id", Text, nullable=False),
    Column("valid_from", Moment, nullable=False),
    Column("valid_to", Moment),
    Column("source", Text, nullable=False),
    partial(
        "mappings_current", "tenant", "provider", "kind", "external_id", "within", where="valid_to IS NULL", unique=True
    ),
    Index("mappings_by_canonical", "canonical_id", "tenant"),
)
"""External ids and their canonical ids, with history. `within` is the external store id, or ""."""

normal_forms = Table(
    "normal_forms",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("amount", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("pack", Integer, nullable=False),
    Column("codes", Text, nullable=False),
    Column("seen_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant", "owner", "kind", "id"),
    Index("normal_forms_by_id", "id", "kind"),
    sqlite_with_rowid=False,
)
"""Items as they are compared: see engine.normal_forms. `codes` is a JSON list of barcodes."""

alike_blocks = Table(
    "alike_blocks",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("block", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("id", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "kind", "block", "source", "owner", "id"),
    Index("alike_blocks_by_id", "id", "tenant", "owner", "kind"),
    sqlite_with_rowid=False,
)
"""What items are found by that are worth comparing. `source` is the provider and the owner: one source has none."""

mapping_suggestions = Table(
    "mapping_suggestions",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("within", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("current_id", Text, nullable=False),
    Column("suggested_id", Text, nullable=False),
    Column("score", Integer, nullable=False),
    Column("because", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("decided_at", Moment),
    Column("decided_by", Text, nullable=False),
    Index("mapping_suggestions_open", "state", "tenant", "score"),
    Index(
        "mapping_suggestions_once", "tenant", "kind", "provider", "external_id", "within", "suggested_id", unique=True
    ),
    # An operator names a suggestion by its id: SQLite must not give it to another.
    sqlite_autoincrement=True,
)
"""External ids that are likely to be another canonical id. `state`: open, accepted or rejected."""
