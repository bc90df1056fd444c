"""Who was seen in each scope, and what a delivery's presences come to in the transaction of its outcome.

A snapshot retires who was seen before and is absent now: never the first one, never an older one, and beyond
the guard only once a person has accepted the delivery. The scope's row is locked until the commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, tuple_

from engine.failures import Failure
from engine.messages import Command
from engine.presences import Member, Presence, retirement
from stores.database import put_rows
from stores.records import Conclusion
from stores.tables import members, snapshots

CHUNK = 200


class Known(NamedTuple):
    """An entity that was seen before."""

    told: str
    retire: bytes


class Settled(NamedTuple):
    """What a delivery's presences come to.

    `beyond`: it is to wait for a person. `stale` are ids of commands that a newer snapshot has overtaken,
    `unchanged` of those that tell nothing new. `retired` retires who is absent.
    """

    beyond: Failure | None
    stale: frozenset[str]
    unchanged: frozenset[str]
    retired: tuple[Command, ...]
    absent: tuple[tuple[str, str], ...]
    """(scope, external id) of those who are retired"""
    known: dict[str, dict[str, Known]]
    newest: tuple[Presence, ...]


def settle(connection: Connection, conclusion: Conclusion) -> Settled:
    """Compares who is there with who was there; nothing is written yet."""
    presences = sorted(conclusion.presences, key=lambda presence: presence.scope)
    owner = (conclusion.tenant, conclusion.provider)
    before = _newest(connection, owner, [p.scope for p in presences if p.whole])
    known = _known(connection, owner, presences, before)
    stale: set[str] = set()
    unchanged: set[str] = set()
    absent: list[tuple[Presence, str]] = []
    newest: list[Presence] = []
    for presence in presences:
        mine = known.get(presence.scope, {})
        if presence.only_changed:
            unchanged.update(m.command for m in presence.members if _told(mine, m) == m.told)
        if not presence.whole:
            continue
        standing = before.get(presence.scope)
        if standing is not None and _older(presence, standing, conclusion.delivery):
            stale.update(presence.commands)
            continue
        newest.append(presence)
        if standing is None:
            continue
        gone = sorted(set(mine) - set(presence.present))
        if not conclusion.accepted and 100 * len(gone) > presence.guard * len(mine):
            beyond = _guarded(presence, len(gone), len(mine))
            return Settled(beyond, frozenset(), frozenset(), (), (), known, ())
        absent += [(presence, external_id) for external_id in gone]
    retired = tuple(retirement(p, id, known[p.scope][id].retire, "") for p, id in absent)
    gone_ids = tuple((p.scope, id) for p, id in absent)
    return Settled(None, frozenset(stale), frozenset(unchanged - stale), retired, gone_ids, known, tuple(newest))


def keep(connection: Connection, conclusion: Conclusion, settled: Settled, written: Collection[str]) -> None:
    """Notes who was told of by what was `written` (command ids), who is gone, and the newest snapshots."""
    owner = {"tenant": conclusion.tenant, "provider": conclusion.provider}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for presence in conclusion.presences:
        mine = settled.known.get(presence.scope, {})
        for member in presence.members:
            told = member.told if presence.only_changed else ""
            if member.command not in written or mine.get(member.external_id) == Known(told, member.retire):
                continue
            rows[presence.scope, member.external_id] = {
                **owner, "scope": presence.scope, "external_id": member.external_id, "retire": member.retire,
                "told": told,
            }  # fmt: skip
    for chunk in _chunks(list(settled.absent)):
        mine_ = (members.c.tenant == owner["tenant"], members.c.provider == owner["provider"])
        connection.execute(delete(members).where(*mine_, tuple_(members.c.scope, members.c.external_id).in_(chunk)))
    put_rows(connection, members, list(rows.values()))
    put_rows(connection, snapshots, [
        {**owner, "scope": p.scope, "version": p.order, "received": p.received, "delivery": conclusion.delivery}
        for p in settled.newest
    ])  # fmt: skip


def _newest(connection: Connection, owner: tuple[str, str], scopes: Iterable[str]) -> dict[str, Any]:
    """The newest snapshot of each scope, locked."""
    found = {}
    mine = (snapshots.c.tenant == owner[0], snapshots.c.provider == owner[1])
    for chunk in _chunks(sorted(scopes)):
        statement = select(snapshots).where(*mine, snapshots.c.scope.in_(chunk)).order_by(snapshots.c.scope)
        found.update({row.scope: row for row in connection.execute(statement.with_for_update())})
    return found


def _known(
    connection: Connection, owner: tuple[str, str], presences: list[Presence], before: Collection[str]
) -> dict[str, dict[str, Known]]:
    """Who was seen before by scope: everybody where some may be absent, else those that are told of now."""
    found: dict[str, dict[str, Known]] = {}
    mine = (members.c.tenant == owner[0], members.c.provider == owner[1])
    columns = select(members.c.scope, members.c.external_id, members.c.told, members.c.retire).where(*mine)
    whole = [p.scope for p in presences if p.whole and p.scope in before]
    named = [(p.scope, m.external_id) for p in presences if p.scope not in set(whole) for m in p.members]
    statements = [
        *(columns.where(members.c.scope.in_(chunk)) for chunk in _chunks(whole)),
        *(columns.where(tuple_(members.c.scope, members.c.external_id).in_(chunk)) for chunk in _chunks(named)),
    ]
    for statement in statements:
        for scope, external_id, told, retire in connection.execute(statement):
            found.setdefault(scope, {})[external_id] = Known(told, retire)
    return found


def _told(known: dict[str, Known], member: Member) -> str | None:
    return known[member.external_id].told if member.external_id in known else None


def _older(presence: Presence, standing: Any, delivery: str) -> bool:
    """By the source's own order where both have one, else by when they came."""
    if standing.delivery == delivery:
        return False
    if presence.order and standing.version and presence.order != standing.version:
        return bool(presence.order < standing.version)
    return bool(presence.received < standing.received)


def _guarded(presence: Presence, gone: int, known: int) -> Failure:
    return Failure(
        "processing",
        "snapshot_guard",
        f"The snapshot leaves out {gone} of {known} that were there before, more than {presence.guard}%.",
        "Look whether the sender meant it, then: tiffin delivery accept ID.",
        rule=presence.rule,
        facts={"absent": gone, "known": known, "guard": presence.guard},
    )


def _chunks(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
