"""What is learned of a connection's pauses, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zlib import crc32

import pytest
from sqlalchemy import Connection, insert

from flows.alerting.habits import LONGEST, SHORTEST, Habits, allowance
from stores import alert_facts, desk_habits
from stores.alert_facts import Sender, id_at, id_time
from stores.database import open_database
from stores.tables import connections, deliveries

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def transaction(database_url: str) -> Iterator[Connection]:
    opened = open_database(database_url)
    with opened.engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection
    opened.close()


def stored(transaction: Connection, connection: str, *times: datetime) -> str:
    """Deliveries at these times; the id of the last."""
    ids = [f"{id_at(at)}{crc32(connection.encode()):08x}{n:024x}" for n, at in enumerate(times)]
    fixed = {"tenant": "north", "provider": "acme", "connection": connection, "feed": "f", "method": "POST", "url": "/",
             "headers": b"", "sealed": b"", "body": b"", "body_sealed": False, "peer": "", "spec_hash": "",
             "quarantined": ""}  # fmt: skip
    rows = [{**fixed, "id": id, "received_at": at} for id, at in zip(ids, times, strict=True)]
    transaction.execute(insert(deliveries), rows)
    return ids[-1]


def agreement(transaction: Connection, id: str, disabled: bool = False) -> None:
    values = {"id": id, "tenant": "north", "provider": "acme", "keys": [], "merchant": "", "stores": [], "allow": [],
              "settings": {}, "created_at": START, "changed_at": START,
              "disabled_at": START if disabled else None}  # fmt: skip
    transaction.execute(insert(connections).values(values))


def business_days(days: int) -> list[datetime]:
    """Every ten minutes from 9 to 21 o'clock."""
    return [START + timedelta(days=d, hours=9, minutes=10 * n) for d in range(days) for n in range(73)]


def test_the_pauses_of_nights_are_found_among_a_fortnight_of_days(transaction: Connection) -> None:
    times = business_days(14)
    newest = stored(transaction, "one", *times)
    stored(transaction, "other", *(at + timedelta(minutes=1) for at in times))
    found = desk_habits.pauses(transaction, "one", newest)
    slot = timedelta(milliseconds=1 << 20)
    nights = [b - a for a, b in pairwise(times) if b - a > HOUR]
    assert [pause > 11 * HOUR for pause in found].count(True) == len(nights) == 13
    assert max(found) - max(nights) <= slot
    assert all(pause < 2 * slot for pause in found[13:])


def test_what_is_older_than_a_fortnight_before_the_last_one_teaches_nothing(transaction: Connection) -> None:
    newest = stored(transaction, "one", START, START + timedelta(days=20), START + timedelta(days=20, hours=2))
    assert [round(one / HOUR) for one in desk_habits.pauses(transaction, "one", newest)] == [2]


@pytest.mark.parametrize(
    ("hours", "allowed"),
    [([], None), ([9, 5], None), ([48, 10, 1], 15 * HOUR), ([1000, 900, 800], LONGEST), ([0.3, 0.3, 0.3], SHORTEST)],
)
def test_half_as_much_again_as_the_second_longest_pause_is_allowed(hours: list[float], allowed: object) -> None:
    assert allowance([one * HOUR for one in hours]) == allowed


def habit_of(transaction: Connection, *asked: datetime) -> list[list[str]]:
    """Who is silent at each of these times."""
    habits = Habits()
    senders = alert_facts.senders(transaction)
    return [[one.sender.id for one in habits.silent(transaction, senders, at)] for at in asked]


def test_a_shop_that_closes_at_night_is_silent_only_when_it_does_not_open(transaction: Connection) -> None:
    for id in ("one", "new", "never"):
        agreement(transaction, id)
    agreement(transaction, "gone", disabled=True)
    times = business_days(10)
    stored(transaction, "one", *times)
    stored(transaction, "gone", *times)
    stored(transaction, "new", times[-1])
    last = times[-1]
    assert habit_of(transaction, last + 12 * HOUR, last + 17 * HOUR, last + 19 * HOUR) == [[], [], ["one"]]


def test_senders_are_the_connections_in_use_with_their_newest_delivery(transaction: Connection) -> None:
    for id in ("a", "b"):
        agreement(transaction, id)
    agreement(transaction, "c", disabled=True)
    newest = stored(transaction, "a", START, START + HOUR)
    assert alert_facts.senders(transaction) == [
        Sender("a", "north", "acme", newest),
        Sender("b", "north", "acme", ""),
    ]
    assert id_time(newest) == START + HOUR
