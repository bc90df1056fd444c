"""The relay on Kafka beside a bare producer: the same records, in the same order, with the same guarantees.

The bare producer has every record ready in memory (key, CloudEvents headers, value) and does nothing but hand
them to confluent-kafka and count the reports of their delivery. It is idempotent, waits for all replicas, and
has the relay's linger, batches and compression. The relay reads the same commands from its outbox as the
interpreter wrote them, makes records of them, waits for every report and marks the rows in the database. Both
have sent a record of every key before the clock starts, since a partition's first batch takes a broker hundreds of
milliseconds; the garbage collector is settled as in a server that has started, and no time of making the commands
is counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson
import sqlalchemy
from confluent_kafka import Producer
from sqlalchemy import Connection

from bus.cloudevents import to_binary
from bus.kafka import KafkaBus, producer_settings
from bus.kafka_topics import KafkaTopics, Wanted
from bus.messages import Message, PublishError
from engine.envelope import Envelope
from flows.lean import settle
from flows.logging import logger
from flows.relay import Relay
from stores.database import Database, open_database
from stores.outbox import counts, pack
from stores.schema import migrate
from stores.shards import shard_of
from stores.tables import outbox

T = TypeVar("T")
PER_ROW = 3
"""Commands of one delivery and store."""
STORES = 200
_TOPIC = Wanted(partitions=12, replication=1, min_insync=1)


def key_of(row: int) -> str:
    return f"bench/sto_{row % STORES}"


def commands(row: int) -> list[tuple[str, bytes]]:
    """A delivery's stock levels as the interpreter writes them: ids and events."""
    envelope = Envelope("bench", "stock-provider", "stock", 1, f"{row:026d}", "2026-01-01T00:00:00.000000Z")
    head = envelope.head("UpdateStockLevel")
    made = []
    for n in range(row * PER_ROW, (row + 1) * PER_ROW):
        id, item = f"{n:032x}", f"var_{n:026d}"
        data = {
            "merchant_id": "mer_bench", "store_id": f"sto_{row % STORES}", "item_id": item,
            "quantity": {"amount": str(n % 90), "unit": "each"}, "provider_reason": "x" * 200,
        }  # fmt: skip
        made.append((id, envelope.event(head, id, item, item, key_of(row), None, orjson.dumps(data))))
    return made


def topic(bootstrap: str, name: str) -> str:
    """A new topic of the run's own."""
    made = f"bench-{name}-{time.time_ns()}"
    KafkaTopics(bootstrap).ensure([made], _TOPIC)
    return made


def bare_producer(bootstrap: str, count: int) -> float:
    """Messages a second that a producer with all records ready sends and has confirmed."""
    to = topic(bootstrap, "bare")
    producer = Producer(producer_settings({"bootstrap.servers": bootstrap}), logger=logging.getLogger("bench"))
    confirmed = [0]

    def told(error: Any, _message: Any) -> None:
        confirmed[0] += error is None

    rows = range(count // PER_ROW)
    records: list[Any] = [(key_of(row).encode(), *to_binary(event)) for row in rows for _, event in commands(row)]
    for row in range(STORES):
        producer.produce(to, b"first", key_of(row).encode())
    producer.flush(60)
    settle()
    began = time.perf_counter()
    for key, headers, value in records:
        while True:
            try:
                producer.produce(to, value, key, headers=headers, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    producer.flush(60)
    rate = count / (time.perf_counter() - began)
    assert confirmed[0] == count, f"{confirmed[0]} of {count} confirmed"
    return rate


class _Elsewhere(KafkaBus):
    """Kafka with a topic of the run's own in the commands' place."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap)
        self._to = topic(bootstrap, "relay")

    def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
        return super().publish(self._to, messages)


def relay_moves(bootstrap: str, url: str, count: int) -> float:
    """Messages a second that the relay takes from the outbox of an empty database to Kafka, and marks."""
    database = open_database(url)
    migrate(database)
    bus = _Elsewhere(bootstrap)

    def read(job: Callable[[Connection], T]) -> T:
        with database.engine.connect() as connection:
            return job(connection)

    def write(job: Callable[[Connection], T]) -> T:
        with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    log: Any = logger("bench")
    relay = Relay(bus=bus, owner="bench", read=read, write=write, clock=lambda: datetime.now(UTC),
                  jitter=lambda: 0.5, log=log)  # fmt: skip
    _fill(database, range(STORES))
    relay.move()
    rows = range(STORES, STORES + count // PER_ROW)
    _fill(database, rows)
    settle()
    began = time.perf_counter()
    moved = 0
    while moved < len(rows):
        moved += relay.move()
    rate = count / (time.perf_counter() - began)
    left = read(counts)
    assert (left.pending_rows, left.published_commands) == (0, count + STORES * PER_ROW), left
    bus.close()
    database.close()
    return rate


def _fill(database: Database, rows: range) -> None:
    made = [
        {
            "delivery": f"{row:026d}", "attempt": 1, "shard": shard_of(key_of(row)), "kafka_key": key_of(row),
            "count": PER_ROW, "ids": [id for id, _ in own], "data": pack([event for _, event in own]),
            "created_at": datetime.now(UTC),
        }
        for row in rows
        for own in [commands(row)]
    ]  # fmt: skip
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.execute(sqlalchemy.insert(outbox), made)


def sqlite_in(folder: Path) -> str:
    folder.mkdir()
    return f"sqlite:///{folder / 'tiffin.db'}"
