"""What goes into the group writer and what comes out of it.

Named tuples: they are made for every webhook and cross the border between processes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from engine.messages import EntityVersion, IdempotencyKey, NewMapping
from engine.presences import Presence

State = Literal[
    "in_flight", "accepted", "partial", "duplicate", "stale", "ignored", "failed", "parked", "quarantined", "evicted"
]


class RawDelivery(NamedTuple):
    """A request as received, to be made durable before anything interprets it.

    `headers` is a JSON array of [name, value] pairs in Latin-1 text, secrets replaced by a placeholder;
    `sealed` holds what was replaced, encrypted (empty: nothing was). `body_sealed` says that `body` is
    itself ciphertext because authentication finds a secret in it. `quarantined` is the auth failure's
    code for a request that did not verify, "" otherwise. `place` says where the body stands if not in the row:
    see stores.payloads.
    """

    id: str
    received_at: datetime
    tenant: str
    provider: str
    connection: str
    feed: str
    method: str
    url: str
    headers: bytes
    sealed: bytes
    body: bytes
    body_sealed: bool
    peer: str
    spec_hash: str
    quarantined: str = ""
    place: str = ""


class Group(NamedTuple):
    """Commands of one delivery under one Kafka key, in order: what becomes a row of the outbox.

    `ids` is a JSON list in text, `data` their events as `stores.outbox.pack` packs them; `versions` has the
    version of each, and is None where none carries one.
    """

    kafka_key: str
    commands: int
    ids: str
    data: bytes
    versions: tuple[EntityVersion | None, ...] | None = None


class Conclusion(NamedTuple):
    """The outcome of one attempt at a delivery, to be committed with everything that stands for it.

    `key` None claims nothing. `entities` is a JSON list in text. `failures` are (class, code, JSON of the
    failure). `replay` marks an attempt that an operator asked for: it is not refused as a duplicate of its own
    earlier attempts.
    `claimant` is the delivery whose id went into the command keys ("": this one); for a duplicate, the
    delivery that did the work. `whole` is the delivery that this one is a part of, "" for none: its versions are
    those of one message. `accepted`: a person has said that its snapshots may retire more than their guard.
    """

    delivery: str
    attempt: int
    tenant: str
    provider: str
    connection: str
    feed: str
    event: str
    state: State
    at: datetime
    received_at: datetime
    key: IdempotencyKey | None
    groups: tuple[Group, ...]
    mappings: tuple[NewMapping, ...]
    failures: tuple[tuple[str, str, bytes], ...]
    results: bytes
    entities: str
    external_merchant: str
    external_store: str
    merchant_id: str
    store_id: str
    spec_hash: str
    replay: bool = False
    claimant: str = ""
    presences: tuple[Presence, ...] = ()
    accepted: bool = False
    whole: str = ""


class Committed(NamedTuple):
    """What the commit made of a conclusion.

    `state` is the final one: the conclusion's own, or duplicate (another delivery holds the key, which
    is `holder`), or stale (every command was older than what stands). `commands` were written to the
    outbox. `remapped` is true when a canonical id that the conclusion created had meanwhile been given
    another value, or its key another claimant: nothing was written, and the caller finishes again. `problem` is
    the failure, in JSON, that only the commit could find.
    """

    state: State
    commands: int
    holder: str = ""
    stale: int = 0
    remapped: bool = False
    problem: bytes = b""
