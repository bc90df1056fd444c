"""The consumers of one writing process: made, started and stopped together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection

from bus import open_bus
from bus.consumers import open_consumer
from bus.topics import CATALOG_EVENTS
from engine.views import Entity
from flows.consume.follower import Follower, FollowerPace, Taker
from flows.consume.health import ConsumerHealth, ConsumersHealth
from flows.logging import logger
from flows.relay import Runs
from flows.turns import Turn
from stores.database import Database
from stores.views import Advance

STOP_SECONDS: Final = 10.0


class Options(NamedTuple):
    """What is consumed, and where it goes. `names` are those that TIFFIN_CONSUME may name."""

    redis_url: str = ""
    names: tuple[str, ...] = ()
    search_url: str = ""


class Around(NamedTuple):
    """The process that they run in. `turn` makes the lease of a group where the bus does not share it out."""

    kafka_bootstrap: str
    kafka_settings: Any
    data: Path
    database: Database
    read: Runs
    write: Runs
    busy: Callable[[], Callable[[], bool]]
    turn: Callable[[str], Turn | None]


class Consumer(Protocol):
    """What runs on a thread of its own beside the projection."""

    @property
    def health(self) -> ConsumerHealth: ...
    def start(self) -> None: ...
    def stop(self, timeout: float | None = None) -> bool: ...


class Consumers:
    """By name. `written` takes what the projection has committed."""

    def __init__(self, options: Options, around: Around) -> None:
        self.by_name: dict[str, Consumer] = {}
        self.written: Callable[[Sequence[Advance], Sequence[Entity]], None] = lambda _moves, _entities: None
        if options.redis_url:
            # Imported here because it is of no use to a set-up without Redis.
            from flows.consume.copier import Copier

            log: Any = logger("tiffin.views")
            copier = Copier(options.redis_url, around.read, around.write, log)
            self.written, self.by_name["copy"] = copier.written, copier
        if "search" in options.names:
            from flows.consume.reindex import GROUP

            self.by_name["search"] = _follower("search", GROUP, around, partial(_reindexer, options.search_url, around))

        if "alike" in options.names:
            from flows.consume.alike import GROUP, Normalizer

            normalizer = partial(Normalizer, around.read, around.write, lambda: datetime.now(UTC))
            self.by_name["alike"] = _follower(
                "alike", GROUP, around, normalizer, FollowerPace(rest=19.0, busy_rest=49.0)
            )

    @property
    def health(self) -> ConsumersHealth:
        return ConsumersHealth({name: one.health for name, one in self.by_name.items()})

    def start(self) -> None:
        for one in self.by_name.values():
            one.start()

    def stop(self) -> None:
        for one in self.by_name.values():
            one.stop(STOP_SECONDS)


def _follower(
    name: str, group: str, around: Around, open_taker: Callable[[], Taker], pace: FollowerPace | None = None
) -> Follower:
    log: Any = logger("tiffin.consume")
    return Follower(
        name,
        open_consumer=partial(
            open_consumer,
            around.kafka_bootstrap,
            around.data,
            CATALOG_EVENTS,
            group,
            kafka_settings=around.kafka_settings,
        ),
        open_taker=open_taker,
        jitter=random.random,
        log=log,
        busy=around.busy(),
        turn=around.turn(group),
        pace=pace,
    )


def _reindexer(search_url: str, around: Around) -> Taker:
    from flows.consume.reindex import Reindexer, Where, open_index

    where = Where(search_url, around.database.embedded, around.data)
    index = open_index(where, partial(transaction, around.database), write=True)
    bus = partial(open_bus, around.kafka_bootstrap, around.data, around.kafka_settings)
    return Reindexer(index, bus, around.database.engine.connect)


@contextmanager
def transaction(database: Database) -> Iterator[Connection]:
    """A transaction of its own, which writes."""
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection
