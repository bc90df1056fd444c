"""What waits for the bus, what is there, and who takes it."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, Table, Text

from stores.tables.column import Moment, Serial, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("delivery", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("kafka_key", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("ids", JSON, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("topic", Text, nullable=False, server_default="catalog.commands"),
    # A published row keeps its id: SQLite must not give it to another.
    sqlite_autoincrement=True,
)
"""Commands that wait for the bus: one row for each delivery and Kafka key. Events of the views wait here too."""

published = Table(
    "published",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False),
    Column("delivery", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("kafka_key", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("ids", JSON, nullable=False),
    Column("at", Moment, nullable=False),
)
"""What the relay has taken to the bus."""

shards = Table(
    "shards",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_until", Moment, nullable=False),
)
"""Who relays which part of the outbox."""

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_until", Moment, nullable=False),
)
"""Who does what only one may do at a time."""
