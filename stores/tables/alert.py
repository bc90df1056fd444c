"""Alerts and their messages."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from stores.tables.column import Moment, metadata, partial

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("above", BigInteger),
    Column("within", Integer, nullable=False),
    Column("least", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("remind", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("url", LargeBinary, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
)
"""Rules of alerts: see stores.alerts. `url` and `secret` are encrypted; `host` is what is shown of the URL."""

alert_states = Table(
    "alert_states",
    metadata,
    Column("alert", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("since", Moment, nullable=False),
    Column("told_at", Moment, nullable=False),
    Column("reminded", Integer, nullable=False),
    Column("calm_since", Moment),
    PrimaryKeyConstraint("alert", "subject"),
    sqlite_with_rowid=False,
)
"""What alerts have told and not yet told to be over."""

alert_messages = Table(
    "alert_messages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alert", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("due_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", Moment),
    Column("problem", Text, nullable=False),
    Index("alert_messages_by_alert", "alert", "at"),
    partial("alert_messages_due", "due_at", where="due_at IS NOT NULL"),
)
"""Messages of alerts, kept for a while. `due_at`: when it is tried next; null once it was sent or given up."""
