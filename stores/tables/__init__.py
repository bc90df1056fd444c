"""The tables, a module for each subject. Valid on SQLite and on PostgreSQL.

Tables that are looked up by their key alone have no second tree beside it on SQLite (sqlite_with_rowid).
"""

from __future__ import annotations

from stores.tables.admin import admin_keys, audit, audit_end, desk_edits, desk_job_items, desk_jobs, desk_sessions
from stores.tables.alert import alert_messages, alert_states, alerts
from stores.tables.archive import segments
from stores.tables.bus import leases, outbox, published, shards
from stores.tables.claim import entity_versions, keys, last_accepted, members, snapshots
from stores.tables.column import Moment, metadata, micros, moment
from stores.tables.connection import connection_secrets, connections
from stores.tables.delivery import counters, deliveries, in_flight, outcomes
from stores.tables.failure import failure_sums, failures, notices
from stores.tables.job import fetch_jobs, fetch_pages, imports
from stores.tables.mapping import alike_blocks, mapping_suggestions, mappings, normal_forms
from stores.tables.provider import drifts, positions, promotions, shadows, shapes, specs
from stores.tables.view import applied, copies, entities, projections

__all__ = [
    "Moment",
    "admin_keys",
    "alert_messages",
    "alert_states",
    "alerts",
    "alike_blocks",
    "applied",
    "audit",
    "audit_end",
    "connection_secrets",
    "connections",
    "copies",
    "counters",
    "deliveries",
    "desk_edits",
    "desk_job_items",
    "desk_jobs",
    "desk_sessions",
    "drifts",
    "entities",
    "entity_versions",
    "failure_sums",
    "failures",
    "fetch_jobs",
    "fetch_pages",
    "imports",
    "in_flight",
    "keys",
    "last_accepted",
    "leases",
    "mapping_suggestions",
    "mappings",
    "members",
    "metadata",
    "micros",
    "moment",
    "normal_forms",
    "notices",
    "outbox",
    "outcomes",
    "positions",
    "projections",
    "promotions",
    "published",
    "segments",
    "shadows",
    "shapes",
    "shards",
    "snapshots",
    "specs",
]
