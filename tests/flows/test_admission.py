import asyncio
import gzip

import pytest

from flows.admission import Gate, Turns, weight


@pytest.mark.parametrize(
    ("body", "bytes_read"),
    [(b"", 0), (b'{"a": 1}', 8), (gzip.compress(b" " * 100_000), 100_000), (b"PK\x03\x04" + b"x" * 996, 20_000)],
)
def test_a_compressed_body_weighs_what_it_expands_to(body, bytes_read):
    assert weight(body) == bytes_read


def test_the_gate_never_holds_more_than_its_limit():
    gate = Gate(100)
    assert [gate.take(size) for size in (60, 50, 40, 1)] == [True, False, True, False]
    assert gate.held == 100


def test_what_is_given_back_can_be_taken_again():
    gate = Gate(100)
    gate.take(100)
    gate.give(30)
    assert gate.take(30)


@pytest.fixture
def entered():
    return []


async def _stay(turns: Turns, name: str, size: int, entered: list[str], leave: asyncio.Event) -> None:
    await turns.enter(size)
    entered.append(name)
    await leave.wait()
    turns.leave(size)


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_body_of_the_greatest_size_runs_alone(entered):
    async def scenario():
        turns, leave = Turns(8), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(_stay(turns, "first", 8, entered, leave))
            group.create_task(_stay(turns, "second", 1, entered, leave))
            await _settle()
            assert entered == ["first"]
            leave.set()

    asyncio.run(scenario())
    assert entered == ["first", "second"]


def test_smaller_bodies_run_side_by_side(entered):
    async def scenario():
        turns, leave = Turns(8), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for name in ("first", "second", "third"):
                group.create_task(_stay(turns, name, 4, entered, leave))
            await _settle()
            assert entered == ["first", "second"]
            leave.set()

    asyncio.run(scenario())


def test_a_small_body_does_not_overtake_a_large_one_that_waits(entered):
    async def scenario():
        turns, leave = Turns(8), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for name, size in (("first", 4), ("large", 8), ("small", 1)):
                group.create_task(_stay(turns, name, size, entered, leave))
            await _settle()
            assert entered == ["first"]
            leave.set()

    asyncio.run(scenario())
    assert entered == ["first", "large", "small"]


def test_who_gives_up_waiting_leaves_its_place_to_the_next(entered):
    async def scenario():
        turns, leave = Turns(8), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(_stay(turns, "first", 8, entered, leave))
            impatient = asyncio.create_task(_stay(turns, "impatient", 8, entered, leave))
            group.create_task(_stay(turns, "third", 8, entered, leave))
            await _settle()
            impatient.cancel()
            await _settle()
            leave.set()

    asyncio.run(scenario())
    assert entered == ["first", "third"]


def test_a_body_above_the_limit_still_gets_its_turn(entered):
    async def scenario():
        turns, leave = Turns(8), asyncio.Event()
        leave.set()
        await _stay(turns, "huge", 80, entered, leave)
        await _stay(turns, "next", 8, entered, leave)

    asyncio.run(scenario())
    assert entered == ["huge", "next"]
