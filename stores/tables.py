"""The tables. Valid on SQLite and on PostgreSQL; times are microseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    event,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The aware time in UTC of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


class Moment(TypeDecorator[datetime]):
    """An aware time, kept as microseconds since 1970: sortable, exact and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | int | None, dialect: Dialect) -> int | None:
        return micros(value) if isinstance(value, datetime) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else moment(int(value))

    def process_literal_param(self, value: datetime | None, dialect: Dialect) -> str:
        return "NULL" if value is None else str(micros(value))


# SQLite numbers rows by itself only in an INTEGER column.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over the rows for which `where` holds, on either database.

    PostgreSQL is told when tables are made there: to name its option here would load its dialect into every process.
    """
    index = Index(name, *columns, unique=unique, sqlite_where=text(where))

    def tell(_table: Any, connection: Connection, **_: Any) -> None:
        if connection.dialect.name == "postgresql":
            index.dialect_options["postgresql"]["where"] = text(where)

    event.listen(index, "after_parent_attach", lambda _, table: event.listen(table, "before_create", tell))
    return index


# Tables that are looked up by their key alone have no second tree beside it on SQLite (sqlite_with_rowid).

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
    _partial("deliveries_quarantined", "connection", "peer", "received_at", where="quarantined <> ''"),
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
    _partial("outcomes_not_accepted", "state", "delivery", where="state <> 'accepted'"),
    Index("outcomes_by_time", "at", "state", "attempt"),
    _partial("outcomes_by_store", "external_store", "delivery", where="external_store <> ''"),
    sqlite_with_rowid=False,
)
"""What attempts came to; only ever inserted. A delivery's latest attempt is its state."""

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
    _partial("keys_until", "until", where="until IS NOT NULL"),
    sqlite_with_rowid=False,
)
"""Idempotency keys. `delivery` claimed it first; `written`: ids of commands that attempts left undone wrote."""

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

mappings = Table(
    "mappings",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("within", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("canonical_id", Text, nullable=False),
    Column("valid_from", Moment, nullable=False),
    Column("valid_to", Moment),
    Column("source", Text, nullable=False),
    _partial(
        "mappings_current", "tenant", "provider", "kind", "external_id", "within", where="valid_to IS NULL", unique=True
    ),
    Index("mappings_by_canonical", "canonical_id", "tenant"),
)
"""External ids and their canonical ids, with history. `within` is the external store id, or ""."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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
    Column("id", _Serial, primary_key=True, autoincrement=False),
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

failures = Table(
    "failures",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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
    _partial(
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
    _partial("failures_open", "code", "delivery", where="resolved_at IS NULL"),
    _partial("failures_untold", "id", where="told_at IS NULL"),
)
"""Why deliveries, or elements of them, gave no commands. `data` is JSON as failure.schema.json has it.

`told_at` is when the topic of failures, or a sum for it, had it. `kind`, `within` and `external_id` say what it is
about (stores.causes).
"""

failure_sums = Table(
    "failure_sums",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_until", Moment, nullable=False),
)
"""Who does what only one may do at a time."""

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
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("valid_from", Moment, nullable=False),
    Column("valid_until", Moment),
)
"""Secrets, encrypted. Several of one name are valid at once while one replaces the other."""

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

audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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
    Index(
        "admin_keys_standing",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)
"""Who may use the admin API. `hash` is that of the token, which is not kept."""

entities = Table(
    "entities",
    metadata,
    Column("view", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("store_id", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("sku", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("retired", Boolean, nullable=False),
    Column("seen", Boolean, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("view", "owner", "tenant", "kind", "id"),
    Index("entities_by_id", "id", "kind"),
    _partial("entities_by_item", "item", "owner", where="item <> ''"),
    _partial("entities_by_sku", "sku", "owner", where="sku <> ''"),
    sqlite_with_rowid=False,
)
"""The views: what each entity is now. `owner` is the store, or the merchant for what holds in all its stores."""

applied = Table(
    "applied",
    metadata,
    Column("commandkey", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("result", Text, nullable=False),
    PrimaryKeyConstraint("commandkey", "id"),
    sqlite_with_rowid=False,
)
"""Commands that the views have taken in. `position` is that of the first one with the commandkey."""

projections = Table(
    "projections",
    metadata,
    Column("name", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("next", BigInteger, nullable=False),
    PrimaryKeyConstraint("name", "partition"),
)
"""How far each projection has read each partition: the offset that comes next."""

copies = Table(
    "copies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)
"""Copies of the views that stand elsewhere: how this installation's is named there, and a number that rises when the
views were replaced, so that versions of before say nothing any more."""

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

notices = Table(
    "notices",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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

promotions = Table(
    "promotions",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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
    Column("id", _Serial, primary_key=True, autoincrement=True),
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
    _partial("alert_messages_due", "due_at", where="due_at IS NOT NULL"),
)
"""Messages of alerts, kept for a while. `due_at`: when it is tried next; null once it was sent or given up."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""What is only counted: handshakes, questions, too large, busy, unknown, evicted."""

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
    Index(
        "fetch_jobs_waiting",
        "what",
        unique=True,
        sqlite_where=text("started = 0"),
        postgresql_where=text("started = 0"),
    ),
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
normal_forms = Table(
    "normal_forms",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("amount", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("pack", Integer, nullable=False),
    Column("codes", Text, nullable=False),
    Column("seen_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant", "owner", "kind", "id"),
    Index("normal_forms_by_id", "id", "kind"),
    sqlite_with_rowid=False,
)
"""Items as they are compared: see engine.normal_forms. `codes` is a JSON list of barcodes."""

alike_blocks = Table(
    "alike_blocks",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("block", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("id", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "kind", "block", "source", "owner", "id"),
    Index("alike_blocks_by_id", "id", "tenant", "owner", "kind"),
    sqlite_with_rowid=False,
)
"""What items are found by that are worth comparing. `source` is the provider and the owner: one source has none."""

mapping_suggestions = Table(
    "mapping_suggestions",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("within", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("current_id", Text, nullable=False),
    Column("suggested_id", Text, nullable=False),
    Column("score", Integer, nullable=False),
    Column("because", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("decided_at", Moment),
    Column("decided_by", Text, nullable=False),
    Index("mapping_suggestions_open", "state", "tenant", "score"),
    Index(
        "mapping_suggestions_once", "tenant", "kind", "provider", "external_id", "within", "suggested_id", unique=True
    ),
    # An operator names a suggestion by its id: SQLite must not give it to another.
    sqlite_autoincrement=True,
)
"""External ids that are likely to be another canonical id. `state`: open, accepted or rejected."""
