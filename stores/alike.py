"""Normalised forms, what they are found by, and the mappings that were suggested because two are alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, Row, delete, insert, select, tuple_, update

from engine.messages import Ref
from engine.normal_forms import NormalForm
from engine.sizes import Size
from stores.database import put_rows, upsert
from stores.tables import alike_blocks, mapping_suggestions, mappings, normal_forms

NAME: Final = "alike"
A_SIDE: Final = 10
"""So many of a block are looked at before an item's own source, and as many behind it: large blocks cost no more."""
_CHUNK: Final = 200


class FormKey(NamedTuple):
    """The item or variant of a form; `owner` is its store, or the merchant for what holds in all its stores."""

    tenant: str
    owner: str
    kind: str
    id: str


class Kept(NamedTuple):
    """A form with whom it is from, and when it was first seen."""

    key: FormKey
    provider: str
    form: NormalForm
    seen_at: datetime

    @property
    def source(self) -> str:
        return f"{self.provider}/{self.key.owner}"


class Mapped(NamedTuple):
    """An external id that stands for a canonical one."""

    provider: str
    ref: Ref


class Suggested(NamedTuple):
    """What may be mapped otherwise. `current_id` is the canonical id that the external one has now."""

    tenant: str
    provider: str
    ref: Ref
    current_id: str
    suggested_id: str
    score: int
    because: str


class Suggestion(NamedTuple):
    """One as it stands. `state`: open, accepted or rejected."""

    id: int
    tenant: str
    provider: str
    kind: str
    within: str
    external_id: str
    current_id: str
    suggested_id: str
    score: int
    because: str
    state: str
    made_at: datetime
    decided_at: datetime | None
    decided_by: str

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.within, self.external_id)


# ---- forms ----


def forms_of(connection: Connection, keys: Collection[FormKey]) -> dict[FormKey, Kept]:
    """Those that are kept among these."""
    f = normal_forms.c
    found = {}
    for chunk in _chunks(sorted(keys)):
        wanted = select(normal_forms).where(tuple_(f.tenant, f.owner, f.kind, f.id).in_(chunk))
        found.update({kept.key: kept for kept in map(_kept, connection.execute(wanted))})
    return found


def put_forms(connection: Connection, kept: Sequence[Kept], blocks: Mapping[FormKey, Iterable[str]]) -> None:
    """Keeps forms with the blocks that they are found in."""
    drop_blocks(connection, [one.key for one in kept])
    put_rows(connection, normal_forms, [_row(one) for one in kept])
    rows = [
        {"tenant": one.key.tenant, "kind": one.key.kind, "block": block, "source": one.source, "owner": one.key.owner,
         "id": one.key.id}
        for one in kept
        for block in blocks[one.key]
    ]  # fmt: skip
    if rows:
        connection.execute(upsert(connection)(alike_blocks).on_conflict_do_nothing(), rows)


def drop_forms(connection: Connection, keys: Sequence[FormKey]) -> None:
    """Forgets them."""
    drop_blocks(connection, keys)
    f = normal_forms.c
    for chunk in _chunks(list(keys)):
        connection.execute(delete(normal_forms).where(tuple_(f.tenant, f.owner, f.kind, f.id).in_(chunk)))


def drop_blocks(connection: Connection, keys: Sequence[FormKey]) -> None:
    b = alike_blocks.c
    for chunk in _chunks([(key.id, key.tenant, key.owner, key.kind) for key in keys]):
        connection.execute(delete(alike_blocks).where(tuple_(b.id, b.tenant, b.owner, b.kind).in_(chunk)))


def near(connection: Connection, one: Kept, blocks: Iterable[str]) -> set[FormKey]:
    """Others that share a block with an item, from other sources: a bounded number, however many there are."""
    b = alike_blocks.c
    found = set()
    for block in blocks:
        same = (b.tenant == one.key.tenant, b.kind == one.key.kind, b.block == block)
        for side, order in ((b.source < one.source, b.source.desc()), (b.source > one.source, b.source)):
            wanted = select(b.owner, b.id).where(*same, side).order_by(order).limit(A_SIDE)
            found |= {FormKey(one.key.tenant, row.owner, one.key.kind, row.id) for row in connection.execute(wanted)}
    return {key for key in found if key.id != one.key.id}


