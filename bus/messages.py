"""What goes over the bus, and the small interface that the embedded log and Kafka share.

BusUnavailable    raised: nothing is known about the call's messages; publish them again, in order
PublishError      reported for one message
    retriable     the message may go through later (`permanent` False)
    permanent     this message never will: `conflicting_id`, `oversized`, `not_a_cloudevent` …
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """One CloudEvents 1.0 event on its way to the bus.

    `id` is the event's id, unique within a topic; `key` the partition key; `value` the event in
    structured mode: one JSON object as UTF-8 bytes, `data` included. A message that is `joined` makes one unit
    with the one before it: they have one key, and who publishes one of them again publishes all of them again.
    """

    id: str
    key: bytes
    value: bytes
    joined: bool = False


class Stored(NamedTuple):
    """A message as read back. `offset` counts from 0 within its topic's partition."""

    offset: int
    id: str
    key: bytes
    value: bytes
    partition: int = 0


@dataclass(frozen=True, slots=True)
class PublishError:
    """Why one message is not on the bus. `code` is stable and lower_snake_case."""

    code: str
    message: str
    permanent: bool = False


class BusUnavailable(Exception):
    """The bus cannot be reached or cannot write. The caller keeps its messages and tries again later."""


class Bus(Protocol):
    """Topics of ordered, keyed messages. Every method may be called from any thread."""

    def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
        """Makes messages durable, in order, and reports on each at its index; None is success.

        When it returns, every message reported as None survives a crash. After a message that is
        reported as retriable, no later message of the same key in this call is on the bus, unless the
        failed one is too; so resuming at the first failed report keeps the order of each key. Raises
        BusUnavailable.
        """

    def read(self, topic: str, offset: int, max: int, partition: int = 0) -> list[Stored]:
        """At most `max` messages from `offset` on, oldest first; [] at the end. Raises BusUnavailable.

        Offsets may have gaps on Kafka: the next read starts at the last message's offset + 1.
        """

    def end_offset(self, topic: str, partition: int = 0) -> int:
        """The offset that the next message will have. Raises BusUnavailable."""

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has, at least 1. Raises BusUnavailable."""

    def close(self) -> None:
        """Frees connections and files. The bus is not used afterwards."""
