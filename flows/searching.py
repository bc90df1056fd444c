"""Answers searches: the index says which entities, the views say what these are now."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from sqlalchemy import Connection, select

from engine.search_terms import Question, asked
from engine.views import Entity, EntityKey
from flows.consume.reindex import Where, open_index
from flows.journal import Journal
from flows.views import TenantNeeded, described
from stores.search.index import DEEPEST, Hit, Index
from stores.tables import connections
from stores.view_sources import Views

SHOWN = ("name", "sku", "brand", "price", "list_price", "item_id")


class NothingAsked(ValueError):
    """The question has no words."""


class Searching:
    """The searches of one process."""

    def __init__(self, where: Where, journal: Journal) -> None:
        self._where, self._journal = where, journal
        self._index: Index | None = None
        self._turn = threading.Lock()

    async def search(self, question: Question) -> list[Hit]:
        """One more than `limit` where there are more. Raises SearchAway."""
        return await asyncio.to_thread(self._search, question)

    def _search(self, question: Question) -> list[Hit]:
        with self._turn:
            self._index = self._index or open_index(self._where, self._journal.connected)
            return self._index.search(question)

    def close(self) -> None:
        if self._index is not None:
            self._index.close()


def question_of(
    connection: Connection, text: str, tenant: str, store: str, kind: str, limit: int, offset: int
) -> Question:
    """The question, one hit further than it is shown. Raises NothingAsked and TenantNeeded."""
    if not asked(text):
        raise NothingAsked("no word is in it")
    if not tenant:
        tenants = sorted(connection.scalars(select(connections.c.tenant).distinct()))
        if len(tenants) > 1:
            raise TenantNeeded(tenants)
        tenant = tenants[0] if tenants else ""
    return Question(text, tenant, store, kind, limit + 1, offset)


def shown(views: Views, question: Question, hits: list[Hit]) -> dict[str, Any]:
    """What was found as readers see it; `next` is what the next page comes after, null on the last."""
    page = hits[: question.limit - 1]
    keys = {hit.key: EntityKey("catalogue", *hit.key) for hit in page}
    told = views.load(keys.values())
    sold = views.load([key._replace(view="availability") for key in keys.values()])
    more = len(hits) >= question.limit and question.offset + len(page) < DEEPEST
    return {
        "tenant": question.tenant,
        "items": [
            _shown(hit, told[keys[hit.key]], sold.get(keys[hit.key]._replace(view="availability")))
            for hit in page
            if keys[hit.key] in told
        ],
        "next": str(question.offset + len(page)) if more else None,
    }


def _shown(hit: Hit, told: Entity, sold: Entity | None) -> dict[str, Any]:
    found = described(told, {(told.key.kind, told.key.id): sold} if sold else {})
    owner = {"store_id": told.store_id} if told.store_id else {}
    seen = {name: found[name] for name in (*SHOWN, "availability") if name in found}
    return {"kind": hit.key.kind, "id": hit.key.id, "merchant_id": told.merchant_id, **owner, **seen,
            "score": round(hit.score, 3)}  # fmt: skip
