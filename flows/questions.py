"""Answers questions from the views, within what the connection may see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection as Transaction

from engine.failures import Refusal
from engine.messages import Connection, Ref
from engine.questions import Question, may_ask, not_allowed, not_known
from engine.views import Entity
from flows import views as shown
from stores import mappings, views
from stores.view_sources import SqlViews

Names = Mapping[tuple[str, str], str]
"""External ids by (kind, canonical id)."""


def answers(transaction: Transaction, connection: Connection, questions: Iterable[Question]) -> dict[str, Any]:
    """`$view`: by the question's name. Raises Refusal where the connection may not ask."""
    return {question.name: _answer(transaction, connection, question) for question in questions}


def _answer(transaction: Transaction, connection: Connection, question: Question) -> Any:
    store = _store(transaction, connection, question)
    if question.view == "store_status":
        return _status(transaction, connection, question, store)
    return _items(transaction, connection, question, store or connection.merchant or connection.tenant)


def _store(transaction: Transaction, connection: Connection, question: Question) -> str:
    """The canonical store that is asked about."""
    ref = question.ref
    if ref is None:
        if connection.stores:
            raise Refusal(not_allowed(""))
        return ""
    found = mappings.resolve(transaction, connection.tenant, connection.provider, [ref]).get(ref)
    if found is None:
        raise Refusal(not_known(question.store))
    if not may_ask(connection, found):
        raise Refusal(not_allowed(question.store))
    return found


def _status(transaction: Transaction, connection: Connection, question: Question, store: str) -> dict[str, Any] | None:
    found = shown.store_status(SqlViews(transaction), connection.tenant, store)
    if found is None:
        return None
    if connection.merchant and found.pop("merchant_id") != connection.merchant:
        raise Refusal(not_allowed(question.store))
    found.pop("merchant_id", None)
    return {**found, "store_id": question.store} if question.external else found


def _items(transaction: Transaction, connection: Connection, question: Question, owner: str) -> dict[str, Any]:
    """{items, page, size, more}: items of a store, or of the merchant, with their variants."""
    tenant, provider = connection.tenant, connection.provider
    ids = None if question.only is None else _named(transaction, connection, question.only)
    page = views.page_of(
        transaction, tenant, owner, connection.merchant, skus=question.only, ids=ids,
        offset=(question.page - 1) * question.size, limit=question.size + 1,
    )  # fmt: skip
    more, page = len(page) > question.size, page[: question.size]
    variants = views.variants_of(transaction, tenant, owner, [item.key.id for item in page])
    sold = views.load(transaction, [one.key._replace(view="availability") for one in (*page, *variants)])
    names = _names(transaction, tenant, provider, [*page, *variants], question.store) if question.external else {}
    by_item: dict[str, list[Any]] = {}
    for variant in variants:
        by_item.setdefault(variant.fields["item_id"], []).append(_told(variant, sold, names))
    items = [{**_told(item, sold, names), "variants": by_item.get(item.key.id, [])} for item in page]
    return {"items": items, "page": question.page, "size": question.size, "more": more}


def _told(entity: Entity, sold: Mapping[Any, Entity], names: Names) -> dict[str, Any]:
    found = shown.described(entity, {(k.kind, k.id): e for k, e in ((e.key, e) for e in _of(entity, sold))})
    for name, kind in (("item_id", "item"), ("variant_id", "variant")):
        if name in found:
            found[name] = names.get((kind, found[name]), found[name])
    available = found.get("availability")
    if available:
        found["availability"] = {**available, "id": names.get((entity.key.kind, entity.key.id), entity.key.id)}
    return found


def _of(entity: Entity, sold: Mapping[Any, Entity]) -> list[Entity]:
    found = sold.get(entity.key._replace(view="availability"))
    return [] if found is None else [found]


def _named(transaction: Transaction, connection: Connection, names: Collection[str]) -> set[str]:
    """The canonical ids of items and variants by what the provider calls them."""
    refs = [Ref(kind, "", name) for kind in ("item", "variant") for name in names]
    return set(mappings.resolve(transaction, connection.tenant, connection.provider, refs).values()) | set(names)


def _names(transaction: Transaction, tenant: str, provider: str, entities: Collection[Entity], store: str) -> Names:
    ids = {entity.key.id for entity in entities} | {entity.fields.get("item_id", "") for entity in entities}
    return mappings.external_ids(transaction, tenant, provider, ids - {""}, store)
