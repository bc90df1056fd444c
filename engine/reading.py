"""From a verified request to a reading: document, event, scope and idempotency key, before any rule runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from engine import keys
from engine.compiler import Source, compile_values
from engine.direct import direct_values
from engine.failures import Failure, Refusal
from engine.jsonata import EngineName, JsonataError, Program
from engine.messages import Connection, IdempotencyKey, Outcome, Request, Scope
from engine.model import Event, Expression, Feed, Idempotency, PayloadHash, ScopeOf
from engine.tuples import maker


class Reading(NamedTuple):
    """What a request says before its rules run. `event` is "" for a feed without events.

    `settled` is the outcome where the event alone decides it (`otherwise: ignore | park | reject`).
    """

    feed: str
    event: str
    document: Any
    scope: Scope
    key: IdempotencyKey | None
    request: Request
    connection: Connection
    settled: Outcome | None = None

    @property
    def bindings(self) -> dict[str, Any]:
        return bindings_of(self.request, self.connection)


as_reading = maker(Reading)
_as_scope, _as_key = maker(Scope), maker(IdempotencyKey)


def bindings_of(request: Request, connection: Connection) -> dict[str, Any]:
    """`$request` and `$settings`."""
    return {"request": request.bindings, "settings": dict(connection.settings)}


class ValuesProgram:
    """A few named expressions evaluated at once; failures name the guilty one."""

    def __init__(self, lets: Mapping[str, Expression], values: Mapping[str, Expression], engine: EngineName) -> None:
        self._source: Source = compile_values(lets, values)
        self._program = Program(self._source.text, engine)
        self._direct = direct_values(values) if engine == "jlens" else None

    def evaluate(self, document: Any, request: Request, connection: Connection) -> dict[str, Any]:
        """Raises Refusal (validation, `expression_failed`)."""
        if self._direct is not None and (direct := self._direct(document)) is not None:
            return direct
        bindings = bindings_of(request, connection) if self._program.binds else None
        try:
            return self._program.evaluate(document, bindings) or {}
        except JsonataError as error:
            raise Refusal(expression_failure(error, self._source)) from None


def expression_failure(error: JsonataError, source: Source) -> Failure:
    """The failure of an evaluation: a spent limit is processing's, all else the payload's."""
    found = source.locate(error.start)
    where = f" in `{found[0]}`" if found else ""
    if error.spent:
        return Failure(
            "processing",
            "limit_spent",
            f"The evaluation was stopped: {error.message}.",
            "Split the message, or make the expression cheaper.",
            place=str(found[1]) if found else "",
        )
    return Failure(
        "validation",
        "expression_failed",
        f"The expression does not work on this payload{where}: {error.message}.",
        "Correct the payload, or make the expression bear what was sent.",
        place=str(found[1]) if found else "",
        facts={"engine_code": error.code},
    )


_TEXT = {True: "true", False: "false"}


def as_text(value: Any) -> str | None:
    """A scalar as text (numbers are text already); None for what is undefined, null, empty or no scalar."""
    if value.__class__ is str:
        return value or None
    if value.__class__ is bool:
        return _TEXT[value]
    if value.__class__ in (int, float):
        return f"{value:g}" if value.__class__ is float and value == int(value) else str(value)
    return None


class Head:
    """Scope and key of a feed, or of one event of it."""

    def __init__(self, name: str, feed: Feed, event: Event | None, engine: EngineName) -> None:
        self.lets = {**feed.let, **(event.let if event else {})}
        self._feed = name
        scope = event.scope if event and event.scope else feed.scope
        chosen = event.idempotency if event and event.idempotency else feed.idempotency
        self._idempotency: Idempotency | None = None if chosen == "none" else chosen
        self._store = scope.store
        values = {**_scope_values(scope), **_key_values(self._idempotency)}
        self._parts = tuple(name for name in values if name.startswith("k"))
        self._program = ValuesProgram(self.lets, values, engine) if values else None

    def read(
        self, document: Any, request: Request, connection: Connection, provider: str
    ) -> tuple[Scope, IdempotencyKey | None]:
        """Raises Refusal: a failing expression, or a missing part of the key."""
        values = self._program.evaluate(document, request, connection) if self._program else {}
        scope = _as_scope((as_text(values.get("merchant")) or "", as_text(values.get("store")) or ""))
        if self._store is not None and not scope.store:
            raise Refusal(_scope_missing(self._store))
        if self._idempotency is None:
            return scope, None
        if self._idempotency.event_id is not None:
            return scope, self._event_id(self._idempotency.event_id, values, connection, provider)
        assert self._idempotency.payload_hash is not None
        return scope, self._payload_hash(self._idempotency.payload_hash, values, document, scope, connection, provider)

    def _event_id(
        self, parts: tuple[Expression, ...], values: Mapping[str, Any], connection: Connection, provider: str
    ) -> IdempotencyKey:
        found = [as_text(values.get(name)) for name in self._parts]
        if None in found:
            missing = parts[found.index(None)]
            raise Refusal(
                Failure(
                    "validation",
                    "key_part_missing",
                    f"The idempotency key needs `{missing.text}`, which this message does not have.",
                    "Send it, or choose another idempotency recipe in the provider file.",
                    place=str(missing.scalar.start),
                    path=missing.text,
                )
            )
        text = keys.event_id_text(connection.tenant, provider, self._feed, cast("list[str]", found))
        return _as_key((text, "event_id", None, None))

    def _payload_hash(
        self,
        recipe: PayloadHash,
        values: Mapping[str, Any],
        document: Any,
        scope: Scope,
        connection: Connection,
        provider: str,
    ) -> IdempotencyKey:
        payload = [values.get(name) for name in self._parts] if recipe.of is not None else document
        if recipe.except_:
            payload = keys.without(payload, recipe.except_)
        owner = (connection.tenant, provider, connection.id, self._feed, scope.merchant, scope.store)
        text = keys.payload_hash_text(owner, payload)
        if recipe.against == "last":
            return IdempotencyKey(text, "payload_hash_last", scope_key=keys.scope_text(owner))
        return IdempotencyKey(text, "payload_hash", window=recipe.window)


def _scope_missing(store: Expression) -> Failure:
    return Failure(
        "validation",
        "scope_missing",
        f"The message does not say which store it is about: `{store.text}` gives nothing.",
        "Send it, or leave the store out of the feed's scope where messages are the merchant's.",
        place=str(store.scalar.start),
        path=store.text,
        facts={"kind": "store"},
    )


def _scope_values(scope: ScopeOf) -> dict[str, Expression]:
    return {name: e for name, e in (("merchant", scope.merchant), ("store", scope.store)) if e is not None}


def _key_values(idempotency: Idempotency | None) -> dict[str, Expression]:
    if idempotency is None:
        return {}
    parts = idempotency.event_id or (idempotency.payload_hash.of if idempotency.payload_hash else None) or ()
    return {f"k{n}": part for n, part in enumerate(parts)}
