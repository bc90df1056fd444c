"""The provider file by which a delivery was first interpreted, as long as it is kept."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import lru_cache

import schemas
from engine.problems import ProviderFileError
from flows.journal import Journal
from flows.providers import EngineName, LoadedProvider, load_text
from stores import specs
from stores.deliveries import StoredDelivery

MOST_LOADED = 8
"""So many files of earlier days are held at once."""


class NotKept(Exception):
    """A delivery cannot be interpreted as it first was; the text says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


async def of_then(journal: Journal, stored: StoredDelivery, engine: EngineName) -> tuple[LoadedProvider, datetime]:
    """The file, with its connection's overrides in it, and as of when mappings hold. Raises NotKept."""
    found = await journal.read(lambda transaction: specs.then(transaction, stored.id))
    if found is None:
        raise NotKept("not_interpreted_then", "It was not interpreted before: there is no “then”.")
    text = await journal.read(lambda transaction: specs.text(transaction, found.spec_hash))
    if text is None:
        raise NotKept("spec_not_kept", f"The provider file of then ({found.spec_hash[:12]}) is not kept.")
    try:
        return await asyncio.to_thread(_loaded, text, engine), found.at
    except ProviderFileError as error:
        first = error.problems[0]
        raise NotKept(
            "spec_does_not_load",
            f"The provider file of then ({found.spec_hash[:12]}) no longer loads: {first.message}.",
        ) from None


@lru_cache(MOST_LOADED)
def _loaded(text: str, engine: EngineName) -> LoadedProvider:
    return load_text(text, schemas.canon(), engine)
