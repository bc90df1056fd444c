"""Where commands go: Kafka, or the embedded log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bus.log import EmbeddedLog
from bus.messages import Bus, BusUnavailable, Message, PublishError, Stored
from bus.topics import TOPICS

__all__ = ["TOPICS", "Bus", "BusUnavailable", "EmbeddedLog", "Message", "PublishError", "Stored", "open_bus"]


def open_bus(kafka_bootstrap: str | None, folder: Path, kafka_settings: Mapping[str, str] | None = None) -> Bus:
    """Kafka when bootstrap servers are given (`host:port,host:port`), else the log `bus.db` in `folder`.

    `kafka_settings` are more librdkafka settings.
    """
    if kafka_bootstrap:
        # Imported here because librdkafka's threads and memory are of no use to the embedded set-up.
        from bus.kafka import KafkaBus

        return KafkaBus(kafka_bootstrap, kafka_settings)
    return EmbeddedLog(folder / "bus.db")
