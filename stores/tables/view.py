"""The views, and how far the commands are taken into them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from stores.tables.column import metadata, partial

entities = Table(
    "entities",
    metadata,
    Column("view", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("store_id", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("sku", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("retired", Boolean, nullable=False),
    Column("seen", Boolean, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("view", "owner", "tenant", "kind", "id"),
    Index("entities_by_id", "id", "kind"),
    partial("entities_by_item", "item", "owner", where="item <> ''"),
    partial("entities_by_sku", "sku", "owner", where="sku <> ''"),
    sqlite_with_rowid=False,
)
"""The views: what each entity is now. `owner` is the store, or the merchant for what holds in all its stores."""

applied = Table(
    "applied",
    metadata,
    Column("commandkey", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("result", Text, nullable=False),
    PrimaryKeyConstraint("commandkey", "id"),
    sqlite_with_rowid=False,
)
"""Commands that the views have taken in. `position` is that of the first one with the commandkey."""

projections = Table(
    "projections",
    metadata,
    Column("name", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("next", BigInteger, nullable=False),
    PrimaryKeyConstraint("name", "partition"),
)
"""How far each projection has read each partition: the offset that comes next."""

copies = Table(
    "copies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)
"""Copies of the views that stand elsewhere: how this installation's is named there, and a number that rises when the
views were replaced, so that versions of before say nothing any more."""