def mapped(connection: Connection, tenant: str, ids: Collection[str]) -> dict[tuple[str, str], list[Mapped]]:
    """The external ids that stand for canonical ones now, by (kind, canonical id), the oldest first."""
    m = mappings.c
    found: dict[tuple[str, str], list[Mapped]] = {}
    for chunk in _chunks(sorted(ids)):
        wanted = (
            select(m.canonical_id, m.provider, m.kind, m.within, m.external_id)
            .where(m.tenant == tenant, m.canonical_id.in_(chunk), m.valid_to.is_(None))
            .order_by(m.id)
        )
        for canonical, provider, kind, within, external in connection.execute(wanted):
            found.setdefault((kind, canonical), []).append(Mapped(provider, Ref(kind, within, external)))
    return found


# ---- suggestions ----


def suggest(connection: Connection, one: Suggested, at: datetime) -> bool:
    """Keeps a suggestion. False where it was decided before, or where one as good stands."""
    s = mapping_suggestions.c
    of_ref = (
        s.tenant == one.tenant, s.provider == one.provider, s.kind == one.ref.kind, s.within == one.ref.within,
        s.external_id == one.ref.external_id,
    )  # fmt: skip
    standing = list(connection.execute(select(s.id, s.suggested_id, s.score, s.state).where(*of_ref)))
    if any(row.suggested_id == one.suggested_id and row.state != "open" for row in standing):
        return False
    if _rejected_the_other_way(connection, one):
        return False
    if any(row.state == "open" and row.score >= one.score for row in standing):
        return False
    connection.execute(delete(mapping_suggestions).where(*of_ref, s.state == "open"))
    tenant, provider, ref, *rest = one
    row = dict(zip(("current_id", "suggested_id", "score", "because"), rest, strict=True))
    connection.execute(
        insert(mapping_suggestions).values(
            tenant=tenant, provider=provider, **ref._asdict(), **row, state="open", made_at=at, decided_by=""
        )
    )
    return True


def _rejected_the_other_way(connection: Connection, one: Suggested) -> bool:
    s = mapping_suggestions.c
    wanted = select(s.id).where(
        s.tenant == one.tenant, s.kind == one.ref.kind, s.state == "rejected", s.current_id == one.suggested_id,
        s.suggested_id == one.current_id,
    )  # fmt: skip
    return connection.execute(wanted.limit(1)).first() is not None


def listed(connection: Connection, filters: Mapping[str, str | None], limit: int = 100) -> list[Suggestion]:
    """Suggestions, the likeliest first. `filters` names columns and their values."""
    s = mapping_suggestions.c
    chosen = [s[name] == value for name, value in filters.items() if value is not None]
    statement = select(mapping_suggestions).where(*chosen).order_by(s.score.desc(), s.id).limit(limit)
    return [Suggestion(*row) for row in connection.execute(statement)]


def get(connection: Connection, id: int) -> Suggestion | None:
    """One of them; nobody else decides it before the end of the transaction."""
    row = connection.execute(
        select(mapping_suggestions).where(mapping_suggestions.c.id == id).with_for_update()
    ).first()
    return None if row is None else Suggestion(*row)


def decide(connection: Connection, id: int, state: str, who: str, at: datetime) -> None:
    """Closes a suggestion as accepted or rejected."""
    s = mapping_suggestions.c
    connection.execute(update(mapping_suggestions).where(s.id == id).values(state=state, decided_by=who, decided_at=at))


def withdraw(connection: Connection, id: int) -> None:
    """Removes one that no longer says what stands."""
    connection.execute(delete(mapping_suggestions).where(mapping_suggestions.c.id == id))


def _kept(row: Row[Any]) -> Kept:
    form = NormalForm(row.words, row.brand, Size(row.amount, row.unit, row.pack), tuple(orjson.loads(row.codes)))
    return Kept(FormKey(row.tenant, row.owner, row.kind, row.id), row.provider, form, row.seen_at)


def _row(kept: Kept) -> dict[str, Any]:
    form = kept.form
    return {
        **kept.key._asdict(),
        "provider": kept.provider,
        "words": form.words,
        "brand": form.brand,
        "amount": form.size.amount,
        "unit": form.size.unit,
        "pack": form.size.pack,
        "codes": orjson.dumps(form.codes).decode(),
        "seen_at": kept.seen_at,
    }


def _chunks(values: list[Any]) -> Iterable[list[Any]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
