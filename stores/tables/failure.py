"""What an operator has to see: failures, their sums for the bus, and notices."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Integer, LargeBinary, Table, Text

from stores.tables.column import Moment, Serial, metadata, partial

failures = Table(
    "failures",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("delivery", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("resolved_at", Moment),
    Column("resolved_by", Text),
    Column("told_at", Moment),
    Column("kind", Text, nullable=False, server_default=""),
    Column("within", Text, nullable=False, server_default=""),
    Column("external_id", Text, nullable=False, server_default=""),
    Index("failures_by_delivery", "delivery"),
    Index("failures_by_cause", "class", "code", "at"),
    partial(
        "failures_groups",
        "tenant",
        "provider",
        "feed",
        "class",
        "code",
        "kind",
        "within",
        "external_id",
        "delivery",
        "at",
        where="resolved_at IS NULL",
    ),
    partial("failures_open", "code", "delivery", where="resolved_at IS NULL"),
    partial("failures_untold", "id", where="told_at IS NULL"),
)
"""Why deliveries, or elements of them, gave no commands. `data` is JSON as failure.schema.json has it.

`told_at` is when the topic of failures, or a sum for it, had it. `kind`, `within` and `external_id` say what it is
about (stores.causes).
"""

failure_sums = Table(
    "failure_sums",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("minute", Moment, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("closed", Boolean, nullable=False),
    # The id goes into the event's: SQLite must not give it to another.
    sqlite_autoincrement=True,
)
"""What the topic of failures is told as a sum. Open rows are added up into a closed one, which is published."""

notices = Table(
    "notices",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("handshake", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("shown", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False, server_default="handshake"),
    Column("feed", Text, nullable=False, server_default=""),
    Index("notices_by_handshake", "provider", "connection", "handshake", "id"),
    # An operator names a notice by its id: SQLite must not give it to another.
    sqlite_autoincrement=True,
)
"""What an operator must see, encrypted: what handshakes said, and (kind `drift`) what is new in payloads. Bounded."""
