"""The reads of a webhook on PostgreSQL, from an event loop: no thread for each, and one query for many.

What is asked while a query runs waits and is asked together by the next one. Each kind of question has a
connection of its own, opened when it is first used and opened anew when it is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy.engine import URL

from engine.messages import IdempotencyKey, Ref
from stores import arrays, mappings
from stores import tables as t
from stores.claims import TAKEN, Standing
from stores.database import postgres_options

Question = tuple[Any, ...]
Answers = dict[Question, Any]

MOST: Final = 4000
"""Questions asked by one query."""
_SETTINGS = (
    # Every query looks up single rows by their key. A plan that was made when the table was small must do no other.
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
)
_KEYS = arrays.read_many(
    t.keys, ["tenant", "provider", "key_text"], ["tenant", "provider", "key_text", "delivery", "state", "until"]
)
_LAST = arrays.read_many(
    t.last_accepted,
    ["tenant", "provider", "scope_key"],
    ["tenant", "provider", "scope_key", "key_text", "delivery", "state"],
)
_MAPPINGS = arrays.read_many(
    t.mappings,
    ["tenant", "provider", "kind", "within", "external_id"],
    ["tenant", "provider", "kind", "within", "external_id", "canonical_id"],
    't."valid_to" IS NULL',
)
_COUNTERS = arrays.read_many(t.counters, ["name"], ["name", "value"])


class Link:
    """A connection in autocommit mode that is opened when it is used."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._options = postgres_options(url)
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        # Of those that find the connection lost one replaces it, and nobody closes what another has just opened.
        self._turn = asyncio.Lock()

    async def rows(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Raises what psycopg raises; a connection that the server has closed meanwhile is replaced once."""
        async with self._turn:
            was_open = self._connection is not None
            try:
                return await self._ask(sql, parameters)
            except psycopg.OperationalError:
                await self.close()
                if not was_open:
                    raise
            return await self._ask(sql, parameters)

    async def _ask(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **self._options)
            for setting in _SETTINGS:
                await self._connection.execute(setting)
        cursor = await self._connection.execute(sql, parameters)
        return await cursor.fetchall()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class Gathered:
    """Questions of one kind. `ask_all` answers those of a list that have an answer."""

    def __init__(self, ask_all: Callable[[Sequence[Question]], Awaitable[Answers]]) -> None:
        self._ask_all = ask_all
        self._waiting: dict[Question, asyncio.Future[Any]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, questions: Iterable[Question]) -> Answers:
        """The answers by question. Raises what `ask_all` raises."""
        asked = {question: self._asked(question) for question in questions}
        await asyncio.gather(*asked.values())
        return {question: answer for question, future in asked.items() if (answer := future.result()) is not None}

    def _asked(self, question: Question) -> asyncio.Future[Any]:
        if (future := self._waiting.get(question)) is None:
            loop = asyncio.get_running_loop()
            future = self._waiting[question] = loop.create_future()
            if self._asking is None:
                self._asking = loop.create_task(self._work())
        # Whoever hangs up must not cancel what others wait for too.
        return asyncio.shield(future)

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = dict(list(self._waiting.items())[:MOST])
                for question in batch:
                    del self._waiting[question]
                await self._answer(batch)
        finally:
            self._asking = None

    async def _answer(self, batch: dict[Question, asyncio.Future[Any]]) -> None:
        try:
            found = await self._ask_all(list(batch))
        except BaseException as error:
            for future in batch.values():
                if not future.done():
                    future.set_exception(error)
                    # Each is told to whoever still waits; nobody may.
                    future.exception()
            if not isinstance(error, Exception):
                raise
            return
        for question, future in batch.items():
            if not future.done():
                future.set_result(found.get(question))

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)


class GroupReads:
    """For one event loop. Every method raises what psycopg raises."""

    def __init__(self, url: URL) -> None:
        about_mappings = Link(url)
        self._links = {_KEYS: Link(url), _LAST: Link(url), _MAPPINGS: about_mappings, _COUNTERS: about_mappings}
        self._kinds = {
            _KEYS: Gathered(lambda asked: self._answers(_KEYS, asked)),
            _LAST: Gathered(lambda asked: self._answers(_LAST, asked)),
            _MAPPINGS: Gathered(lambda asked: self._answers(_MAPPINGS, asked)),
            _COUNTERS: Gathered(lambda asked: self._answers(_COUNTERS, asked)),
        }

    async def _answers(self, sql: str, asked: Sequence[Question]) -> Answers:
        width = len(asked[0])
        rows = await self._links[sql].rows(sql, arrays.columns(asked))
        return {row[:width]: row[width:] for row in rows}

    async def standing(self, tenant: str, provider: str, key: IdempotencyKey, at: int) -> Standing | None:
        """Who holds a key at a time (microseconds since 1970); None when it is free."""
        if key.strategy == "payload_hash_last":
            question = (tenant, provider, key.scope_key)
            row = (await self._kinds[_LAST].ask([question])).get(question)
            return Standing(row[1], row[2] == "done") if row and row[0] == key.text else None
        question = (tenant, provider, key.text)
        row = (await self._kinds[_KEYS].ask([question])).get(question)
        if row is None or (row[2] is not None and row[2] <= at):
            return None
        return Standing(row[0], row[1] in TAKEN)

    async def resolve(self, tenant: str, provider: str, refs: Iterable[Ref]) -> dict[Ref, str]:
        """The canonical ids of those refs that are mapped: the store's own mapping, else the one for all stores."""
        wanted = list(refs)
        own = {ref: (tenant, provider, ref.kind, ref.within, ref.external_id) for ref in wanted}
        shared = {ref: (tenant, provider, ref.kind, "", ref.external_id) for ref in wanted}
        found = await self._kinds[_MAPPINGS].ask({*own.values(), *shared.values()})
        resolved = {}
        for ref in wanted:
            row = found.get(own[ref]) or found.get(shared[ref])
            if row is not None:
                resolved[ref] = row[0]
        return resolved

    async def mapping_generation(self) -> int:
        question = (mappings.CHANGES,)
        row = (await self._kinds[_COUNTERS].ask([question])).get(question)
        return row[0] if row else 0

    async def close(self) -> None:
        for kind in self._kinds.values():
            await kind.close()
        for link in self._links.values():
            await link.close()
