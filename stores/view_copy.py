"""The copy of the views in Redis: hashes whose fields are set by version, so that no older write replaces a newer.

    head            generation, epoch, and "p<n>": how far into partition n of the commands the copy is
    t:<owner>       the tenants that know a store or merchant
    o:<view>…       the entities of an owner in one view, by kind and id
    i:<id>          the entities of an id, in every view and for every owner

A value is "<version>:<JSON>". The field "" says that a hash is whole; one that is not yet whole is kept for a minute,
so that whoever fills it from SQL meanwhile does not undo what was just written. A hash that is whole goes after a day
without a write, and is filled again by who asks for it.

Every key but the head is of a generation. A new one begins where writes may be missing: then nothing of the old ones
is read any more. The client is imported when Redis is configured: a set-up without it need not carry it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import orjson

from engine.views import Entity, EntityKey
from stores.views import Advance

SECONDS: Final = 0.5
"""How long Redis may take to answer."""
AT_ONCE: Final = 200
"""Values in one call: Redis does nothing else meanwhile."""
MOST: Final = 20_000
"""A hash with more than so many fields is not read at once: those of such owners are read from SQL."""
WHOLE_MS: Final = 86_400_000
PART_MS: Final = 60_000
WHOLE, LARGE = "whole", "large"

_PUT: Final = """
local generation, epoch, mark, moves = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local head = redis.call('HMGET', KEYS[1], 'generation', 'epoch')
if head[1] ~= generation or head[2] ~= epoch then return 'moved' end
local at = 5
for n = 1, moves do
  local stands = tonumber(redis.call('HGET', KEYS[1], 'p' .. ARGV[at]) or '0')
  if tonumber(ARGV[at + 1]) > stands then return 'gap' end
  at = at + 3
end
for n = at, #ARGV, 4 do
  local key, field, version = KEYS[tonumber(ARGV[n])], ARGV[n + 1], tonumber(ARGV[n + 2])
  local old = redis.call('HGET', key, field)
  if not old or tonumber(string.match(old, '^%d+')) < version then
    redis.call('HSET', key, field, ARGV[n + 2] .. ':' .. ARGV[n + 3])
  end
end
for n = 2, #KEYS do
  if mark ~= '' then redis.call('HSET', KEYS[n], '', mark) end
  local whole = redis.call('HEXISTS', KEYS[n], '') == 1
  redis.call('PEXPIRE', KEYS[n], whole and %d or %d)
end
at = 5
for n = 1, moves do
  local stands = tonumber(redis.call('HGET', KEYS[1], 'p' .. ARGV[at]) or '0')
  if tonumber(ARGV[at + 2]) > stands then redis.call('HSET', KEYS[1], 'p' .. ARGV[at], ARGV[at + 2]) end
  at = at + 3
end
return 'ok'
""".replace("%d or %d", f"{WHOLE_MS} or {PART_MS}")

_BEGIN: Final = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV))
return 'ok'
"""

Outcome = Literal["ok", "moved", "gap"]


class CopyAway(Exception):
    """Redis does not answer, or not in time."""


class TooLarge(Exception):
    """The owner has more than is read at once: it is read from SQL."""


class Head(NamedTuple):
    """What the copy says of itself. `positions` by partition."""

    generation: str
    epoch: int
    positions: Mapping[int, int]


class Value(NamedTuple):
    """One field of a hash."""

    hash: str
    field: str
    version: int
    data: bytes


def owner_hash(view: str, tenant: str, owner: str) -> str:
    return "\0".join((f"o:{view}", tenant, owner))


def id_hash(id: str) -> str:
    return f"i:{id}"


def tenants_hash(owner: str) -> str:
    return f"t:{owner}"


def values_of(entity: Entity) -> Iterator[Value]:
    """Everything that the copy holds of an entity."""
    key, data = entity.key, packed(entity)
    yield Value(owner_hash(key.view, key.tenant, key.owner), f"{key.kind}\0{key.id}", entity.version, data)
    if key.kind in ("addon", "item", "variant"):
        yield Value(id_hash(key.id), "\0".join((key.view, key.tenant, key.owner, key.kind)), entity.version, data)
    yield Value(tenants_hash(key.owner), key.tenant, 0, b"")


def packed(entity: Entity) -> bytes:
    """What readers see of an entity; what the projection alone needs stays in SQL."""
    fields = {name: value for name, value in entity.fields.items() if name != "stock"}
    return orjson.dumps([entity.merchant_id, entity.store_id, fields, entity.seen, entity.changed_at])


