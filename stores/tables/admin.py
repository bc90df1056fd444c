"""Operators: their keys, sessions and work at the desk, and the audit."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from stores.tables.column import Moment, Serial, metadata, partial

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
"""What operators did, each entry chained to the one before by its hash."""

audit_end = Table(
    "audit_end",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)
"""The id and hash of the newest entry of the audit: one removed from its end is missed."""

admin_keys = Table(
    "admin_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
    partial("admin_keys_standing", "name", where="revoked_at IS NULL", unique=True),
)
"""Who may use the admin API. `hash` is that of the token, which is not kept."""

desk_sessions = Table(
    "desk_sessions",
    metadata,
    Column("token", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("until", Moment, nullable=False),
)
"""Who is signed in to the desk (kind `session`) or may sign in once (`link`). `token` is a SHA-256."""

desk_jobs = Table(
    "desk_jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("rate", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Index("desk_jobs_by_time", "at"),
)
"""Replays of sets of deliveries. `state`: running, cancelling, cancelled or done; `rate`: deliveries a second."""

desk_job_items = Table(
    "desk_job_items",
    metadata,
    Column("job", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("verdict", Text),
    PrimaryKeyConstraint("job", "delivery"),
    sqlite_with_rowid=False,
)
"""What a job replays, as chosen when it began. `verdict` is null until it was replayed."""

desk_edits = Table(
    "desk_edits",
    metadata,
    Column("delivery", Text, primary_key=True),
    Column("original", Text, nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Moment, nullable=False),
)
"""Deliveries that an operator made of another one by editing its body."""
