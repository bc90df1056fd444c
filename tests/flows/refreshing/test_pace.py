"""How fast a connection's provider is asked."""

from __future__ import annotations

import asyncio

import pytest

from flows.refreshing import pace
from flows.refreshing.pace import Pace


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(pace.asyncio, "sleep", found.sleep)
    return found


def test_so_many_requests_a_second_are_sent_for_a_connection(time: Time) -> None:
    async def run() -> None:
        paced = Pace(time)
        for _ in range(3):
            await paced.turn("one", 5)
        await paced.turn("two", 5)

    asyncio.run(run())
    assert time.slept == [0.2, 0.2]


def test_nothing_is_asked_before_the_provider_wants_it(time: Time) -> None:
    paced = Pace(time)
    paced.hold("one", 30)
    paced.hold("one", 7)
    assert (paced.held("one"), paced.held("two")) == (30.0, 0.0)


def test_connections_that_rest_are_forgotten(time: Time) -> None:
    async def run() -> int:
        paced = Pace(time, most=10)
        for n in range(50):
            await paced.turn(f"c-{n}", 1000)
            time.now += 1
        return len(paced._next)

    assert asyncio.run(run()) <= 10
