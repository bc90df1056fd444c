"""Keeps the search index: what the catalogue's events tell of becomes documents of words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from bus.messages import Bus, Stored
from bus.topics import CATALOG_EVENTS
from engine.search_terms import KINDS, Doc, DocKey, document
from stores import views
from stores.search.index import Index
from stores.views import Advance

GROUP = "tiffin-search"
Transaction = Callable[[], AbstractContextManager[Connection]]


class Where(NamedTuple):
    """Where the index is: at `url`, else in PostgreSQL, or in a file of its own where the database is SQLite."""

    url: str
    embedded: bool
    folder: Path


def open_index(where: Where, transaction: Transaction, *, write: bool = False) -> Index:
    """The index. `transaction` begins one in the database."""
    # Imported here because a set-up has one of them.
    if where.url:
        from stores.search.opensearch_index import OpenSearchIndex

        return OpenSearchIndex(where.url, transaction)
    if where.embedded:
        from stores.search.sqlite_index import SqliteIndex

        return SqliteIndex(where.folder, write=write)
    from stores.search.postgres_index import PostgresIndex

    return PostgresIndex(transaction)


class Reindexer:
    """Takes events into the index. It is made from the views where it does not stand yet."""

    def __init__(self, index: Index, open_bus: Callable[[], Bus], reading: Transaction) -> None:
        self._index, self._open_bus, self._reading = index, open_bus, reading

    def prepare(self) -> None:
        if self._index.offsets() is None:
            rebuild(self._index, self._open_bus, self._reading, only_new=True)

    def offsets(self) -> Mapping[int, int]:
        return self._index.offsets() or {}

    def take(self, messages: Sequence[Stored], moves: Sequence[Advance]) -> None:
        docs, gone = changes_of(messages)
        self._index.take(docs, gone, moves)

    def close(self) -> None:
        self._index.close()


def changes_of(messages: Sequence[Stored]) -> tuple[list[Doc], list[DocKey]]:
    """The documents to put in and those to take out; of several events of an entity the last one counts."""
    found: dict[DocKey, Doc | None] = {}
    for message in messages:
        try:
            event = orjson.loads(message.value)
            data, name = event["data"], event["type"].split(".")[1]
            key = DocKey(event["tenant"], data.get("store_id") or data["merchant_id"], data["kind"], data["id"])
            if key.kind not in KINDS or not all(isinstance(part, str) for part in key):
                continue
            if name == "Retired":
                found[key] = None
            elif "state" in data:
                found[key] = document(key, data["state"])
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
            continue  # no event of ours: nothing is found by it
    return [doc for doc in found.values() if doc], [key for key, doc in found.items() if doc is None]


def rebuild(
    index: Index, open_bus: Callable[[], Bus], reading: Transaction, *, only_new: bool = False, told: Told | None = None
) -> int | None:
    """Makes the index anew from the views; returns the number of documents.

    What changes meanwhile is told by events from behind the offsets that are noted first.
    """
    bus = open_bus()
    try:
        offsets = {n: bus.end_offset(CATALOG_EVENTS, n) for n in range(bus.partitions(CATALOG_EVENTS))}
    finally:
        bus.close()
    with reading() as connection:
        docs = _documents(connection)
        return index.rebuild(docs if told is None else told(docs), offsets, only_new=only_new)


Told = Callable[[Iterator[Doc]], Iterator[Doc]]


def _documents(connection: Connection) -> Iterator[Doc]:
    for entity in views.catalogue(connection, KINDS):
        key = entity.key
        yield document(DocKey(key.tenant, key.owner, key.kind, key.id), entity.shown())
