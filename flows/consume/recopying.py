"""Makes the copy of the views again from SQL, or compares it with SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import NamedTuple

from sqlalchemy import Connection

from engine.views import Entity
from stores import copied_views, views
from stores.copied_views import CopiedViews
from stores.view_copy import ViewCopy
from stores.view_sources import SqlViews
from stores.views import Owner

Transaction = Callable[[], AbstractContextManager[Connection]]
Shown = Callable[[list[Owner]], AbstractContextManager[Iterable[Owner]]]


class CopyMissing(Exception):
    """There is no copy that could be compared."""


class Recopied(NamedTuple):
    """`owners` are a store's or merchant's views; `different` how many of them the copy had otherwise."""

    owners: int
    entities: int
    different: int


def rebuild(url: str, reading: Transaction, writing: Transaction, shown: Shown) -> Recopied:
    """Begins a new generation and fills it. Writes of the projection go on meanwhile. Raises CopyAway."""
    with writing() as transaction:
        namespace = copied_views.mark_of(transaction)
    copy = ViewCopy(url, namespace)
    try:
        with reading() as transaction:
            stands, owners = copied_views.standing(transaction), views.owners(transaction)
        head = copy.begin(stands.epoch, stands.positions)
        count = 0
        with shown(owners) as each:
            for owner in each:
                with reading() as transaction:
                    count += len(CopiedViews(transaction, copy, head).of_owner(*owner))
    finally:
        copy.close()
    return Recopied(len(owners), count, 0)


def compare(url: str, reading: Transaction, shown: Shown) -> Recopied:
    """Counts the owners that the copy shows otherwise than SQL does. Raises CopyMissing and CopyAway."""
    count = different = 0
    with reading() as transaction:
        stands, owners = copied_views.standing(transaction), views.owners(transaction)
        copy = ViewCopy(url, stands.namespace)
        try:
            if not stands.namespace or (head := copy.head()) is None or not stands.in_step(head):
                raise CopyMissing
            with shown(owners) as each:
                for owner in each:
                    wanted = _visible(SqlViews(transaction).of_owner(*owner))
                    different += wanted != _visible(CopiedViews(transaction, copy, head).of_owner(*owner))
                    count += len(wanted)
        finally:
            copy.close()
    return Recopied(len(owners), count, different)


def _visible(entities: list[Entity]) -> set[tuple[str, ...]]:
    return {(*one.key, one.merchant_id, one.changed_at, str(one.version), repr(_fields(one))) for one in entities}


def _fields(entity: Entity) -> list[tuple[str, object]]:
    return sorted((name, value) for name, value in entity.fields.items() if name != "stock")
