"""Idempotency keys, command keys and ids.

Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ, and every key begins with its tenant and
provider, so no tenant can claim another's.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson

_SIZE = 16
_PREFIXES = {
    "merchant": "mer", "store": "sto", "item": "itm", "variant": "var",
    "category": "cat", "addon_group": "agr", "addon": "add", "order": "ord",
}  # fmt: skip


def _prefixed(parts: Iterable[str]) -> bytes:
    """Each part behind its length in characters, as in `2:ab1:c`."""
    return "".join([f"{len(part)}:{part}" for part in parts]).encode("utf-8", "surrogatepass")


@lru_cache(1024)
def _owned(*owner: str) -> Any:
    """A SHA-256 that has taken in the owner; to be copied."""
    return hashlib.sha256(_prefixed(owner))


@lru_cache(1024)
def _keyed(tenant: str, provider: str) -> Any:
    """A BLAKE2b that has taken in the owner of commands; to be copied."""
    return hashlib.blake2b(_prefixed((tenant, provider)), digest_size=_SIZE)


def digest(parts: Iterable[str]) -> str:
    """32 hex digits of SHA-256 over the parts, each with its length before it."""
    return hashlib.sha256(_prefixed(parts)).hexdigest()[: 2 * _SIZE]


def event_id_text(tenant: str, provider: str, feed: str, parts: Sequence[str]) -> str:
    """The key of a message that has an id of its own."""
    hashed = _owned(tenant, provider, feed).copy()
    hashed.update(_prefixed(parts))
    return f"event_id:{hashed.hexdigest()[: 2 * _SIZE]}"


def payload_hash_text(owner: Sequence[str], payload: Any) -> str:
    """The key of a message without id: its payload, whatever the order of its objects' keys.

    `owner` is (tenant, provider, connection, feed, external merchant, external store).
    """
    canonical = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    hashed = hashlib.sha256(_prefixed(owner))
    hashed.update(len(canonical).to_bytes(8, "big") + canonical)
    return f"payload_hash:{hashed.hexdigest()[: 2 * _SIZE]}"


def scope_text(owner: Sequence[str]) -> str:
    """What a payload hash `against: last` is compared within."""
    return digest(owner)


def without(document: Any, paths: Iterable[str]) -> Any:
    """A copy of a document without the dotted paths; lists are passed through, `*` stands for any key."""
    return _without(document, [path.split(".") for path in paths])


def _without(value: Any, paths: list[list[str]]) -> Any:
    if not paths:
        return value
    if isinstance(value, list):
        return [_without(inner, paths) for inner in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, inner in value.items():
        rest = [path[1:] for path in paths if path[0] in (key, "*")]
        if [] not in rest:
            kept[key] = _without(inner, rest)
    return kept


Seen = Callable[[str], dict[str, int]]
"""How many commands of a rule each entity has had: {what names the entity: count}, which is then kept up to date."""


def _none_seen(_: str) -> dict[str, int]:
    return {}


class CommandKeys:
    """Keys and ids of one delivery's commands. `claim` is its idempotency key, made unique where needed; `seen`
    tells of commands of the same claim that were made before, of other parts of one message."""

    def __init__(self, tenant: str, provider: str, claim: str, seen: Seen = _none_seen) -> None:
        self._base = _keyed(tenant, provider).copy()
        self._base.update(_prefixed((claim,)))
        self._seen = seen

    def of_rule(self, rule: str) -> RuleKeys:
        hashed = self._base.copy()
        hashed.update(_rule_name(rule))
        return RuleKeys(hashed, self._seen(rule))


@lru_cache(4096)
def _rule_name(rule: str) -> bytes:
    return _prefixed((rule,))


class RuleKeys:
    """Keys and ids of the commands of one rule: what they share is hashed once."""

    def __init__(self, hashed: hashlib.blake2b, seen: dict[str, int]) -> None:
        self._hashed = hashed
        self._seen = seen

    def pass_over(self, store: str, ids: Sequence[str]) -> None:
        """Counts an element that gives no command: once it is mended, the others keep their keys."""
        named = _named(store, ids)
        self._seen[named] = self._seen.get(named, 0) + 1

    def next(self, store: str, ids: Sequence[str], data: bytes) -> tuple[str, str]:
        """(commandkey, id) of the next command for an entity, 32 hex digits each.

        `store` and `ids` are external ids. The key is the same for every attempt at the command, the id for
        the same content under that key. The second command for one entity has another key than the first.
        """
        named = _named(store, ids)
        seen = self._seen
        occurrence = seen.get(named, 0)
        seen[named] = occurrence + 1
        hashed = self._hashed.copy()
        hashed.update(f"{named}#{occurrence}".encode("utf-8", "surrogatepass"))
        key = hashed.digest()
        return key.hex(), hashlib.blake2b(data, digest_size=_SIZE, key=key).hexdigest()


def _named(store: str, ids: Sequence[str]) -> str:
    if len(ids) == 1:
        (one,) = ids
        return f"{len(store)}:{store}{len(one)}:{one}"
    named = f"{len(store)}:{store}"
    for one in ids:
        named += f"{len(one)}:{one}"
    return named


def canonical_id(tenant: str, provider: str, kind: str, within: str, external_id: str) -> str:
    """The canonical id made of a first mention: a prefix by kind and 26 characters of base32."""
    hashed = hashlib.sha256(_prefixed((tenant, provider, kind, within, external_id))).digest()[:_SIZE]
    return f"{_PREFIXES[kind]}_{base64.b32encode(hashed).decode().rstrip('=').lower()}"
