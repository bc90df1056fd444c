"""Work that takes long: imports of files, and what is fetched."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text

from stores.tables.column import Moment, metadata, partial

imports = Table(
    "imports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("peer", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("chunk_rows", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("owner", Text, nullable=False),
    Column("lease_until", Moment),
    Column("attempts", Integer, nullable=False),
    Column("key_text", Text, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("commands", BigInteger, nullable=False),
    Column("at_byte", BigInteger, nullable=False),
    Column("seen_bytes", BigInteger, nullable=False),
    Column("busy_us", BigInteger, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("problem", Text, nullable=False),
    Index("imports_by_time", "created_at", "id"),
    Index("imports_by_key", "tenant", "provider", "key_text"),
)
"""Jobs that read a file row by row. `chunks`, `rows`, `failed` and `commands` count what is committed; `at_byte` is
how far into the file that is, `seen_bytes` how much of the file of entities stands for it; `busy_us` is the time
spent on it so far."""

fetch_jobs = Table(
    "fetch_jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("every", Integer, nullable=False),
    Column("due", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("started", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("next", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("began_at", Moment),
    Column("covered_at", Moment),
    Column("last_error", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    partial("fetch_jobs_waiting", "what", where="started = 0", unique=True),
    Index("fetch_jobs_due", "state", "due"),
    Index("fetch_jobs_what", "what", "state"),
)
"""What is to be fetched from providers. See stores.fetch_jobs."""

fetch_pages = Table(
    "fetch_pages",
    metadata,
    Column("delivery", Text, primary_key=True),
    Column("job", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Index("fetch_pages_by_job", "job", "number"),
)
"""The deliveries that the pages of a fetch became: of a poll, those of its latest turn."""
