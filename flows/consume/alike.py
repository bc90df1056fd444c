"""Normalises what the catalogue's events tell of, and suggests mappings where two sources tell of the same thing.

A batch's forms are kept first, then each is compared with those that share a block with it; what was kept before and
is the same is not compared again. A suggestion maps the later of two to the canonical id of the earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from sqlalchemy import Connection

from bus.messages import Stored
from engine.normal_forms import Likeness, NormalForm, blocks, likeness, normal_form
from flows.relay import Runs
from stores import alike, views
from stores.alike import FormKey, Kept, Suggested
from stores.views import Advance, Moved

GROUP: Final = "tiffin-alike"
KINDS: Final = ("item", "variant")
MOST_COMPARED: Final = 100


class Told(NamedTuple):
    """Forms that events tell of, and entities that were retired."""

    forms: Mapping[FormKey, NormalForm]
    gone: Sequence[FormKey]


class Normalizer:
    """Takes events into forms and suggestions."""

    def __init__(self, read: Runs, write: Runs, clock: Callable[[], datetime]) -> None:
        self._read, self._write, self._clock = read, write, clock

    def prepare(self) -> None:
        """There is nothing to be made first."""

    def offsets(self) -> Mapping[int, int]:
        return self._read(lambda connection: views.offsets(connection, name=alike.NAME))

    def take(self, messages: Sequence[Stored], moves: Sequence[Advance]) -> None:
        found = self.suggestions(told_of(messages))
        if not self._write(lambda connection: self._record(connection, found, moves)):
            raise Moved(f"another reader has moved the offsets of {alike.NAME}")

    def suggestions(self, told: Told) -> list[Suggested]:
        """Keeps forms, and returns what is to be suggested because of them."""
        fresh = self._read(lambda connection: fresh_of(connection, told.forms, self._clock()))
        if fresh or told.gone:
            self._write(lambda connection: keep(connection, fresh, told.gone))
        return self._read(lambda connection: compared(connection, fresh)) if fresh else []

    def keep(self, found: Sequence[Suggested]) -> int:
        """Keeps suggestions; returns how many are new."""
        return self._write(lambda connection: self._suggest(connection, found)) if found else 0

    def _record(self, connection: Connection, found: Sequence[Suggested], moves: Sequence[Advance]) -> bool:
        try:
            # On SQLite the transaction is also others' of the group writer: a refusal undoes this part alone.
            with connection.begin_nested():
                views.advance(connection, moves, name=alike.NAME)
                self._suggest(connection, found)
        except Moved:
            return False
        return True

    def _suggest(self, connection: Connection, found: Sequence[Suggested]) -> int:
        return sum(alike.suggest(connection, one, self._clock()) for one in found)

    def close(self) -> None:
        """Nothing of it stays open."""


def told_of(messages: Iterable[Stored]) -> Told:
    """What events tell of items and variants; of several events of one the last counts."""
    found: dict[FormKey, NormalForm | None] = {}
    for message in messages:
        try:
            event = orjson.loads(message.value)
            data, name = event["data"], event["type"].split(".")[1]
            key = FormKey(event["tenant"], data.get("store_id") or data["merchant_id"], data["kind"], data["id"])
            if key.kind not in KINDS or not all(isinstance(part, str) for part in key):
                continue
            if name == "Retired":
                found[key] = None
            elif "state" in data:
                found[key] = normal_form(key.kind, data["state"])
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
            continue  # no event of ours
    return Told({key: form for key, form in found.items() if form}, [key for key, form in found.items() if not form])


def fresh_of(connection: Connection, forms: Mapping[FormKey, NormalForm], at: datetime) -> list[Kept]:
    """Those that are not kept yet, or otherwise. One that no external id stands for has nothing to be mapped."""
    known = alike.forms_of(connection, forms)
    changed = {key: form for key, form in forms.items() if key not in known or known[key].form != form}
    providers = _providers(connection, changed)
    return [
        Kept(key, providers[key.tenant, key.kind, key.id], form, known[key].seen_at if key in known else at)
        for key, form in changed.items()
        if (key.tenant, key.kind, key.id) in providers
    ]


def keep(connection: Connection, fresh: Sequence[Kept], gone: Sequence[FormKey]) -> None:
    alike.drop_forms(connection, gone)
    alike.put_forms(connection, fresh, {one.key: blocks(one.form) for one in fresh})


def compared(connection: Connection, fresh: Sequence[Kept]) -> list[Suggested]:
    """The likeliest suggestion for each, where there is one."""
    near = {one.key: sorted(alike.near(connection, one, blocks(one.form)))[:MOST_COMPARED] for one in fresh}
    # Of a batch all at once: many are near to several.
    forms = alike.forms_of(connection, {key for keys in near.values() for key in keys})
    found: dict[FormKey, list[Suggested]] = {}
    for one in fresh:
        for other, like in _likeliest_first(one, [forms[key] for key in near[one.key] if key in forms]):
            earlier, later = sorted((one, other), key=lambda kept: (kept.seen_at, kept.key.id))
            made = list(_for_later(connection, earlier, later, like.score, like.because))
            found.setdefault(later.key, []).extend(made)
            if made and later is one:
                break
    return [one for each in found.values() for one in _likeliest(each)]


def _likeliest_first(one: Kept, others: Iterable[Kept]) -> list[tuple[Kept, Likeness]]:
    alike_ones = [(other, like) for other in others if (like := likeness(one.form, other.form)) is not None]
    return sorted(alike_ones, key=lambda pair: (-pair[1].score, pair[0].seen_at, pair[0].key.id))


def _for_later(connection: Connection, earlier: Kept, later: Kept, score: int, why: str) -> Iterator[Suggested]:
    tenant, kind = later.key.tenant, later.key.kind
    standing = alike.mapped(connection, tenant, (earlier.key.id, later.key.id))
    if (kind, earlier.key.id) not in standing:
        return
    for provider, ref in standing.get((kind, later.key.id), ()):
        yield Suggested(tenant, provider, ref, later.key.id, earlier.key.id, score, why)


def _likeliest(found: Sequence[Suggested]) -> Iterator[Suggested]:
    best: dict[tuple[str, object], Suggested] = {}
    for one in found:
        standing = best.get((one.provider, one.ref))
        if standing is None or one.score > standing.score:
            best[one.provider, one.ref] = one
    yield from best.values()


def _providers(connection: Connection, keys: Iterable[FormKey]) -> dict[tuple[str, str, str], str]:
    """Who told of an entity first, by (tenant, kind, canonical id)."""
    by_tenant: dict[str, set[str]] = {}
    for key in keys:
        by_tenant.setdefault(key.tenant, set()).add(key.id)
    return {
        (tenant, kind, id): standing[0].provider
        for tenant, ids in by_tenant.items()
        for (kind, id), standing in alike.mapped(connection, tenant, ids).items()
    }
