"""Kafka behind the bus interface, on librdkafka."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, cast

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record

from bus.cloudevents import CONTENT_TYPE, NotACloudEvent, to_binary, to_structured
from bus.messages import BusUnavailable, Message, PublishError, Stored

Setting = str | int | float | bool

REPORT_SECONDS: Final = 20.0
"""How long `publish` waits for reports; the relay's lease is longer."""
NETWORK_SECONDS: Final = 5.0
"""How long metadata, watermarks and the first message of a read may take."""
TAIL_SECONDS: Final = 0.1
"""How long a read at the end of a partition waits for one more message."""
POLL_EVERY: Final = 20
REFUSED_SIZE: Final = "broker_refused_size"

_log = logging.getLogger("kafka")

UNCONFIRMED: Final = PublishError("unconfirmed", "the brokers did not confirm this message in time")


class KafkaBus:
    """Kafka with an idempotent producer (acks=all) and CloudEvents in binary mode.

    `settings` are further librdkafka settings for every client (`security.protocol`, `sasl.username` …).
    A call whose messages are not all reported in time purges them and gives up the producer, so that
    nothing of it can arrive after the caller has published again.
    """

    def __init__(self, bootstrap: str, settings: Mapping[str, Setting] | None = None) -> None:
        """`bootstrap` is `host:port[,host:port…]`. Nothing is connected before the first call."""
        self._common: dict[str, Setting] = {"bootstrap.servers": bootstrap, **(settings or {})}
        self._publishing, self._reading = threading.Lock(), threading.Lock()
        self._producer: Producer | None = None
        self._readers: dict[tuple[str, int], _Reader] = {}
        self._looker: Consumer | None = None

    def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
        """See `Bus.publish`. Blocks for at most REPORT_SECONDS, less than the relay's lease."""
        reports: list[PublishError | None] = [UNCONFIRMED] * len(messages)
        with self._publishing:
            producer = self._producer = self._producer or _open_producer(self._common)
            until = time.monotonic() + REPORT_SECONDS
            try:
                _send(producer, topic, messages, reports, until)
                _await_reports(producer, until)
            finally:
                if any(report is not None and not report.permanent for report in reports):
                    self._give_up(producer)
            if any(report is not None and report.code == REFUSED_SIZE for report in reports):
                self._publish_singly(topic, messages, reports, until)
        if reports and all(report is UNCONFIRMED or _purged(report) for report in reports):
            raise BusUnavailable(f"no broker confirmed a message within {REPORT_SECONDS:g} s")
        return reports

    def read(self, topic: str, offset: int, max: int, partition: int = 0) -> list[Stored]:
        """See `Bus.read`. A record that is no CloudEvent has the id "" and its value as it is."""
        with self._reading:
            reader = self._readers.get((topic, partition))
            if reader is None:
                reader = self._readers[topic, partition] = _Reader(self._consumer(), topic, partition)
            return reader.read(offset, max)

    def end_offset(self, topic: str, partition: int = 0) -> int:
        """See `Bus.end_offset`."""
        with self._reading:
            try:
                offsets = self._lookup().get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=NETWORK_SECONDS
                )
            except KafkaException as error:
                raise BusUnavailable(str(error)) from error
        if offsets is None:
            raise BusUnavailable(f"no answer about the end of {topic} within {NETWORK_SECONDS:g} s")
        return int(offsets[1])

    def partitions(self, topic: str) -> int:
        """See `Bus.partitions`. 1 for a topic that does not exist yet."""
        with self._reading:
            try:
                known = self._lookup().list_topics(topic, timeout=NETWORK_SECONDS).topics
            except KafkaException as error:
                raise BusUnavailable(str(error)) from error
        return max(1, len(known[topic].partitions)) if topic in known else 1

    def close(self) -> None:
        """Sends nothing more and closes every client."""
        with self._publishing, self._reading:
            if self._producer is not None:
                self._give_up(self._producer)
            for reader in self._readers.values():
                reader.consumer.close()
            if self._looker is not None:
                self._looker.close()
            self._readers, self._looker = {}, None

    def _publish_singly(
        self, topic: str, messages: Sequence[Message], reports: list[PublishError | None], until: float
    ) -> None:
        """Finds the message that a broker took a whole batch for too large for, and gets the others through."""
        for index, report in enumerate(reports):
            if report is None or report.permanent:
                continue
            producer = self._producer = self._producer or _open_producer(self._common)
            own: list[PublishError | None] = [UNCONFIRMED]
            _send(producer, topic, messages[index : index + 1], own, until)
            _await_reports(producer, until)
            if own[0] is not None and own[0].code == REFUSED_SIZE:
                own[0] = PublishError("oversized", own[0].message, permanent=True)
            reports[index] = own[0]
            if own[0] is not None:
                self._give_up(producer)
                if not own[0].permanent:
                    return

    def _give_up(self, producer: Producer) -> None:
        producer.purge()
        _serve(producer, 0)
        self._producer = None

    def _consumer(self) -> Consumer:
        return Consumer(consumer_settings(self._common), logger=_log)

    def _lookup(self) -> Consumer:
        self._looker = self._looker or self._consumer()
        return self._looker


