"""Which fetches are wanted: by commands on the bus whose rule says `fetch`, and by the clock."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from bus.messages import Stored
from engine.fetching import COMMAND, FetchRule, fetch_rules
from engine.messages import Connection
from flows.connections import Directory
from flows.journal import Journal
from flows.providers import LoadedProvider
from stores import fetch_jobs
from stores.fetch_jobs import NewFetch

_TOLD = ("merchant_id", "store_id", "id", "href")


class Rules:
    """The rules that fetch, by provider, feed and kind, as the provider files say now."""

    def __init__(self, providers: Mapping[str, LoadedProvider]) -> None:
        self._providers = providers
        self._known: dict[str, tuple[str, dict[tuple[str, str], FetchRule]]] = {}

    def of(self, provider: str) -> Mapping[tuple[str, str], FetchRule]:
        """The rules of a provider, by feed and kind."""
        loaded = self._providers.get(provider)
        if loaded is None:
            return {}
        known = self._known.get(provider)
        if known is None or known[0] != loaded.spec_hash:
            rules = {(rule.feed, rule.kind): rule for rule in fetch_rules(loaded.interpreter.provider)}
            known = self._known[provider] = (loaded.spec_hash, rules)
        return known[1]

    def get(self, provider: str, feed: str, kind: str) -> FetchRule | None:
        return self.of(provider).get((feed, kind))

    def fetching(self) -> list[str]:
        """The providers that have any."""
        return [name for name in list(self._providers) if self.of(name)]


class _Read(NamedTuple):
    """A command that a rule serves."""

    id: str
    tenant: str
    provider: str
    delivery: str
    data: dict[str, Any]
    rule: FetchRule


class Wanted:
    """Makes jobs. The store adds those that are not there yet."""

    def __init__(self, rules: Rules, directory: Directory, journal: Journal, clock: Callable[[], datetime]) -> None:
        self._rules, self._directory, self._journal, self._clock = rules, directory, journal, clock

    async def commands(self, messages: Sequence[Stored]) -> list[NewFetch]:
        """The jobs of the commands among these that a rule serves."""
        found = [read for message in messages if (read := self._served(message)) is not None]
        if not found:
            return []
        ids = [read.delivery for read in found]
        owners = await self._journal.read(lambda transaction: fetch_jobs.connections_of(transaction, ids))
        now = self._clock()
        return [_job(read, owners[read.delivery], now) for read in found if owners.get(read.delivery)]

    def _served(self, message: Stored) -> _Read | None:
        if b"tiffin." + COMMAND.encode() not in message.value:
            return None
        try:
            event = orjson.loads(message.value)
            if event["type"] != f"tiffin.{COMMAND}.v1":
                return None
            _, _, _, _, provider, _, feed = event["source"].split("/")
            rule = self._rules.get(provider, feed, event["data"]["kind"])
            read = (event["id"], event["tenant"], provider, event["deliveryid"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            return None
        named = all(isinstance(text, str) for text in read)
        return _Read(*read, event["data"], rule) if rule is not None and named else None

    async def polls(self) -> list[NewFetch]:
        """A job for each connection and rule that polls."""
        polling = [
            (provider, rule)
            for provider in self._rules.fetching()
            for rule in self._rules.of(provider).values()
            if rule.fetch.every
        ]
        if not polling:
            return []
        current, now = await self._directory.current(), self._clock()
        return [
            NewFetch(
                id=secrets.token_hex(16),
                tenant=connection.tenant,
                provider=str(provider),
                connection=connection.id,
                feed=rule.feed,
                kind=rule.kind,
                what=what_of(connection.tenant, connection.id, rule, ["every"]),
                data=orjson.dumps({"kind": rule.kind}).decode(),
                cause="",
                every=rule.fetch.every or 0,
                due=now,
            )
            for provider, rule in polling
            for connection in current.by_provider.get(provider, ())
        ]


def _job(read: _Read, connection: str, now: datetime) -> NewFetch:
    rule = read.rule
    return NewFetch(
        id=read.id,
        tenant=read.tenant,
        provider=read.provider,
        connection=connection,
        feed=rule.feed,
        kind=rule.kind,
        what=what_of(read.tenant, connection, rule, [read.data.get(name) for name in _TOLD]),
        data=orjson.dumps(read.data).decode(),
        cause=read.delivery,
        every=0,
        due=now,
    )


def by_hand(
    id: str, connection: Connection, rule: FetchRule, what: str | None, *, full: bool, now: datetime
) -> NewFetch:
    """A job that an operator wants: for everything, or for what has changed since the last complete fetch."""
    data = {"merchant_id": connection.merchant, "kind": rule.kind, "id": what}
    told = [data.get(name) for name in _TOLD]
    return NewFetch(
        id=id,
        tenant=connection.tenant,
        provider=connection.provider,
        connection=connection.id,
        feed=rule.feed,
        kind=rule.kind,
        what=what_of(connection.tenant, connection.id, rule, told),
        # "" reads as none: the time of the last complete fetch is not put in.
        data=orjson.dumps({**data, **({"since": ""} if full else {})}).decode(),
        cause="",
        every=0,
        due=now,
    )


def what_of(tenant: str, connection: str, rule: FetchRule, told: Sequence[Any]) -> str:
    """Names the thing that is fetched, so that it is not fetched twice at once."""
    return hashlib.sha256(orjson.dumps([tenant, connection, rule.feed, rule.kind, *told])).hexdigest()
