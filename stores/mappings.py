"""External ids and their canonical ids. A mapping that is replaced is closed, not deleted: replays look back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update

from engine.messages import Ref
from stores import counters
from stores.database import upsert
from stores.tables import failures, mappings

_CHUNK = 400
CHANGES = "_mappings_set"


@dataclass(frozen=True, slots=True)
class Mapped:
    """One mapping as it stands. `within` is the external store id, "" where the id is not per store."""

    tenant: str
    provider: str
    kind: str
    within: str
    external_id: str
    canonical_id: str
    valid_from: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Missing:
    """An external id that open failures name, and how many deliveries wait for it."""

    tenant: str
    provider: str
    kind: str
    within: str
    external_id: str
    deliveries: int
    since: datetime


def resolve(
    connection: Connection, tenant: str, provider: str, refs: Collection[Ref], as_of: datetime | None = None
) -> dict[Ref, str]:
    """The canonical ids of those refs that are mapped: the store's own mapping, else the one for all stores."""
    found: dict[tuple[str, str, str], str] = {}
    wanted: dict[str, set[str]] = {}
    for ref in refs:
        wanted.setdefault(ref.kind, set()).add(ref.external_id)
    stores = sorted({ref.within for ref in refs} | {""})
    for kind, ids in wanted.items():
        ordered = sorted(ids)
        for start in range(0, len(ordered), _CHUNK):
            rows = connection.execute(_lookup(tenant, provider, kind, ordered[start : start + _CHUNK], stores, as_of))
            found.update(((kind, within, external), canonical) for external, within, canonical in rows)
    resolved = {}
    for ref in refs:
        canonical = found.get((ref.kind, ref.within, ref.external_id)) or found.get((ref.kind, "", ref.external_id))
        if canonical is not None:
            resolved[ref] = canonical
    return resolved


def external_ids(
    connection: Connection, tenant: str, provider: str, canonical_ids: Collection[str], store: str = ""
) -> dict[tuple[str, str], str]:
    """What a provider calls these entities, by (kind, canonical id): in the store, else in all stores."""
    m = mappings.c
    found: dict[tuple[str, str], str] = {}
    ordered = sorted(canonical_ids)
    for start in range(0, len(ordered), _CHUNK):
        statement = (
            select(m.kind, m.canonical_id, m.external_id)
            .where(m.tenant == tenant, m.provider == provider, m.canonical_id.in_(ordered[start : start + _CHUNK]),
                   m.within.in_({"", store}), m.valid_to.is_(None))
            .order_by(m.within, m.id.desc())
        )  # fmt: skip
        for kind, canonical, external in connection.execute(statement):
            found[kind, canonical] = external
    return found


def _lookup(tenant: str, provider: str, kind: str, ids: list[str], stores: list[str], as_of: datetime | None) -> Any:
    m = mappings.c
    valid = (
        m.valid_to.is_(None)
        if as_of is None
        else and_(m.valid_from <= as_of, or_(m.valid_to.is_(None), m.valid_to > as_of))
    )
    return select(m.external_id, m.within, m.canonical_id).where(
        m.tenant == tenant, m.provider == provider, m.kind == kind, m.external_id.in_(ids), m.within.in_(stores), valid
    )


def set_mapping(
    connection: Connection, tenant: str, provider: str, ref: Ref, canonical_id: str, at: datetime, source: str
) -> bool:
    """Maps an external id, closing what stood before. False when it stood so already."""
    m = mappings.c
    current = and_(
        m.tenant == tenant, m.provider == provider, m.kind == ref.kind, m.within == ref.within,
        m.external_id == ref.external_id, m.valid_to.is_(None),
    )  # fmt: skip
    new = upsert(connection)(mappings).values(
        tenant=tenant, provider=provider, kind=ref.kind, within=ref.within, external_id=ref.external_id,
        canonical_id=canonical_id, valid_from=at, source=source,
    )  # fmt: skip
    while True:
        standing = connection.scalar(select(m.canonical_id).where(current).with_for_update())
        if standing == canonical_id:
            return False
        if standing is not None:
            connection.execute(update(mappings).where(current).values(valid_to=at))
        # A delivery may create the mapping at this moment: then it is looked at again.
        if connection.scalar(new.on_conflict_do_nothing().returning(m.id)) is not None:
            counters.add(connection, CHANGES)
            return True


def generation(connection: Connection) -> int:
    """A number that moves with every mapping that an operator sets. Ids created by deliveries do not move it."""
    return counters.value(connection, CHANGES)


def external_store(connection: Connection, tenant: str, provider: str, store: str) -> str:
    """A store as the provider names it: `store` itself, or the external id where it is a canonical one."""
    m = mappings.c
    own = and_(m.tenant == tenant, m.provider == provider, m.kind == "store", m.valid_to.is_(None))
    if connection.scalar(select(m.id).where(own, m.external_id == store)) is not None:
        return store
    return connection.scalar(select(m.external_id).where(own, m.canonical_id == store).limit(1)) or store


def list_mappings(
    connection: Connection, filters: Mapping[str, str | None] = {}, *, limit: int = 1000, offset: int = 0
) -> list[Mapped]:
    """Current mappings by tenant, provider, kind and external id. `filters` names columns and their values."""
    m = mappings.c
    chosen = [m[name] == value for name, value in filters.items() if value is not None]
    statement = (
        select(m.tenant, m.provider, m.kind, m.within, m.external_id, m.canonical_id, m.valid_from, m.source)
        .where(m.valid_to.is_(None), *chosen)
        .order_by(m.tenant, m.provider, m.kind, m.external_id, m.within)
        .limit(limit)
        .offset(offset)
    )
    return [Mapped(*row) for row in connection.execute(statement)]


def missing(connection: Connection, tenant: str | None = None, provider: str | None = None) -> list[Missing]:
    """External ids that open mapping failures name, those that hold up most deliveries first."""
    f = failures.c
    kind, within, external = f.kind, f.within, f.external_id
    count = func.count(f.delivery.distinct())
    statement = (
        select(f.tenant, f.provider, kind, within, external, count, func.min(f.at))
        .where(f["class"] == "mapping", f.resolved_at.is_(None), external != "")
        .group_by(f.tenant, f.provider, kind, within, external)
        .order_by(count.desc(), external)
    )
    if tenant:
        statement = statement.where(f.tenant == tenant)
    if provider:
        statement = statement.where(f.provider == provider)
    found = [Missing(*row) for row in connection.execute(statement)]
    still = unresolved(connection, found)
    return [one for one in found if one in still]


def unresolved(connection: Connection, candidates: Iterable[Missing]) -> set[Missing]:
    """Those that are not mapped now."""
    by_owner: dict[tuple[str, str], list[Missing]] = {}
    for one in candidates:
        by_owner.setdefault((one.tenant, one.provider), []).append(one)
    still: set[Missing] = set()
    for (tenant, provider), group in by_owner.items():
        refs = {Ref(one.kind, one.within, one.external_id): one for one in group}
        known = resolve(connection, tenant, provider, refs)
        still |= {one for ref, one in refs.items() if ref not in known}
    return still