class _Reader:
    """A consumer that stays assigned to one partition, so that following it costs no new fetch session."""

    def __init__(self, consumer: Consumer, topic: str, partition: int) -> None:
        self.consumer = consumer
        self._topic, self._partition = topic, partition
        self._next = -1
        self._at_end = False

    def read(self, offset: int, max: int) -> list[Stored]:
        if offset != self._next:
            self.consumer.assign([TopicPartition(self._topic, self._partition, offset)])
            self._next, self._at_end = offset, False
        messages: list[Stored] = []
        while len(messages) < max:
            record = self.consumer.poll(TAIL_SECONDS if self._at_end else NETWORK_SECONDS)
            if record is None:
                if self._at_end or messages:
                    break
                self._next = -1
                raise BusUnavailable(f"nothing came from {self._topic} within {NETWORK_SECONDS:g} s")
            error = record.error()
            if error is None:
                messages.append(stored(record))
                self._next, self._at_end = messages[-1].offset + 1, False
            elif error.code() == KafkaError._PARTITION_EOF:
                self._at_end = True
                break
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._next = -1
                break
            else:
                self._next = -1
                raise BusUnavailable(str(error))
        return messages


def producer_settings(common: Mapping[str, Setting]) -> dict[str, Setting]:
    """Idempotent, acks=all; a gap in a partition's series stops the producer instead of reordering.

    librdkafka's own time limit lies behind REPORT_SECONDS: messages that time out one by one could let a
    later message of the same key through, one purge of all of them cannot.
    """
    return {
        **common,
        "enable.idempotence": True,
        "enable.gapless.guarantee": True,
        "acks": "all",
        "delivery.timeout.ms": int(REPORT_SECONDS * 1500),
        "linger.ms": 5,
        "compression.type": "lz4",
    }


def consumer_settings(common: Mapping[str, Setting]) -> dict[str, Setting]:
    """A reader outside any consumer group: it commits nothing and starts where it is told to."""
    return {
        **common,
        "group.id": "tiffin-reader",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    }


def _open_producer(common: Mapping[str, Setting]) -> Producer:
    return Producer(producer_settings(common), logger=_log)


def _serve(producer: Producer, seconds: float) -> None:
    """Takes reports for a while. A fatal error is raised by itself; the reports that say what it meant follow."""
    try:
        producer.poll(seconds)
    except KafkaException as error:
        _log.warning("%s", error.args[0].str())


def _await_reports(producer: Producer, until: float) -> None:
    # Not `flush`: it goes on calling for reports while a fatal error is being raised, and loses them.
    while len(producer) and (left := until - time.monotonic()) > 0:
        _serve(producer, min(left, 0.1))


def rejected(error: KafkaError) -> PublishError:
    """The report of a message that the client refused to take."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return PublishError("oversized", "the message is larger than message.max.bytes", permanent=True)
    return reported(error)


def reported(error: KafkaError) -> PublishError:
    """The report of a message that did not arrive.

    A broker that finds a batch too large says so of all its messages, innocent ones too: which one it is shows when
    each is sent alone. A record that it names as invalid is rejected for good.
    """
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        advice = "; set the topic's max.message.bytes to at least the producer's message.max.bytes"
        return PublishError(REFUSED_SIZE, error.str() + advice)
    permanent = error.code() == KafkaError.INVALID_RECORD
    return PublishError(error.name().lower().lstrip("_"), error.str(), permanent)


def stored(record: Record) -> Stored:
    """A record as the bus gives it back, in structured mode."""
    value, offset = _bytes(record.value()), record.offset() or 0
    # librdkafka hands headers over as a list of pairs; its type hints also allow what only `produce` takes.
    pairs = cast("list[tuple[str, bytes | None]]", record.headers() or [])
    headers = [(name, _bytes(raw)) for name, raw in pairs]
    content_type = next((raw for name, raw in headers if name.lower() == CONTENT_TYPE), b"")
    if not content_type.startswith(b"application/cloudevents"):
        try:
            value = to_structured(headers, value)
        except NotACloudEvent:
            return Stored(offset, "", _bytes(record.key()), value, record.partition() or 0)
    return Stored(offset, _id(value), _bytes(record.key()), value, record.partition() or 0)


def _send(
    producer: Producer,
    topic: str,
    messages: Sequence[Message],
    reports: list[PublishError | None],
    until: float,
) -> None:
    """Hands messages to librdkafka in order; after one that it could take later, none of the rest."""
    produce: Callable[..., None] = producer.produce
    for index, (_, key, event, _) in enumerate(messages):
        if index % POLL_EVERY == 0:
            _serve(producer, 0)
        try:
            headers, value = to_binary(event)
            produce(topic, value, key, headers=headers, on_delivery=partial(_take_report, reports, index))
        except (NotACloudEvent, BufferError, KafkaException) as error:
            refusal = _offer(producer, topic, messages[index], partial(_take_report, reports, index), until, error)
            if refusal is not None:
                reports[index] = refusal
                if not refusal.permanent:
                    return


def _offer(
    producer: Producer,
    topic: str,
    message: Message,
    report: Callable[[KafkaError | None, Record], None],
    until: float,
    refused: Exception,
) -> PublishError | None:
    """Offers a message again while the client's queue is full; returns why it was not taken."""
    produce: Callable[..., None] = producer.produce
    while isinstance(refused, BufferError):
        if time.monotonic() > until:
            return UNCONFIRMED
        _serve(producer, 0.1)
        headers, value = to_binary(message.value)
        try:
            produce(topic, value, message.key, headers=headers, on_delivery=report)
            return None
        except (BufferError, KafkaException) as error:
            refused = error
    if isinstance(refused, KafkaException):
        return rejected(refused.args[0])
    return PublishError("not_a_cloudevent", str(refused), permanent=True)


def _take_report(reports: list[PublishError | None], index: int, error: KafkaError | None, record: Record) -> None:
    reports[index] = None if error is None else reported(error)


def _purged(report: PublishError | None) -> bool:
    return report is not None and report.code in ("purge_queue", "purge_inflight")


def _bytes(key: bytes | str | None) -> bytes:
    return key.encode() if isinstance(key, str) else key or b""


def _id(event: bytes) -> str:
    try:
        return str(orjson.loads(event)["id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
