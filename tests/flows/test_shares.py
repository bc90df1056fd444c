"""A connection's share of the requests under way."""

from __future__ import annotations

import pytest

from engine.messages import Connection
from flows.shares import SETTING, ShareFull, Shares


def connection(id: str = "one", **settings: object) -> Connection:
    return Connection(id, "north", "acme", {}, settings=settings)


def test_a_connection_has_no_more_under_way_than_its_share() -> None:
    shares = Shares(4, 50)
    with shares.one_of(connection()), shares.one_of(connection()):
        with pytest.raises(ShareFull), shares.one_of(connection()):
            pass
        with shares.one_of(connection("two")):
            assert shares.under_way == {"one": 2, "two": 1}
    assert shares.under_way == {}


def test_what_fails_gives_its_place_back() -> None:
    shares = Shares(1, 100)
    with pytest.raises(RuntimeError), shares.one_of(connection()):
        raise RuntimeError
    assert shares.under_way == {}


@pytest.mark.parametrize(("own", "most"), [(25, 5), (100, 20), (1, 1), (0, 10), (101, 10), ("25", 10), (True, 10)])
def test_a_share_of_its_own_holds_where_it_is_a_percentage(own: object, most: int) -> None:
    assert Shares(20, 50).most(connection(**{SETTING: own})) == most
