"""Against librdkafka's own mock cluster: brokers in this process that speak the Kafka protocol over TCP."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from confluent_kafka import KafkaError, Producer

import bus.kafka
from bus import BusUnavailable, Message
from bus.kafka import REPORT_SECONDS, KafkaBus, consumer_settings, producer_settings, rejected, reported
from bus.tail import Tail

TOPIC = "catalog.commands"


def message(number: int, data: object = None, key: bytes = b"store_1") -> Message:
    event = {
        "specversion": "1.0",
        "id": f"id-{number}",
        "source": "/s",
        "type": "t",
        "datacontenttype": "application/json",
        "data": data or {"n": number},
    }
    return Message(f"id-{number}", key, orjson.dumps(event))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1})
    yield ",".join(f"{broker.host}:{broker.port}" for broker in owner.list_topics(timeout=10).brokers.values())
    owner.close()


@pytest.fixture
def kafka(cluster: str) -> Iterator[KafkaBus]:
    kafka = KafkaBus(cluster)
    yield kafka
    kafka.close()


def test_published_events_come_back_structured_and_in_order(kafka: KafkaBus) -> None:
    messages = [message(n) for n in range(50)]
    assert kafka.publish("in-order", messages) == [None] * 50
    taken = Tail(kafka, "in-order", from_beginning=True).take(100)
    assert [(m.id, m.key, orjson.loads(m.value)) for m in taken] == [
        (m.id, m.key, orjson.loads(m.value)) for m in messages
    ]


def test_one_key_stays_in_one_partition_whose_end_offset_counts_it(kafka: KafkaBus) -> None:
    kafka.publish("partitioned", [message(n) for n in range(3)])
    ends = [kafka.end_offset("partitioned", n) for n in range(kafka.partitions("partitioned"))]
    assert sorted(ends)[-1] == sum(ends) == 3


def test_a_message_that_cannot_be_sent_is_rejected_alone(kafka: KafkaBus) -> None:
    bad = Message("bad", b"k", b"[]")
    reports = kafka.publish("rejections", [message(1), message(2, "x" * 2_000_000), bad, message(3)])
    assert [report and (report.code, report.permanent) for report in reports] == [
        None,
        ("oversized", True),
        ("not_a_cloudevent", True),
        None,
    ]
    assert [m.id for m in Tail(kafka, "rejections", from_beginning=True).take(10)] == ["id-1", "id-3"]


def test_a_record_of_another_writer_is_shown_as_it_is(cluster: str, kafka: KafkaBus) -> None:
    stranger = Producer({"bootstrap.servers": cluster})
    stranger.produce("strange", b"hello", b"k")
    stranger.flush(10)
    assert [(m.id, m.value) for m in Tail(kafka, "strange", from_beginning=True).take(10)] == [("", b"hello")]


def test_a_structured_record_is_taken_as_it_is(cluster: str, kafka: KafkaBus) -> None:
    stranger, event = Producer({"bootstrap.servers": cluster}), message(1)
    stranger.produce("structured", event.value, b"k", headers={"content-type": "application/cloudevents+json"})
    stranger.flush(10)
    taken = Tail(kafka, "structured", from_beginning=True).take(10)
    assert [(m.id, m.value) for m in taken] == [("id-1", event.value)]


def test_brokers_that_are_away_are_reported_as_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus.kafka, "REPORT_SECONDS", 0.2)
    monkeypatch.setattr(bus.kafka, "NETWORK_SECONDS", 0.2)
    kafka = KafkaBus("127.0.0.1:1")
    with pytest.raises(BusUnavailable):
        kafka.publish(TOPIC, [message(1)])
    with pytest.raises(BusUnavailable):
        kafka.read(TOPIC, 0, 1)
    with pytest.raises(BusUnavailable):
        kafka.end_offset(TOPIC)
    with pytest.raises(BusUnavailable):
        kafka.partitions(TOPIC)
    kafka.close()


def test_the_producer_is_idempotent_and_waits_for_all_replicas() -> None:
    settings = producer_settings({"bootstrap.servers": "b:9092", "security.protocol": "SSL"})
    assert settings["enable.idempotence"] is True
    assert settings["acks"] == "all"
    assert settings["security.protocol"] == "SSL"
    assert REPORT_SECONDS * 1000 < int(settings["delivery.timeout.ms"]) < 60_000


def test_a_reader_commits_no_offsets() -> None:
    assert consumer_settings({})["enable.auto.commit"] is False


@pytest.mark.parametrize(
    ("code", "permanent"),
    [
        (KafkaError.INVALID_RECORD, True),
        (KafkaError.MSG_SIZE_TOO_LARGE, False),
        (KafkaError._INVALID_DIFFERENT_RECORD, False),
        (KafkaError._PURGE_QUEUE, False),
        (KafkaError._MSG_TIMED_OUT, False),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, False),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, False),
        (KafkaError.NOT_ENOUGH_REPLICAS, False),
    ],
)
def test_only_a_record_named_as_invalid_by_the_broker_is_rejected_for_good(code: int, permanent: bool) -> None:
    assert reported(KafkaError(code)).permanent is permanent


def test_a_message_that_the_client_finds_too_large_is_rejected_for_good() -> None:
    report = rejected(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    assert (report.code, report.permanent) == ("oversized", True)
