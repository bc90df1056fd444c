"""Entries of the group writer as bytes, on their way to another process and back.

Marshal takes plain tuples of text, bytes and integers at a fraction of what pickling records costs, and both
ends are the same interpreter. Jobs and their answers, which are rare, are pickled.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from engine.messages import EntityVersion, IdempotencyKey, NewMapping, Ref
from stores.batches import Flight
from stores.records import Committed, Conclusion, Group, RawDelivery
from stores.tables import micros, moment

FLIGHT, CONCLUSION, JOB = range(3)


class Failed(NamedTuple):
    """Why an entry was not written. `away`: the database is the trouble, not the entry."""

    away: bool
    error: str


Packed = tuple[int, Any]
"""(kind, plain value)"""


def pack(what: Flight | Conclusion | Callable[..., Any]) -> Packed:
    """An entry as a plain value."""
    if isinstance(what, Flight):
        raw, owner, until = what
        return FLIGHT, (micros(raw.received_at), raw[:1] + raw[2:], owner, until)
    if isinstance(what, Conclusion):
        return CONCLUSION, _pack_conclusion(what)
    return JOB, pickle.dumps(what, pickle.HIGHEST_PROTOCOL)


def unpack(packed: Packed) -> Flight | Conclusion | Callable[..., Any]:
    kind, value = packed
    if kind == FLIGHT:
        at, raw, owner, until = value
        return Flight(RawDelivery(raw[0], moment(at), *raw[1:]), owner, until)
    if kind == CONCLUSION:
        return _unpack_conclusion(value)
    job: Callable[..., Any] = pickle.loads(value)  # noqa: S301 the other end is this program
    return job


def _pack_conclusion(c: Conclusion) -> tuple[Any, ...]:
    return (
        micros(c.at),
        micros(c.received_at),
        None if c.key is None else tuple(c.key),
        [(*g[:4], None if g.versions is None else [v and tuple(v) for v in g.versions]) for g in c.groups],
        [(*new.ref, new.canonical_id) for new in c.mappings],
        c.failures,
        (c.delivery, c.attempt, c.tenant, c.provider, c.connection, c.feed, c.event, c.state, c.results, c.entities,
         c.external_merchant, c.external_store, c.merchant_id, c.store_id, c.spec_hash, c.replay, c.claimant),
        pickle.dumps(c.presences, pickle.HIGHEST_PROTOCOL) if c.presences else b"",
        c.accepted,
    )  # fmt: skip


def _unpack_conclusion(value: tuple[Any, ...]) -> Conclusion:
    at, received_at, key, groups, mappings, failures, rest, presences, accepted = value
    delivery, attempt, tenant, provider, connection, feed, event, state, results, entities, *last = rest
    made = Conclusion(
        delivery, attempt, tenant, provider, connection, feed, event, state, moment(at), moment(received_at),
        None if key is None else IdempotencyKey(*key),
        tuple([Group(k, n, ids, data, None if v is None else _versions(v)) for k, n, ids, data, v in groups]),
        tuple([NewMapping(Ref(kind, within, external), canonical) for kind, within, external, canonical in mappings]),
        failures, results, entities, *last,
    )  # fmt: skip
    if not presences:
        return made
    # The other end is this program.
    return made._replace(presences=pickle.loads(presences), accepted=accepted)  # noqa: S301


def _versions(packed: Iterable[tuple[str, str, str] | None]) -> tuple[EntityVersion | None, ...]:
    return tuple([None if one is None else EntityVersion(*one) for one in packed])


def pack_answer(result: Any, failed: Failed | None) -> Packed | tuple[bool, str]:
    """What came of an entry. A `Failed` is (away, error); else (kind, plain value)."""
    if failed is not None:
        return bool(failed.away), failed.error
    if result is None:
        return FLIGHT, None
    if isinstance(result, Committed):
        return CONCLUSION, tuple(result)
    return JOB, pickle.dumps(result, pickle.HIGHEST_PROTOCOL)


def unpack_answer(packed: Packed | tuple[bool, str]) -> Any:
    """The result, or a `Failed`."""
    kind: Any = packed[0]
    value: Any = packed[1]
    if kind.__class__ is bool:
        return Failed(kind, value)
    if kind == FLIGHT:
        return None
    if kind == CONCLUSION:
        return Committed(*value)
    return pickle.loads(value)  # noqa: S301 the other end is this program


def dumps(numbered: Iterable[tuple[int, Any]]) -> bytes:
    return marshal.dumps(list(numbered))


def loads(data: bytes | memoryview) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = marshal.loads(data)  # noqa: S302 the other end is this program
    return found
