"""A member of a Kafka consumer group whose offsets stand elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bus.consumers import Start
from bus.kafka import NETWORK_SECONDS, Setting, consumer_settings, stored
from bus.messages import BusUnavailable, Stored

POLL_SECONDS: Final = 0.2
"""How long a call waits for the first message."""

_log = logging.getLogger("kafka")
_HARMLESS = (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART)
_AWAY = (KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)


class GroupConsumer:
    """The group only assigns partitions. Offsets are told to it as well, for the tools that show lag."""

    def __init__(
        self, bootstrap: str, topic: str, group: str, start: Start, settings: Mapping[str, Setting] | None = None
    ) -> None:
        """Nothing is connected before the first call."""
        self._topic, self._start = topic, start
        common = {"bootstrap.servers": bootstrap, **(settings or {})}
        # Lag tools know a group by its offsets; what is read is decided by `start` alone.
        self._away = False
        made = {**consumer_settings(common), "group.id": group}
        self._client = Client(made, logger=_log, error_cb=self._noticed)
        self._fresh: list[int] | None = None
        self._next: dict[int, int] = {}
        self._client.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)

    def take(self, max: int) -> list[Stored]:
        """See `Consumer.take`."""
        messages: list[Stored] = []
        if self._away:
            self._look()
        wait = POLL_SECONDS
        while len(messages) < max:
            self._begin()
            record = self._client.poll(wait)
            if record is None:
                break
            if (error := record.error()) is not None:
                self._judge(error)
                if error.code() == KafkaError._PARTITION_EOF:
                    continue
                break
            if self._fresh is not None or record.partition() not in self._next:
                continue  # read before a new assignment: it is read again by whoever holds it
            messages.append(stored(record))
            self._next[messages[-1].partition] = messages[-1].offset + 1
            wait = 0.0
        return messages

    def restart(self) -> None:
        """See `Consumer.restart`."""
        self._fresh = sorted(self._next)

    def behind(self) -> int:
        """See `Consumer.behind`."""
        total = 0
        for partition, offset in self._next.items():
            low, end = self._ends(partition)
            total += max(0, end - max(offset, low))
        return total

    def _ends(self, partition: int) -> tuple[int, int]:
        """Where the partition begins and ends as its last fetch told: to ask would wait for the fetch under way."""
        place = TopicPartition(self._topic, partition)
        try:
            ends = self._client.get_watermark_offsets(place, cached=True)
            if ends is None or ends[1] < 0:
                ends = self._client.get_watermark_offsets(place, timeout=NETWORK_SECONDS)
        except KafkaException as error:
            raise BusUnavailable(str(error)) from error
        if ends is None:
            raise BusUnavailable(f"no answer about the end of {self._topic} within {NETWORK_SECONDS:g} s")
        return int(ends[0]), int(ends[1])

    def close(self) -> None:
        """See `Consumer.close`."""
        self._client.close()

    def _begin(self) -> None:
        """Begins to read newly assigned partitions where `start` says."""
        if self._fresh is None:
            return
        found = {partition: self._start(partition) for partition in self._fresh}
        self._client.assign([TopicPartition(self._topic, partition, offset) for partition, offset in found.items()])
        self._next, self._fresh = found, None
        self._tell()

    def _tell(self) -> None:
        """Tells the group how far the work is."""
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in self._next.items()]
        if offsets:
            self._client.commit(offsets=offsets, asynchronous=True)

    def _assigned(self, _: Client, partitions: list[TopicPartition]) -> None:
        self._fresh = [one.partition for one in partitions]
        self._client.assign([])

    def _revoked(self, _: Client, __: list[TopicPartition]) -> None:
        self._fresh, self._next = None, {}
        self._client.unassign()

    def _noticed(self, error: KafkaError) -> None:
        """librdkafka tries to connect for ever and tells about it here alone."""
        self._away = self._away or error.code() in _AWAY

    def _look(self) -> None:
        """Raises BusUnavailable while no broker answers."""
        try:
            self._client.list_topics(self._topic, timeout=NETWORK_SECONDS)
        except KafkaException as error:
            raise BusUnavailable(str(error)) from error
        self._away = False

    def _judge(self, error: KafkaError) -> None:
        """Raises BusUnavailable for what is not passing."""
        if error.code() not in _HARMLESS:
            raise BusUnavailable(str(error))