def unpacked(key: EntityKey, value: bytes) -> Entity:
    """The entity of a value as it stands in a hash."""
    version, _, data = value.partition(b":")
    merchant, store, fields, seen, changed_at = orjson.loads(data)
    return Entity(key, merchant, store, fields, {}, {}, seen, changed_at, int(version))


class ViewCopy:
    """The copy of one installation, named by its `namespace`. May be used by several threads."""

    def __init__(self, url: str, namespace: str) -> None:
        """Nothing is connected before the first call. Raises ValueError: the URL is none."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._redis: Any = redis.Redis.from_url(
            url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0)
        )
        # One slot of a cluster for all, since one script touches several.
        self._prefix = f"{{tiffin-views:{namespace}}}:"
        self._put, self._begin = self._redis.register_script(_PUT), self._redis.register_script(_BEGIN)

    def head(self) -> Head | None:
        """What the copy says of itself; None where there is none. Raises CopyAway, as all calls do."""
        found = _asked(lambda: self._redis.hgetall(f"{self._prefix}head"))
        if not found:
            return None
        positions = {int(name[1:]): int(value) for name, value in found.items() if name.startswith(b"p")}
        return Head(found[b"generation"].decode(), int(found[b"epoch"]), positions)

    def begin(self, epoch: int, positions: Mapping[int, int]) -> Head:
        """Begins a new generation, which is right from these positions on."""
        head = Head(secrets.token_hex(6), epoch, dict(positions))
        told: list[Any] = ["generation", head.generation, "epoch", epoch]
        for partition, position in sorted(positions.items()):
            told += [f"p{partition}", position]
        _asked(lambda: self._begin(keys=[f"{self._prefix}head"], args=told))
        return head

    def put(self, head: Head, values: Sequence[Value], moves: Sequence[Advance] = ()) -> Outcome:
        """Writes what is newer than what stands, then moves the positions.

        `moved`: the copy is of another generation; `gap`: what was written before these moves is not in it.
        """
        for start in range(0, len(values) or 1, AT_ONCE):
            last = start + AT_ONCE >= len(values)
            told = self._write(head, values[start : start + AT_ONCE], moves if last else ())
            if told != "ok":
                return told
        return "ok"

    def fill(self, head: Head, name: str, values: Sequence[Value]) -> Outcome:
        """Makes a hash whole by what SQL has of it; more than MOST values are left there."""
        if len(values) > MOST:
            return self._write(head, (), hashes=[name], mark=LARGE)
        told = self.put(head, values)
        return self._write(head, (), hashes=[name], mark=WHOLE) if told == "ok" else told

    def _write(
        self,
        head: Head,
        values: Sequence[Value],
        moves: Sequence[Advance] = (),
        hashes: Sequence[str] = (),
        mark: str = "",
    ) -> Outcome:
        names = list(dict.fromkeys((*hashes, *(value.hash for value in values))))
        index = {name: number for number, name in enumerate(names, 2)}
        told: list[Any] = [head.generation, head.epoch, mark, len(moves)]
        for move in moves:
            told += move
        for value in values:
            told += (index[value.hash], value.field, value.version, value.data)
        keys = [f"{self._prefix}head", *(self._key(head, name) for name in names)]
        outcome: Outcome = _asked(lambda: self._put(keys=keys, args=told)).decode()
        return outcome

    def whole(self, head: Head, name: str) -> dict[str, bytes] | None:
        """Every field of a hash; None where it is not whole. Raises TooLarge."""
        key = self._key(head, name)
        mark, size = _asked(lambda: self._redis.pipeline(transaction=False).hget(key, "").hlen(key).execute())
        if mark is None:
            return None
        if mark == LARGE.encode() or size > MOST:
            raise TooLarge
        found = _asked(lambda: self._redis.hgetall(key))
        return {field.decode(): value for field, value in found.items() if field} if b"" in found else None

    def some(self, head: Head, name: str, fields: Sequence[str]) -> dict[str, bytes] | None:
        """Those of the fields that a hash has; None where it is not whole. Raises TooLarge."""
        found = _asked(lambda: self._redis.hmget(self._key(head, name), ["", *fields]))
        if found[0] is None:
            return None
        if found[0] == LARGE.encode():
            raise TooLarge
        return {field: value for field, value in zip(fields, found[1:], strict=True) if value is not None}

    def close(self) -> None:
        self._redis.close()

    def _key(self, head: Head, name: str) -> str:
        return f"{self._prefix}{head.generation}:{name}"


def _asked(ask: Any) -> Any:
    from redis.exceptions import RedisError

    try:
        return ask()
    except (RedisError, OSError, TimeoutError) as error:
        raise CopyAway(type(error).__name__) from error
