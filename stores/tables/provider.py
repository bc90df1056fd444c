"""Provider files: their revisions, shadows, and what their payloads showed."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from stores.tables.column import Moment, Serial, metadata

specs = Table(
    "specs",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("loaded_at", Moment, nullable=False),
)
"""Every provider file that deliveries were interpreted by."""

promotions = Table(
    "promotions",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("provider", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("file_hash", Text, nullable=False),
    Column("former", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("who", Text, nullable=False),
    Column("begins_at", Moment, nullable=False),
    Column("ends_at", Moment),
    Column("settled_at", Moment),
    Index("promotions_by_provider", "provider", "id"),
)
"""Revisions of provider files that serve in the place of the folder's file, as long as that is `file_hash`.

`settled_at` is when a process met another file there: those that start later serve the file.
"""

shadows = Table(
    "shadows",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("live_hash", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("who", Text, nullable=False),
    Column("stopped_at", Moment),
    Column("rate", Integer, nullable=False),
    Column("position", Text, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("examples", LargeBinary, nullable=False),
    Column("problem", Text, nullable=False),
    Index("shadows_by_provider", "provider", unique=True),
)
"""Revisions that run beside the live ones: what they differed in (`counts`), with examples, encrypted."""

drifts = Table(
    "drifts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("provider", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index("drifts_once", "provider", "feed", "kind", "path", "value", unique=True),
)
"""What payloads showed beyond the golden cases, each once. It stays when its notice is removed. Bounded."""

shapes = Table(
    "shapes",
    metadata,
    Column("provider", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("shape", JSON, nullable=False),
    PrimaryKeyConstraint("provider", "feed"),
)
"""What the first payloads of a feed without golden cases showed: paths and types, no values."""

positions = Table(
    "positions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", Text, nullable=False),
)
"""How far each reader of stored deliveries has come: the id of the last one."""
