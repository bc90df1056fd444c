"""What readers ask of the views, wherever these stand: in SQL, or in the copy (stores.copied_views)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from sqlalchemy import Connection

from engine.views import Entity, EntityKey
from stores import views


class Views(Protocol):
    """The functions of `stores.views` that readers need."""

    def tenants_of(self, owner: str) -> list[str]: ...
    def load(self, keys: Collection[EntityKey]) -> dict[EntityKey, Entity]: ...
    def by_id(self, id: str, kinds: Collection[str], tenant: str = "") -> list[Entity]: ...
    def variants_of(self, tenant: str, owner: str, items: Collection[str]) -> list[Entity]: ...
    def of_owner(
        self,
        view: str,
        tenant: str,
        owner: str,
        kinds: Collection[str] = (),
        *,
        after: tuple[str, str] = ("", ""),
        limit: int | None = None,
    ) -> list[Entity]: ...


class SqlViews:
    """The views in SQL, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def tenants_of(self, owner: str) -> list[str]:
        return views.tenants_of(self.connection, owner)

    def load(self, keys: Collection[EntityKey]) -> dict[EntityKey, Entity]:
        return views.load(self.connection, keys)

    def by_id(self, id: str, kinds: Collection[str], tenant: str = "") -> list[Entity]:
        return views.by_id(self.connection, id, kinds, tenant)

    def variants_of(self, tenant: str, owner: str, items: Collection[str]) -> list[Entity]:
        return views.variants_of(self.connection, tenant, owner, items)

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
        return views.of_owner(self.connection, view, tenant, owner, kinds, after=after, limit=limit)
