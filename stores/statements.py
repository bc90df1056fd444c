"""The group writer's statements: compiled once from the tables and sent through the driver.

SQLAlchemy's handling of each row's parameters would be the largest cost of a webhook.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Table, and_, bindparam, delete, insert, select, update

from stores import tables as t
from stores.database import insert_of


@dataclass(frozen=True, slots=True)
class Statements:
    """SQL text with positional parameters, in the order named behind each."""

    put_delivery: str  # every column in the table's order
    put_in_flight: str  # delivery, owner, lease_until, attempts
    drop_in_flight: str  # delivery
    put_outcome: str  # every column
    put_outbox: str  # every column but id and topic
    put_failure: str  # every column but id, resolved_at, resolved_by and told_at
    put_sum: str  # every column but id
    put_mapping: str  # tenant, provider, kind, within, external_id, canonical_id, valid_from, source
    mapping_of: str  # tenant, provider, kind, within, external_id
    key_of: str  # tenant, provider, key_text → delivery, state, written, until
    put_key: str  # every column; an expired one is replaced
    update_key: str  # state, written, tenant, provider, key_text
    last_of: str  # tenant, provider, scope_key → delivery, state, written, key_text
    put_last: str  # every column; replaces
    ids_of: str  # delivery → command_ids
    jobs_of: str  # tenant, provider, key_text → id, chunks
    outcome_of: str  # delivery, attempt → state, commands, holder, stale
    delivery_of: str  # id → id
    version_of: str  # tenant, provider, entity → version_order, delivery
    put_version: str  # every column; replaces
    count_of: str  # name → value


def _positional(dialect: Dialect) -> Dialect:
    # Any: whether these constructors count as typed depends on the order in which modules are checked.
    module: Any
    if dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import psycopg as module

        paramstyle = "format"
    else:
        from sqlalchemy.dialects import sqlite as module

        paramstyle = "qmark"
    made: Dialect = module.dialect(paramstyle=paramstyle)
    return made


def statements(dialect: Dialect) -> Statements:
    """The statements for SQLite or PostgreSQL."""
    upsert, target = insert_of(dialect), _positional(dialect)

    def text(statement: Any) -> str:
        return str(statement.compile(dialect=target))

    def put(table: Table, *without: str) -> str:
        names = [c.name for c in table.c if c.name not in without]
        return text(insert(table).values({name: bindparam(name) for name in names}))

    def replace(table: Table, *keys: str) -> str:
        statement = upsert(table).values({c.name: bindparam(c.name) for c in table.c})
        changed = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}
        return text(statement.on_conflict_do_update(index_elements=list(keys), set_=changed))

    def equal(table: Table, *names: str) -> Any:
        return and_(*(table.c[name] == bindparam(f"b_{name}") for name in names))

    m, k, last, o, jobs = t.mappings, t.keys, t.last_accepted, t.outcomes, t.imports
    mapping = upsert(m).values(
        {n: bindparam(n) for n in ("tenant", "provider", "kind", "within", "external_id", "canonical_id",
                                   "valid_from", "source")}
    )  # fmt: skip
    changed: dict[str, Any] = {"state": bindparam("state"), "written": bindparam("written")}
    return Statements(
        put_delivery=put(t.deliveries),
        put_in_flight=put(t.in_flight),
        drop_in_flight=text(delete(t.in_flight).where(equal(t.in_flight, "delivery"))),
        put_outcome=put(o),
        put_outbox=put(t.outbox, "id", "topic"),
        put_failure=put(t.failures, "id", "resolved_at", "resolved_by", "told_at"),
        put_sum=put(t.failure_sums, "id"),
        put_mapping=text(mapping.on_conflict_do_nothing()),
        mapping_of=text(
            select(m.c.canonical_id).where(
                equal(m, "tenant", "provider", "kind", "within", "external_id"), m.c.valid_to.is_(None)
            )
        ),
        key_of=text(
            select(k.c.delivery, k.c.state, k.c.written, k.c.until).where(equal(k, "tenant", "provider", "key_text"))
        ),
        put_key=replace(k, "tenant", "provider", "key_text"),
        update_key=text(update(k).values(changed).where(equal(k, "tenant", "provider", "key_text"))),
        last_of=text(
            select(last.c.delivery, last.c.state, last.c.written, last.c.key_text).where(
                equal(last, "tenant", "provider", "scope_key")
            )
        ),
        put_last=replace(last, "tenant", "provider", "scope_key"),
        ids_of=text(select(o.c.command_ids).where(equal(o, "delivery"))),
        jobs_of=text(select(jobs.c.id, jobs.c.chunks).where(equal(jobs, "tenant", "provider", "key_text"))),
        outcome_of=text(select(o.c.state, o.c.commands, o.c.holder, o.c.stale).where(equal(o, "delivery", "attempt"))),
        delivery_of=text(select(t.deliveries.c.id).where(equal(t.deliveries, "id"))),
        version_of=text(
            select(t.entity_versions.c.version_order, t.entity_versions.c.delivery).where(
                equal(t.entity_versions, "tenant", "provider", "entity")
            )
        ),
        put_version=replace(t.entity_versions, "tenant", "provider", "entity"),
        count_of=text(select(t.counters.c.value).where(equal(t.counters, "name"))),
    )
