"""Against a real broker: TIFFIN_TEST_KAFKA_BOOTSTRAP names it. Topics are the test's own and are removed."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from bus import BusUnavailable, Message
from bus.kafka import KafkaBus
from bus.kafka_topics import KafkaTopics, Wanted
from bus.tail import Tail
from flows.relay import Relay
from stores.database import open_database
from stores.shards import shard_of
from stores.tables import metadata
from tests.flows.test_relay import Database, Lines

BOOTSTRAP = os.environ.get("TIFFIN_TEST_KAFKA_BOOTSTRAP", "")
pytestmark = pytest.mark.skipif(not BOOTSTRAP, reason="TIFFIN_TEST_KAFKA_BOOTSTRAP names no Kafka broker")

SMALL = Wanted(partitions=3, replication=1, min_insync=1)


@pytest.fixture
def topic() -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for answer in admin.delete_topics([name]).values():
        with contextlib.suppress(KafkaException):
            answer.result(10)


@pytest.fixture
def topics() -> KafkaTopics:
    return KafkaTopics(BOOTSTRAP)


@pytest.fixture
def kafka() -> Iterator[KafkaBus]:
    kafka = KafkaBus(BOOTSTRAP)
    yield kafka
    kafka.close()


def event(id: str, data: object = None) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0", "id": id, "source": "/tenants/t/providers/p/feeds/f", "type": "tiffin.UpdatePrice.v1",
            "subject": "itm_ä", "time": "2026-01-18T11:33:13Z", "datacontenttype": "application/json",
            "specrevision": 3, "data": data or {"of": id},
        }
    )  # fmt: skip


def message(id: str, data: object = None, key: bytes = b"t/sto_1") -> Message:
    return Message(id, key, event(id, data))


def alter(topic: str, **settings: str) -> None:
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    asked = admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)])
    for answer in asked.values():
        answer.result(10)


def test_a_missing_topic_is_created_as_wanted_and_then_stands(topics: KafkaTopics, topic: str) -> None:
    assert topics.check([topic], SMALL)[0].state == "missing"
    [made] = topics.ensure([topic], SMALL)
    assert (made.state, made.partitions, made.replication, made.problems) == ("created", 3, 1, ())
    assert made.settings["min.insync.replicas"] == "1"
    assert made.settings["retention.ms"] == str(7 * 86_400_000)
    assert topics.ensure([topic], SMALL)[0].state == "stands"


def test_a_topic_that_stands_is_examined_and_left_as_it_is(topics: KafkaTopics, topic: str) -> None:
    topics.ensure([topic], SMALL)
    alter(topic, cleanup_policy="compact")
    [found] = topics.ensure([topic], Wanted(partitions=5, replication=1, min_insync=1))
    assert (found.state, found.partitions, len(found.problems)) == ("stands", 3, 2)


def test_an_event_is_a_record_in_binary_mode(topics: KafkaTopics, kafka: KafkaBus, topic: str) -> None:
    topics.ensure([topic], Wanted(partitions=1, replication=1, min_insync=1))
    assert kafka.publish(topic, [message("id-1", {"price": "4.10"})]) == [None]
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    record = consumer.poll(20)
    consumer.close()
    assert record is not None
    assert record.error() is None
    assert (record.key(), record.value()) == (b"t/sto_1", b'{"price":"4.10"}')
    assert dict(record.headers()) == {
        "ce_specversion": b"1.0",
        "ce_id": b"id-1",
        "ce_source": b"/tenants/t/providers/p/feeds/f",
        "ce_type": b"tiffin.UpdatePrice.v1",
        "ce_subject": "itm_ä".encode(),
        "ce_time": b"2026-01-18T11:33:13Z",
        "ce_specrevision": b"3",
        "content-type": b"application/json",
    }


def test_the_one_message_that_the_broker_finds_too_large_is_rejected_and_the_others_arrive(
    topics: KafkaTopics, kafka: KafkaBus, topic: str
) -> None:
    topics.ensure([topic], Wanted(partitions=1, replication=1, min_insync=1))
    alter(topic, max_message_bytes="4000")
    # Random text: compressed, it must still be too large.
    large = "".join(uuid.uuid4().hex for _ in range(400))
    reports = kafka.publish(topic, [message("a"), message("large", large), message("b")])
    assert [report and (report.code, report.permanent) for report in reports] == [None, ("oversized", True), None]
    arrived = [m.id for m in Tail(kafka, topic, from_beginning=True).take(10)]
    assert list(dict.fromkeys(arrived)) == ["a", "b"]


def test_a_topic_that_is_not_there_keeps_messages_waiting(kafka: KafkaBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.kafka.REPORT_SECONDS", 3.0)
    with pytest.raises(BusUnavailable):
        kafka.publish(f"missing-{uuid.uuid4().hex}", [message("a")])


def test_two_relays_keep_the_order_of_every_key(
    topics: KafkaTopics, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics.ensure([topic], SMALL)
    opened = open_database(f"sqlite:///{tmp_path}/tiffin.db")
    metadata.create_all(opened.engine)
    database = Database(opened.engine)
    keys = [f"t/sto_{n}" for n in range(20)]
    for round_ in range(10):
        for key in keys:
            id = f"{key}#{round_}"
            database.add(id, shard=shard_of(key), kafka_key=key, data=b"[" + event(id) + b"]", topic=topic)
    buses = [KafkaBus(BOOTSTRAP), KafkaBus(BOOTSTRAP)]
    relays = [
        Relay(bus=bus, owner=owner, read=database.read, write=database.write, log=Lines(),
              clock=lambda: datetime.now(UTC), jitter=lambda: 0.0)
        for owner, bus in zip(("one", "two"), buses, strict=True)
    ]  # fmt: skip
    relays[0]._hold()
    relays[1]._hold()
    for relay in relays:
        relay._renew_at = None  # the second's seat stands now: each takes its share
        relay.start()
    try:
        tail, arrived = Tail(buses[0], topic, from_beginning=True), []
        while len(arrived) < 200:
            arrived += tail.take(200)
    finally:
        for relay in relays:
            relay.stop(30)
    orders = {key: [m.id for m in arrived if m.key == key.encode()] for key in keys}
    assert orders == {key: [f"{key}#{n}" for n in range(10)] for key in keys}
    assert sum(relay.health.published for relay in relays) == 200
    for bus in buses:
        bus.close()
    opened.close()
