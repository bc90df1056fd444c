"""The deliveries of an import job's chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import orjson
from sqlalchemy import Connection, select

from stores.tables import outcomes


def chunk_id(job: str, number: int) -> str:
    """The id of a chunk's delivery: the same however often the chunk is begun."""
    return job[:12] + hashlib.blake2b(f"{job}/{number}".encode(), digest_size=16).hexdigest()


def ids_of(transaction: Connection, job: str, first: int, end: int) -> Iterator[list[str]]:
    """The ids of the commands that some of a job's chunks have written, chunk by chunk."""
    for number in range(first, end):
        one = select(outcomes.c.command_ids).where(outcomes.c.delivery == chunk_id(job, number))
        for (text,) in transaction.execute(one):
            yield orjson.loads(text)
