from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from stores import shards
from stores.database import open_database
from stores.shards import SHARDS, Lease, shard_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=60)
MUCH_LATER = LATER + timedelta(seconds=60)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    database = open_database(database_url)
    with database.engine.begin() as connection:
        shards.ensure(connection, NOW)
        yield connection
    database.close()


def test_a_shard_has_one_holder_at_a_time(connection: Connection) -> None:
    first = shards.claim(connection, "one", NOW, LATER, 10)
    second = shards.claim(connection, "two", NOW, LATER, SHARDS)
    assert [lease.shard for lease in first] == list(range(10))
    assert [lease.shard for lease in second] == list(range(10, SHARDS))
    assert shards.claim(connection, "three", NOW, LATER, SHARDS) == []


def test_an_expired_lease_is_claimed_with_a_higher_fence(connection: Connection) -> None:
    (old,) = shards.claim(connection, "one", NOW, LATER, 1)
    (new,) = shards.claim(connection, "two", LATER, MUCH_LATER, 1)
    assert (new.shard, new.fence) == (old.shard, old.fence + 1)


def test_a_fenced_out_holder_neither_stands_nor_renews_nor_releases(connection: Connection) -> None:
    old = shards.claim(connection, "one", NOW, LATER, 1)
    new = shards.claim(connection, "two", LATER, MUCH_LATER, 1)
    shards.release(connection, "one", old)
    assert shards.standing(connection, "one", old) == frozenset()
    assert shards.renew(connection, "one", old, MUCH_LATER) == []
    assert shards.standing(connection, "two", new) == {new[0].shard}


def test_an_earlier_start_of_the_same_owner_is_fenced_out_too(connection: Connection) -> None:
    old = shards.claim(connection, "one", NOW, LATER, 1)
    shards.leave(connection, "one")
    new = shards.claim(connection, "one", NOW, LATER, 1)
    assert shards.standing(connection, "one", old) == frozenset()
    assert shards.renew(connection, "one", old, MUCH_LATER) == []
    assert shards.standing(connection, "one", new) == {new[0].shard}


def test_an_expired_lease_that_nobody_took_still_stands_and_renews(connection: Connection) -> None:
    held = shards.claim(connection, "one", NOW, LATER, 2)
    assert shards.standing(connection, "one", held) == {0, 1}
    assert shards.renew(connection, "one", held, MUCH_LATER) == held
    assert shards.claim(connection, "two", LATER, MUCH_LATER, 1)[0].shard == 2


def test_a_released_shard_is_free_at_once(connection: Connection) -> None:
    held = shards.claim(connection, "one", NOW, LATER, 2)
    shards.release(connection, "one", held[:1])
    assert shards.claim(connection, "two", NOW, LATER, 1) == [Lease(held[0].shard, held[0].fence + 1)]


def test_a_relay_alone_holds_every_shard(connection: Connection) -> None:
    assert [lease.shard for lease in shards.hold(connection, "one", [], NOW, LATER)] == list(range(SHARDS))


def test_a_second_relay_gets_its_share_when_the_first_renews(connection: Connection) -> None:
    first = shards.hold(connection, "one", [], NOW, LATER)
    assert shards.hold(connection, "two", [], NOW, LATER) == []
    first = shards.hold(connection, "one", first, NOW, LATER)
    second = shards.hold(connection, "two", [], NOW, LATER)
    assert (len(first), len(second)) == (SHARDS // 2, SHARDS // 2)
    assert {lease.shard for lease in first} | {lease.shard for lease in second} == set(range(SHARDS))


def test_the_shards_of_a_relay_that_fell_silent_go_to_the_other(connection: Connection) -> None:
    shards.hold(connection, "one", shards.hold(connection, "one", [], NOW, LATER), NOW, LATER)
    second = shards.hold(connection, "two", [], LATER, MUCH_LATER)
    assert len(second) == SHARDS


def test_a_relay_that_leaves_frees_its_shards_and_its_seat(connection: Connection) -> None:
    shards.hold(connection, "one", [], NOW, LATER)
    assert shards.members(connection, NOW) == 1
    shards.leave(connection, "one")
    assert shards.members(connection, NOW) == 0
    assert len(shards.hold(connection, "two", [], NOW, LATER)) == SHARDS


def test_holding_again_keeps_the_fences(connection: Connection) -> None:
    held = shards.hold(connection, "one", [], NOW, LATER)
    assert shards.hold(connection, "one", held, NOW, LATER) == held


def test_ensuring_twice_changes_nothing(connection: Connection) -> None:
    held = shards.claim(connection, "one", NOW, LATER, 3)
    shards.ensure(connection, LATER)
    assert shards.standing(connection, "one", held) == {0, 1, 2}


def test_the_shard_of_a_key_never_changes() -> None:
    assert [shard_of(key) for key in ("", "T/store_1", "T/store_2")] == [0, 46, 20]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_key_has_a_shard(key: str) -> None:
    assert 0 <= shard_of(key) < SHARDS
