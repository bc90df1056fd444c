"""Payloads in object storage."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from stores.tables.column import Moment, metadata

segments = Table(
    "segments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("spare_key", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("first_id", Text, nullable=False),
    Column("last_id", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("segments_by_day", "day", "provider"),
)
"""Archived payloads: Parquet files in object storage. See flows.archive for the states."""
