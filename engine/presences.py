"""Who a payload says is there, as the store compares it with who was there before.

Apart from `engine.snapshots`, which reads it from the payload: the store's writer loads no expressions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from engine.envelope import Envelope
from engine.keys import CommandKeys, digest
from engine.messages import Command


class Sighting(NamedTuple):
    """What a payload says of one rule's elements, before anything is resolved.

    `whole`: the payload is a snapshot and every element has a readable id. `scopes` maps (external store,
    external item where the snapshot is within one) to the external ids that are present there.
    """

    whole: bool
    scopes: Mapping[tuple[str, str], tuple[str, ...]]


class Member(NamedTuple):
    """An entity that a command tells of. `told` is a hash of what it tells, `retire` the data of its Retire."""

    external_id: str
    command: str
    told: str
    retire: bytes


class Presence(NamedTuple):
    """Who is there in one scope, for the store to compare with who was there before.

    `order` sorts as text the way the source's versions or times do, "" without any; `received` is RFC 3339.
    `guard` is the largest part of what is known, in percent, that may be retired unasked. `commands` are the
    ids of all commands of the rule and of those nested in it. `only_changed`: what was told before is not told
    again.
    """

    rule: str
    scope: str
    store: str
    whole: bool
    order: str
    received: str
    guard: int
    only_changed: bool
    present: tuple[str, ...]
    members: tuple[Member, ...]
    commands: tuple[str, ...]
    source: tuple[str, str, str, int, str, str]
    """(tenant, provider, feed, revision, delivery, claim)"""


def member_of(command: Command, external_id: str, subject: str) -> Member:
    """An entity as a command tells of it. When it came, or by which version, is no part of what is told."""
    data = command.data
    told = {name: value for name, value in data.items() if name not in ("source_time", "source_version")}
    retire = {name: data[name] for name in ("merchant_id", "store_id", subject) if name in data}
    hashed = hashlib.blake2b(orjson.dumps(told, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
    packed = orjson.dumps([command.kafka_key, command.entity, retire])
    return Member(external_id, command.id, hashed, packed)


def scope_key(feed: str, rule: str, within: str, merchant: str, scope: tuple[str, str]) -> str:
    """Names a scope of a tenant and provider."""
    return digest((feed, rule, within, merchant if within == "merchant" else "", *scope))


def retirement(presence: Presence, external_id: str, retire: bytes, time: str) -> Command:
    """The Retire command of an absent entity. Its key is the same whenever the same delivery retires it."""
    tenant, provider, feed, revision, delivery, claim = presence.source
    kafka_key, entity, data = orjson.loads(retire)
    packed = orjson.dumps({**data, "reason": "absent from the snapshot"})
    keys = CommandKeys(tenant, provider, claim).of_rule(f"{presence.rule}/retired")
    commandkey, id = keys.next(presence.store, (external_id,), packed)
    envelope = Envelope(tenant, provider, feed, revision, delivery, presence.received)
    event = envelope.event(envelope.head("Retire"), id, commandkey, entity, kafka_key, time or None, packed)
    return Command(id, commandkey, "Retire", presence.rule, entity, kafka_key, data, event, 0)
