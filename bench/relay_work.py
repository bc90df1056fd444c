"""The relay on Kafka beside a bare producer, both with the same messages, keys and guarantees."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson
import sqlalchemy
from confluent_kafka import Producer
from sqlalchemy import Connection

from bus.kafka import KafkaBus, producer_settings
from bus.kafka_topics import KafkaTopics, Wanted
from flows.logging import logger
from flows.relay import Relay
from stores.database import open_database
from stores.outbox import pack
from stores.schema import migrate
from stores.shards import shard_of
from stores.tables import outbox

T = TypeVar("T")
PER_ROW = 3
STORES = 200
_TOPIC = Wanted(partitions=12, replication=1, min_insync=1)


def event(n: int) -> bytes:
    """A stock level as the interpreter writes it, about as long."""
    return orjson.dumps({
        "specversion": "1.0", "id": f"bench-{n:040d}", "source": "tiffin/bench/stock", "type": "UpdateStockLevel",
        "subject": f"var_{n:026d}", "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
        "partitionkey": f"bench/sto_{n // PER_ROW % STORES}", "tenant": "bench", "deliveryid": f"{n // PER_ROW:044d}",
        "data": {"merchant_id": "mer_bench", "store_id": "sto_bench", "item_id": f"var_{n:026d}",
                 "quantity": {"amount": str(n % 90), "unit": "each"}, "note": "x" * 200},
    })  # fmt: skip


def bare_producer(bootstrap: str, topic: str, count: int) -> float:
    """Messages a second that an idempotent producer sends and has confirmed."""
    KafkaTopics(bootstrap).ensure([topic], _TOPIC)
    producer = Producer(producer_settings({"bootstrap.servers": bootstrap}), logger=logging.getLogger("bench"))
    confirmed = [0]

    def told(error: Any, _message: Any) -> None:
        confirmed[0] += error is None

    values = [(f"bench/sto_{n // PER_ROW % STORES}".encode(), event(n)) for n in range(count)]
    began = time.perf_counter()
    for key, value in values:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    producer.flush(60)
    rate = count / (time.perf_counter() - began)
    assert confirmed[0] == count, f"{confirmed[0]} of {count} confirmed"
    return rate


def relay_moves(bootstrap: str, folder: Path, count: int) -> float:
    """Messages a second that the relay takes from an outbox to Kafka and marks."""
    folder.mkdir()
    topic = f"bench-relay-{folder.name}-{time.time_ns()}"
    KafkaTopics(bootstrap).ensure([topic], _TOPIC)
    database = open_database(f"sqlite:///{folder / 'tiffin.db'}")
    migrate(database)
    rows = [
        {
            "delivery": f"{row:044d}", "attempt": 1, "shard": shard_of(f"bench/sto_{row % STORES}"),
            "kafka_key": f"bench/sto_{row % STORES}", "count": PER_ROW, "topic": topic,
            "ids": [f"bench-{row * PER_ROW + i:040d}" for i in range(PER_ROW)],
            "data": pack([event(row * PER_ROW + i) for i in range(PER_ROW)]), "created_at": datetime.now(UTC),
        }
        for row in range(count // PER_ROW)
    ]  # fmt: skip
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.execute(sqlalchemy.insert(outbox), rows)

    def read(job: Callable[[Connection], T]) -> T:
        with database.engine.connect() as connection:
            return job(connection)

    def write(job: Callable[[Connection], T]) -> T:
        with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    log: Any = logger("bench")
    bus = KafkaBus(bootstrap)
    relay = Relay(bus=bus, owner="bench", read=read, write=write, clock=lambda: datetime.now(UTC),
                  jitter=lambda: 0.5, log=log)  # fmt: skip
    began = time.perf_counter()
    moved = 0
    while moved < len(rows):
        moved += relay.move()
    rate = count / (time.perf_counter() - began)
    bus.close()
    database.close()
    return rate
