"""What a person does with suggested mappings: looks for them in all the views, accepts and rejects them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from engine.normal_forms import normal_form
from engine.views import Entity
from flows.consume.alike import Normalizer, Told
from flows.relay import Runs
from stores import alike, audit, mappings
from stores.alike import FormKey, Suggestion
from stores.tables import normal_forms

AT_ONCE: Final = 500


class NotOpen(Exception):
    """A suggestion that is not there, was decided before, or no longer says what stands; the text says which."""


class Found(NamedTuple):
    """What a look through the views came to."""

    entities: int
    suggestions: int


def accept(connection: Connection, id: int, *, who: str, why: str, at: datetime) -> Suggestion:
    """Maps the external id as suggested, and says so in the audit. Raises NotOpen; nothing is written then."""
    one = _open(connection, id)
    standing = mappings.resolve(connection, one.tenant, one.provider, [one.ref]).get(one.ref)
    if standing != one.current_id:
        raise NotOpen(f"{id}: {one.external_id} is mapped to {standing or 'nothing'} by now, not to {one.current_id}")
    mappings.set_mapping(connection, one.tenant, one.provider, one.ref, one.suggested_id, at, "suggested")
    alike.decide(connection, id, "accepted", who, at)
    _forget_unmapped(connection, one)
    _told(connection, "mapping.suggestion.accept", one, who, why, at)
    return one


def reject(connection: Connection, id: int, *, who: str, why: str, at: datetime) -> Suggestion:
    """Closes a suggestion for good: the two are not suggested again. Raises NotOpen."""
    one = _open(connection, id)
    alike.decide(connection, id, "rejected", who, at)
    _told(connection, "mapping.suggestion.reject", one, who, why, at)
    return one


def look(entities: Iterable[Entity], read: Runs, write: Runs, clock: Callable[[], datetime]) -> Found:
    """Compares what the views have, whatever the consumer has read. `entities` are items and variants."""
    normalizer = Normalizer(read, write, clock)
    count = suggested = 0
    for part in _parts(iter(entities)):
        forms = {
            FormKey(one.key.tenant, one.key.owner, one.key.kind, one.key.id): normal_form(one.key.kind, one.shown())
            for one in part
        }
        suggested += normalizer.keep(normalizer.suggestions(Told(forms, ())))
        count += len(part)
    return Found(count, suggested)


def _parts(entities: Iterator[Entity]) -> Iterator[list[Entity]]:
    while part := list(islice(entities, AT_ONCE)):
        yield part


def _open(connection: Connection, id: int) -> Suggestion:
    one = alike.get(connection, id)
    if one is None:
        raise NotOpen(f"{id}: there is no such suggestion")
    if one.state != "open":
        raise NotOpen(f"{id}: it was {one.state} by {one.decided_by}")
    return one


def _forget_unmapped(connection: Connection, one: Suggestion) -> None:
    """Nothing is suggested any more for a canonical id that no external one stands for."""
    if (one.kind, one.current_id) in alike.mapped(connection, one.tenant, [one.current_id]):
        return
    f = normal_forms.c
    wanted = select(f.tenant, f.owner, f.kind, f.id).where(
        f.id == one.current_id, f.kind == one.kind, f.tenant == one.tenant
    )
    alike.drop_forms(connection, [FormKey(*row) for row in connection.execute(wanted)])


def _told(connection: Connection, what: str, one: Suggestion, who: str, why: str, at: datetime) -> None:
    data = {
        "tenant": one.tenant, "provider": one.provider, "kind": one.kind, "store": one.within,
        "from": one.current_id, "to": one.suggested_id, "score": one.score,
    }  # fmt: skip
    audit.append(connection, at, who, what, one.external_id, why, data)
