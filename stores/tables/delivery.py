"""What comes in, and what became of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from stores.tables.column import Moment, metadata, partial

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", Moment, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("body_sealed", Boolean, nullable=False),
    Column("peer", Text, nullable=False),
    Column("spec_hash", Text, nullable=False),
    Column("quarantined", Text, nullable=False),
    Column("place", Text, nullable=False, server_default=""),
    Index("deliveries_by_time", "received_at", "id"),
    Index("deliveries_by_provider", "provider", "id"),
    Index("deliveries_by_tenant", "tenant", "id"),
    Index("deliveries_by_connection", "connection", "id"),
    partial("deliveries_quarantined", "connection", "peer", "received_at", where="quarantined <> ''"),
)
"""Requests as received. A quarantined one names its auth failure's code. `place`: see stores.payloads."""

in_flight = Table(
    "in_flight",
    metadata,
    Column("delivery", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Deliveries without an outcome. Recovery reads this alone."""

outcomes = Table(
    "outcomes",
    metadata,
    Column("delivery", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("key_text", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("commands", Integer, nullable=False),
    Column("stale", Integer, nullable=False),
    Column("external_merchant", Text, nullable=False),
    Column("external_store", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("store_id", Text, nullable=False),
    Column("spec_hash", Text, nullable=False),
    Column("results", LargeBinary, nullable=False),
    Column("entities", Text, nullable=False),
    Column("command_ids", Text, nullable=False),
    PrimaryKeyConstraint("delivery", "attempt"),
    partial("outcomes_not_accepted", "state", "delivery", where="state <> 'accepted'"),
    Index("outcomes_by_time", "at", "state", "attempt"),
    partial("outcomes_by_store", "external_store", "delivery", where="external_store <> ''"),
    sqlite_with_rowid=False,
)
"""What attempts came to; only ever inserted. A delivery's latest attempt is its state."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""What is only counted: handshakes, questions, too large, busy, unknown, evicted."""
