"""Replays a delivery with another body: as a delivery of its own, so that what was received stays what it was.

Nobody signed the new body: the operator who wrote it answers for it, by name and reason in the audit. A request
that is in quarantine proves nothing about who sent it, so that it cannot be edited.
"""

from __future__ import annotations

import difflib
import secrets
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, insert, select

from engine.messages import Request
from flows.journal import Journal
from flows.providers import LoadedProvider
from flows.replay import Replay, Replayed
from flows.sealing import opened, sealed, secrecy_of
from stores import audit, failures
from stores.deliveries import StoredDelivery
from stores.records import RawDelivery
from stores.tables import desk_edits
from stores.writer import Work

_EVERY_ATTEMPT = 1 << 30


class NotEditable(Exception):
    """The delivery cannot be replayed with another body; the text says why."""


async def editable(journal: Journal, id: str) -> tuple[StoredDelivery, Request]:
    """The delivery and its request as it came. Raises NotEditable and PayloadLost."""
    stored = await journal.stored(id)
    if stored is None:
        raise NotEditable("There is no such delivery.")
    if stored.quarantined or not stored.connection:
        raise NotEditable("It is in quarantine: who sent it is not proven. Mend the secret and verify it again.")
    whole = await journal.whole(stored)
    if whole.body_sealed:
        raise NotEditable("Its body holds a secret and is kept sealed: it is not shown, and so cannot be edited.")
    request = opened(whole, journal.unseal)
    try:
        request.body.decode()
    except UnicodeDecodeError:
        raise NotEditable("Its body is not text in UTF-8.") from None
    return whole, request


def difference(before: str, after: str) -> list[str]:
    """The lines that differ, with three lines around them, as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "as received", "as edited", lineterm="")
    return list(lines)


async def replay_edited(
    journal: Journal, replay: Replay, loaded: LoadedProvider, id: str, body: str, *, who: str, why: str, at: datetime
) -> Replayed:
    """Stores the edited request as a delivery of its own and runs it. Raises NotEditable and PayloadLost."""
    stored, request = await editable(journal, id)
    edited = replace(request, body=body.encode(), received_at=at)
    new_id = f"{int(at.timestamp() * 1000):012x}{secrets.token_hex(16)}"
    kept = sealed(edited, secrecy_of(loaded.interpreter.provider), journal.seal)
    raw = RawDelivery(
        id=new_id, received_at=at, tenant=stored.tenant, provider=stored.provider, connection=stored.connection,
        feed=stored.feed, method=stored.method, url=kept.url, headers=kept.headers, sealed=kept.sealed, body=kept.body,
        body_sealed=kept.body_sealed, peer=stored.peer, spec_hash=loaded.spec_hash, quarantined="",
    )  # fmt: skip
    told = difference(request.body.decode(), body)
    await journal.write(Work(note, new_id, id, who, why, at, told))
    await journal.received(raw)
    try:
        came_to = await replay.one(new_id)
        if came_to.verdict == "accepted":
            # What was wrong with the original is mended by the other body.
            await journal.write(Work(failures.resolve_delivery, id, _EVERY_ATTEMPT, who, at))
        return came_to
    finally:
        journal.left(new_id)


def note(
    connection: Connection, id: str, original: str, who: str, why: str, at: datetime, difference: list[str]
) -> None:
    """Says which delivery an edited one was made of, by whom and why."""
    connection.execute(insert(desk_edits).values(delivery=id, original=original, who=who, why=why, at=at))
    audit.append(connection, at, who, "delivery.edit", original, why, {"delivery": id, "difference": difference})


def edits_of(connection: Connection, id: str) -> tuple[str, list[str]]:
    """(what a delivery was made of, "" where it came from outside; the deliveries made of it, the newest first)."""
    e = desk_edits.c
    original = connection.scalar(select(e.original).where(e.delivery == id)) or ""
    return original, list(connection.scalars(select(e.delivery).where(e.original == id).order_by(e.at.desc())))
