"""Every provider file that deliveries were interpreted by, kept by the hash of its text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, insert, select

from stores.tables import specs


def save_all(connection: Connection, files: Iterable[tuple[str, str, int, str]], at: datetime) -> None:
    """Keeps files: (hash, provider, revision, text) of each."""
    for hash, provider, revision, text in files:
        save(connection, hash, provider, revision, text, at)


def save(connection: Connection, hash: str, provider: str, revision: int, text: str, at: datetime) -> None:
    """Keeps a file; one that is kept already stays as it is."""
    if connection.scalar(select(specs.c.hash).where(specs.c.hash == hash)) is None:
        connection.execute(
            insert(specs).values(hash=hash, provider=provider, revision=revision, text=text, loaded_at=at)
        )


def text(connection: Connection, hash: str) -> str | None:
    found: str | None = connection.scalar(select(specs.c.text).where(specs.c.hash == hash))
    return found
