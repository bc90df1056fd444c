"""The views as readers find them in the copy; what is not there is read from SQL, and put there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from time import monotonic
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from engine.views import Entity, EntityKey
from stores import views
from stores.database import upsert
from stores.tables import copies, projections
from stores.view_copy import (
    MOST,
    Head,
    TooLarge,
    Value,
    ViewCopy,
    id_hash,
    owner_hash,
    packed,
    tenants_hash,
    unpacked,
)
from stores.view_sources import SqlViews

NAME: Final = "views"
FILL_SECONDS: Final = 20.0
"""What was read from SQL longer ago is not put into the copy: newer writes may be gone from hashes not yet whole."""


class Standing(NamedTuple):
    """How far the views in SQL are. `namespace` names this installation's copy; "" where there never was one."""

    namespace: str
    epoch: int
    positions: dict[int, int]

    def in_step(self, head: Head | None) -> bool:
        """Whether a copy has everything that stood in SQL."""
        if head is None or head.epoch != self.epoch:
            return False
        return all(head.positions.get(partition, 0) >= position for partition, position in self.positions.items())


def standing(connection: Connection) -> Standing:
    """How far the views are now."""
    row = connection.execute(select(copies.c.namespace, copies.c.epoch).where(copies.c.name == NAME)).first()
    positions = select(projections.c.partition, projections.c.next).where(projections.c.name == views.NAME)
    namespace, epoch = ("", 0) if row is None else (row.namespace, row.epoch)
    return Standing(namespace, epoch, {one.partition: one.next for one in connection.execute(positions)})


def mark_of(connection: Connection) -> str:
    """The namespace of this installation's copy, which is made where there is none yet."""
    wanted = select(copies.c.namespace).where(copies.c.name == NAME)
    found = connection.scalar(wanted)
    if found is None:
        row = {"name": NAME, "namespace": secrets.token_hex(8), "epoch": 1}
        connection.execute(upsert(connection)(copies).values(row).on_conflict_do_nothing())
        found = connection.scalar(wanted)
    assert found is not None
    return str(found)


class CopiedViews(SqlViews):
    """The copy of one generation. All of it may raise CopyAway."""

    def __init__(self, connection: Connection, copy: ViewCopy, head: Head) -> None:
        super().__init__(connection)
        self._copy, self._head, self._since = copy, head, monotonic()
        self._read: dict[str, dict[str, bytes]] = {}

    def tenants_of(self, owner: str) -> list[str]:
        name = tenants_hash(owner)

        def fill() -> Iterable[Value]:
            return [Value(name, tenant, 0, b"") for tenant in super(CopiedViews, self).tenants_of(owner)]

        return sorted(self._whole(name, fill))

    def load(self, keys: Collection[EntityKey]) -> dict[EntityKey, Entity]:
        found: dict[EntityKey, Entity] = {}
        by_owner: dict[tuple[Any, str, str], list[EntityKey]] = {}
        for key in keys:
            by_owner.setdefault(key[:3], []).append(key)
        for owner, wanted in by_owner.items():
            fields = {f"{key.kind}\0{key.id}": key for key in wanted}
            try:
                values = self._some(owner, list(fields))
            except TooLarge:
                found |= super().load(wanted)
            else:
                found |= {fields[name]: unpacked(fields[name], value) for name, value in values.items()}
        return found

    def by_id(self, id: str, kinds: Collection[str], tenant: str = "") -> list[Entity]:
        def fill() -> Iterable[Value]:
            found = super(CopiedViews, self).by_id(id, ("addon", "item", "variant"))
            return [_by_id(entity) for entity in found]

        try:
            values = self._whole(id_hash(id), fill)
        except TooLarge:
            return super().by_id(id, kinds, tenant)
        found = []
        for field, value in values.items():
            view, of, owner, kind = field.split("\0")
            if kind in kinds and tenant in ("", of):
                found.append(unpacked(EntityKey(view, of, owner, kind, id), value))  # type: ignore[arg-type]
        return sorted(found, key=lambda entity: entity.key)

    def variants_of(self, tenant: str, owner: str, items: Collection[str]) -> list[Entity]:
        wanted = set(items)
        try:
            found = self._entities("catalogue", tenant, owner, ("variant",))
        except TooLarge:
            return super().variants_of(tenant, owner, items)
        mine = (one for one in found if one.fields.get("item_id") in wanted and one.seen and not one.retired)
        return sorted(mine, key=lambda entity: entity.key.id)

    def of_owner(
        self,
        view: str,
        tenant: str,
        owner: str,
        kinds: Collection[str] = (),
        *,
        after: tuple[str, str] = ("", ""),
        limit: int | None = None,
    ) -> list[Entity]:
        try:
            found = self._entities(view, tenant, owner, kinds, after, limit)
        except TooLarge:
            return super().of_owner(view, tenant, owner, kinds, after=after, limit=limit)
        return found

    def _entities(
        self,
        view: Any,
        tenant: str,
        owner: str,
        kinds: Collection[str] = (),
        after: tuple[str, str] = ("", ""),
        limit: int | None = None,
    ) -> list[Entity]:
        values = self._whole(owner_hash(view, tenant, owner), lambda: self._of(view, tenant, owner))
        chosen = []
        for field in values:
            kind, _, id = field.partition("\0")
            if (not kinds or kind in kinds) and (kind, id) > after:
                chosen.append((kind, id, field))
        keys = [(EntityKey(view, tenant, owner, kind, id), field) for kind, id, field in sorted(chosen)[:limit]]
        return [unpacked(key, values[field]) for key, field in keys]

    def _of(self, view: str, tenant: str, owner: str) -> list[Value]:
        name = owner_hash(view, tenant, owner)
        found = super().of_owner(view, tenant, owner, limit=MOST + 1)
        return [Value(name, f"{one.key.kind}\0{one.key.id}", one.version, packed(one)) for one in found]

    def _some(self, owner: tuple[Any, str, str], fields: list[str]) -> dict[str, bytes]:
        name = owner_hash(*owner)
        values = self._read.get(name)
        if values is None:
            values = self._copy.some(self._head, name, fields)
        if values is None:
            values = self._whole(name, lambda: self._of(*owner))
        return {field: values[field] for field in fields if field in values}

    def _whole(self, name: str, fill: Callable[[], Iterable[Value]]) -> dict[str, bytes]:
        """Every field of a hash, which is filled from SQL where it is not whole. Raises TooLarge."""
        if name not in self._read:
            found = self._copy.whole(self._head, name)
            self._read[name] = self._filled(name, fill) if found is None else found
        return self._read[name]

    def _filled(self, name: str, fill: Callable[[], Iterable[Value]]) -> dict[str, bytes]:
        values = list(fill())
        if values and monotonic() - self._since < FILL_SECONDS:
            self._copy.fill(self._head, name, values)
        if len(values) > MOST:
            raise TooLarge
        return {value.field: b"%d:%s" % (value.version, value.data) for value in values}


def _by_id(entity: Entity) -> Value:
    key = entity.key
    field = "\0".join((key.view, key.tenant, key.owner, key.kind))
    return Value(id_hash(key.id), field, entity.version, packed(entity))
