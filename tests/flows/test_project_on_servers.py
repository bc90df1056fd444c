"""The projection on PostgreSQL and Kafka: those that TIFFIN_TEST_POSTGRES_URL and TIFFIN_TEST_KAFKA_BOOTSTRAP name."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from bus.kafka import KafkaBus
from bus.kafka_groups import GroupConsumer
from flows.logging import logger
from flows.project import Projector
from flows.rebuild import Rebuilt, rebuild
from stores import views
from stores.database import Database, open_database
from stores.schema import migrate
from tests.flows.test_project import LIST, OTHER, message, opened

GENEROUS = 90.0


@pytest.fixture
def database() -> Iterator[Database]:
    url = os.environ.get("TIFFIN_TEST_POSTGRES_URL", "")
    if not url:
        pytest.skip("no PostgreSQL: TIFFIN_TEST_POSTGRES_URL is not set")
    name = f"views_{uuid.uuid4().hex[:8]}"
    owner = open_database(url)
    with owner.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    made = open_database(owner.url.set(database=name).render_as_string(hide_password=False))
    migrate(made)
    yield made
    made.close()
    with owner.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    owner.close()


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, KafkaBus]]:
    """Bootstrap servers, a topic of its own that stands in for the commands', and a bus."""
    bootstrap = os.environ.get("TIFFIN_TEST_KAFKA_BOOTSTRAP", "")
    if not bootstrap:
        pytest.skip("no Kafka: TIFFIN_TEST_KAFKA_BOOTSTRAP is not set")
    topic = f"views-{uuid.uuid4().hex[:8]}"
    bus = KafkaBus(bootstrap)
    bus.ensure_topics([topic], 4, 1)
    monkeypatch.setattr("flows.rebuild.CATALOG_COMMANDS", topic)
    yield bootstrap, topic, bus
    bus.close()


def test_two_workers_make_the_views_that_one_makes_and_a_rebuild_agrees(
    database: Database, kafka: tuple[str, str, KafkaBus], tmp_path: Path
) -> None:
    bootstrap, topic, bus = kafka

    def run(job: Callable[[Connection], Any]) -> Any:
        with database.engine.connect() as connection, connection.begin():
            return job(connection)

    def worker() -> Projector:
        opener = partial(GroupConsumer, bootstrap, topic, f"group-{topic}")
        return Projector(
            open_consumer=lambda start: opener(start), read=run, write=run, clock=lambda: datetime.now(UTC),
            jitter=random.random, log=logger("test"),
        )  # fmt: skip

    assert bus.publish(topic, [message(one) for one in LIST + OTHER]) == [None] * len(LIST + OTHER)
    workers = [worker(), worker()]
    for one in workers:
        one.start()
    give_up = time.monotonic() + GENEROUS
    while sum(run(views.offsets).values()) < len(LIST + OTHER):
        assert time.monotonic() < give_up, [one.health for one in workers]
        time.sleep(0.1)
    for one in workers:
        assert one.stop(30)
    with opened(tmp_path) as embedded:
        embedded.tell(*LIST, *OTHER)
        assert run(views.view_hash) == embedded.hash()
    assert rebuilt(database, bus, tmp_path).same


def rebuilt(database: Database, bus: KafkaBus, folder: Path) -> Rebuilt:
    @contextmanager
    def transaction() -> Iterator[Connection]:
        with database.engine.connect() as connection, connection.begin():
            yield connection

    return rebuild(bus, folder, transaction, transaction)
