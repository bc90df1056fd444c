"""What decides whether a delivery's commands are written: what was written before."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, Table, Text

from stores.tables.column import Moment, metadata, partial

keys = Table(
    "keys",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("key_text", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("claimed_at", Moment, nullable=False),
    Column("until", Moment),
    Column("written", Text),
    PrimaryKeyConstraint("tenant", "provider", "key_text"),
    partial("keys_until", "until", where="until IS NOT NULL"),
    sqlite_with_rowid=False,
)
"""Idempotency keys. `delivery` claimed it first, or is the import job that has it; `written`: ids of commands that
attempts left undone wrote, without those of import jobs. `state`: done, partial, failed or parked; of a job's running,
or open where it left a part."""

last_accepted = Table(
    "last_accepted",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("scope_key", Text, nullable=False),
    Column("key_text", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("written", Text),
    PrimaryKeyConstraint("tenant", "provider", "scope_key"),
    sqlite_with_rowid=False,
)
"""The last accepted message of each scope whose payload hash is compared `against: last`."""

entity_versions = Table(
    "entity_versions",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("version_order", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "provider", "entity"),
    sqlite_with_rowid=False,
)
"""The newest version written of each entity that carries versions."""

members = Table(
    "members",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("retire", LargeBinary, nullable=False),
    Column("told", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "provider", "scope", "external_id"),
    sqlite_with_rowid=False,
)
"""Who was seen in a scope. `retire` has the data of its Retire command; `told` hashes what was last told of it."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("received", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "provider", "scope"),
    sqlite_with_rowid=False,
)
"""The newest snapshot of each scope."""
