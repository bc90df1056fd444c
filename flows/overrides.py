"""The provider file as one connection has it: with the fields, lookups and defaults that it overrides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from engine.failures import Failure
from engine.messages import Connection
from engine.problems import ProviderFileError
from flows.providers import LoadedProvider, with_overrides


class Keeps(Protocol):
    """What stores provider files."""

    def keep_spec(self, loaded: LoadedProvider) -> Awaitable[None]:
        """Keeps the text by its hash; returns once that is durable."""


async def effective(
    journal: Keeps, loaded: LoadedProvider, connection: Connection
) -> tuple[LoadedProvider, Failure | None]:
    """The provider with the connection's overrides, its text stored; or the plain one and why they do not fit.

    Raises StoreUnavailable.
    """
    if not connection.overrides:
        return loaded, None
    try:
        made = await asyncio.to_thread(with_overrides, loaded, connection.overrides)
    except ProviderFileError as error:
        return loaded, _misfit(connection, error)
    await journal.keep_spec(made)
    return made, None


def _misfit(connection: Connection, error: ProviderFileError) -> Failure:
    first = error.problems[0]
    return Failure(
        "processing",
        "overrides_do_not_fit",
        f"The connection's overrides do not fit the provider file: {first.message}.",
        f"Correct them with tiffin connection override {connection.id} FILE.yaml, then replay the delivery.",
        place=str(first.place),
        facts={"connection": connection.id, "diagnostic": first.code},
    )
