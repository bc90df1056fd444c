"""Groups of readers, against librdkafka's mock cluster and the broker that TIFFIN_TEST_KAFKA_BOOTSTRAP names."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator

import orjson
import pytest
from confluent_kafka import Producer

from bus import Message
from bus.kafka import KafkaBus
from bus.kafka_groups import GroupConsumer
from bus.messages import BusUnavailable, Stored

GENEROUS = 60.0


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1})
    yield ",".join(f"{broker.host}:{broker.port}" for broker in owner.list_topics(timeout=10).brokers.values())
    owner.close()


@pytest.fixture(params=["mock", "real"])
def cluster(request: pytest.FixtureRequest, mock: str) -> str:
    if request.param == "mock":
        return mock
    found = os.environ.get("TIFFIN_TEST_KAFKA_BOOTSTRAP", "")
    if not found:
        pytest.skip("no Kafka: TIFFIN_TEST_KAFKA_BOOTSTRAP is not set")
    return found


@pytest.fixture
def topic(cluster: str, mock: str) -> Iterator[str]:
    name = f"groups-{uuid.uuid4().hex[:8]}"
    bus = KafkaBus(cluster)
    if cluster != mock:  # the mock cluster makes topics of four partitions when they are written to
        bus.ensure_topics([name], 4, 1)
    assert bus.publish(name, [message(n) for n in range(40)]) == [None] * 40
    yield name
    bus.close()


def message(number: int) -> Message:
    event = {"specversion": "1.0", "id": f"id-{number}", "source": "/s", "type": "t", "data": {"n": number}}
    return Message(f"id-{number}", f"key-{number % 8}".encode(), orjson.dumps(event))


def taken(*members: GroupConsumer, until: Callable[[list[Stored]], bool]) -> list[Stored]:
    """What the members take in turn until it is enough."""
    found: list[Stored] = []
    give_up = time.monotonic() + GENEROUS
    while not until(found):
        for member in members:
            found += member.take(100)
        assert time.monotonic() < give_up, len(found)
    return found


def of_all(count: int) -> Callable[[list[Stored]], bool]:
    return lambda found: len({one.id for one in found}) >= count


@pytest.fixture
def member(cluster: str, topic: str) -> Iterator[Callable[..., GroupConsumer]]:
    opened: list[GroupConsumer] = []

    def begin(start: Callable[[int], int] = lambda _: 0, group: str = "") -> GroupConsumer:
        settings = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        opened.append(GroupConsumer(cluster, topic, group or f"group-{topic}", start, settings))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def test_a_lone_member_takes_every_partition_in_order(member: Callable[..., GroupConsumer]) -> None:
    only = member()
    found = taken(only, until=of_all(40))
    assert len(found) == 40
    for partition in {one.partition for one in found}:
        offsets = [one.offset for one in found if one.partition == partition]
        assert offsets == list(range(len(offsets)))
    assert only.behind() == 0


def test_it_begins_where_it_is_told_to_and_not_where_the_group_was(member: Callable[..., GroupConsumer]) -> None:
    first = member()
    whole = taken(first, until=of_all(40))
    ends = {p: 1 + max(one.offset for one in whole if one.partition == p) for p in {one.partition for one in whole}}
    first.close()
    again = member(lambda partition: ends.get(partition, 0) - 1 if partition in ends else 0)
    found = taken(again, until=of_all(len(ends)))
    assert {(one.partition, one.offset) for one in found} == {(p, end - 1) for p, end in ends.items()}


def test_a_restarted_member_takes_the_same_again(member: Callable[..., GroupConsumer]) -> None:
    only = member()
    first = taken(only, until=of_all(40))
    only.restart()
    again: list[Stored] = taken(only, until=of_all(40))
    assert sorted(again) == sorted(first)


def test_two_members_share_the_partitions_and_one_takes_over_from_the_other(
    member: Callable[..., GroupConsumer],
) -> None:
    done: dict[int, int] = {}
    one, other = member(lambda p: done.get(p, 0)), member(lambda p: done.get(p, 0))
    by_member: list[set[int]] = [set(), set()]
    give_up = time.monotonic() + GENEROUS
    while not (by_member[0] and by_member[1] and not by_member[0] & by_member[1]):
        done.clear()
        by_member = [set(), set()]
        for _ in range(10):
            for n, each in enumerate((one, other)):
                by_member[n] |= {m.partition for m in each.take(100)}
        one.restart()
        other.restart()
        assert time.monotonic() < give_up
    one.close()
    found = taken(other, until=of_all(40))
    assert {message.partition for message in found} >= by_member[0]


def test_brokers_that_are_away_are_told_apart_from_silence() -> None:
    away = GroupConsumer("127.0.0.1:1", "nothing", "group", lambda _: 0)
    give_up = time.monotonic() + GENEROUS

    def listen() -> None:
        while time.monotonic() < give_up:
            away.take(1)

    with pytest.raises(BusUnavailable):
        listen()
    away.close()
