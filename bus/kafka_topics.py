"""Creates Kafka's topics, or says in what they are not as they should be."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Final, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from bus.messages import BusUnavailable

Setting = str | int | float | bool

SECONDS: Final = 10.0
"""How long the brokers may take to answer."""
_LOOK_AGAIN_SECONDS: Final = 0.05
MESSAGE_BYTES: Final = 1_000_000
"""The producer's message.max.bytes: a topic that takes less refuses whole batches."""

_log = logging.getLogger("kafka")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How topics are to be. `retention_ms` -1 keeps messages for ever."""

    partitions: int = 12
    replication: int = 3
    min_insync: int = 2
    retention_ms: int = 7 * 86_400_000

    def settings(self) -> dict[str, str]:
        """The topic settings of a new topic."""
        return {
            "cleanup.policy": "delete",
            "min.insync.replicas": str(self.min_insync),
            "retention.ms": str(self.retention_ms),
        }


@dataclass(frozen=True, slots=True)
class TopicState:
    """What was found or done. `problems` say what is wrong, each with what to do; empty: it is as wanted."""

    name: str
    state: Literal["created", "stands", "missing"]
    partitions: int
    replication: int
    settings: Mapping[str, str]
    problems: tuple[str, ...] = ()


class KafkaTopics:
    """The topics of a Kafka cluster. `settings` are further librdkafka settings, as for KafkaBus."""

    def __init__(self, bootstrap: str, settings: Mapping[str, Setting] | None = None) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, **(settings or {})}, logger=_log)

    def ensure(self, names: Iterable[str], wanted: Wanted) -> list[TopicState]:
        """Creates what is missing; what stands is left as it is and examined. Raises BusUnavailable."""
        names = list(names)
        created = self._create([name for name in names if name not in self._layout()], wanted)
        self._await(created)
        return [
            TopicState(t.name, "created" if t.name in created else t.state, t.partitions, t.replication, t.settings,
                       t.problems)
            for t in self.check(names, wanted)
        ]  # fmt: skip

    def check(self, names: Iterable[str], wanted: Wanted) -> list[TopicState]:
        """Examines topics without changing any. Raises BusUnavailable."""
        names = list(names)
        layout = self._layout()
        settings = self._settings([name for name in names if name in layout])
        missing = ("it does not exist; run: tiffin topics",)
        return [
            TopicState(name, "stands", *layout[name], settings[name], problems(*layout[name], settings[name], wanted))
            if name in layout
            else TopicState(name, "missing", 0, 0, {}, missing)
            for name in names
        ]

    def _layout(self) -> dict[str, tuple[int, int]]:
        """(partitions, replicas of the least replicated one) of every topic."""
        try:
            topics = self._admin.list_topics(timeout=SECONDS).topics
        except KafkaException as error:
            raise BusUnavailable(str(error)) from error
        return {
            name: (len(topic.partitions), min(len(part.replicas) for part in topic.partitions.values()))
            for name, topic in topics.items()
            if topic.partitions
        }

    def _create(self, names: list[str], wanted: Wanted) -> set[str]:
        if not names:
            return set()
        new = [NewTopic(n, wanted.partitions, wanted.replication, config=wanted.settings()) for n in names]
        # librdkafka answers before every broker knows a topic unless it is told to wait for them.
        asked = self._admin.create_topics(new, operation_timeout=SECONDS, request_timeout=2 * SECONDS)
        return {name for name, answer in asked.items() if _created(name, answer)}

    def _await(self, names: Collection[str]) -> None:
        """Returns when the broker that is asked knows these topics, too: it may hear of them a moment later."""
        give_up = monotonic() + SECONDS
        while not self._layout().keys() >= set(names) and monotonic() < give_up:
            sleep(_LOOK_AGAIN_SECONDS)

    def _settings(self, names: list[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        asked = self._admin.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in names], request_timeout=SECONDS
        )
        shown = ("cleanup.policy", "min.insync.replicas", "retention.ms", "max.message.bytes")
        found = {}
        for resource, answer in asked.items():
            entries = _answered(f"the settings of {resource.name}", answer)
            found[resource.name] = {name: entries[name].value for name in shown if name in entries}
        return found


def problems(partitions: int, replication: int, settings: Mapping[str, str], wanted: Wanted) -> tuple[str, ...]:
    """What is wrong with a topic that stands, each with what to do about it."""
    insync = int(settings.get("min.insync.replicas", 1))
    retention = int(settings.get("retention.ms", -1))
    size = int(settings.get("max.message.bytes", MESSAGE_BYTES))
    short = retention != -1 and (wanted.retention_ms == -1 or retention < wanted.retention_ms)
    rules: tuple[tuple[bool, str], ...] = (
        (
            partitions < wanted.partitions,
            f"{partitions} partitions, wanted {wanted.partitions}; adding some moves keys to others, so let the outbox "
            "drain first",
        ),
        (
            replication < wanted.replication,
            f"replication {replication}, wanted {wanted.replication}; reassign its partitions",
        ),
        (insync < wanted.min_insync, f"min.insync.replicas {insync}, wanted {wanted.min_insync}; raise it"),
        (
            insync > replication,
            f"min.insync.replicas {insync} is more than its {replication} replicas: nothing can be written; lower it",
        ),
        (
            "compact" in settings.get("cleanup.policy", "delete"),
            "cleanup.policy compact removes all but a key's last message, and a key is a whole store; set it to delete",
        ),
        (short, f"retention.ms {retention}, wanted {wanted.retention_ms}; raise it"),
        (size < MESSAGE_BYTES, f"max.message.bytes {size} is less than the producer's {MESSAGE_BYTES}; raise it"),
    )
    return tuple(said for wrong, said in rules if wrong)


def _created(name: str, answer: Future[Any]) -> bool:
    try:
        answer.result(timeout=3 * SECONDS)
    except TimeoutError as error:
        raise BusUnavailable(f"no answer about creating the topic {name}") from error
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise BusUnavailable(f"the topic {name} cannot be created: {error.args[0].str()}") from error
    return True


def _answered(what: str, answer: Future[Any]) -> Any:
    try:
        return answer.result(timeout=2 * SECONDS)
    except TimeoutError as error:
        raise BusUnavailable(f"no answer about {what}") from error
    except KafkaException as error:
        raise BusUnavailable(f"{what} cannot be read: {error.args[0].str()}") from error
