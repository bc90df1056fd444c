"""Connections and their secrets."""

from __future__ import annotations

from sqlalchemy import JSON, Column, LargeBinary, Table, Text

from stores.tables.column import Moment, Serial, metadata

connections = Table(
    "connections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("keys", JSON, nullable=False),
    Column("merchant", Text, nullable=False),
    Column("stores", JSON, nullable=False),
    Column("allow", JSON, nullable=False),
    Column("time_zone", Text),
    Column("currency", Text),
    Column("settings", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    Column("overrides", Text),
)
"""One tenant's agreement with one provider. `overrides`: YAML that changes the provider file for it."""

connection_secrets = Table(
    "connection_secrets",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("valid_from", Moment, nullable=False),
    Column("valid_until", Moment),
)
"""Secrets, encrypted. Several of one name are valid at once while one replaces the other."""
