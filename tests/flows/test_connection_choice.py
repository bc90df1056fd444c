import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from engine.failures import Failure, Unauthorized
from engine.messages import Connection, Request
from flows.connections import MOST_CANDIDATES, Directory, candidates, indexed, verified

ONE = Connection("one", "north", "acme", {"key": (b"1",)}, keys=("R-1",))
TWO = Connection("two", "south", "acme", {"key": (b"2",)}, keys=("R-2", "shared"))
THREE = Connection("three", "west", "acme", {"key": (b"2",)}, keys=("shared",))
OTHER = Connection("other", "north", "bmart", {"key": (b"1",)}, keys=("R-1",))
ALL = indexed((ONE, TWO, THREE, OTHER))


class Provider:
    """A double of an interpreter: a request's body is the secret that signed it."""

    def __init__(self, key: str | None = None, has_expression: bool = True) -> None:
        self.provider = SimpleNamespace(provider="acme")
        self._key, self._has_expression = key, has_expression

    def chooses_connection(self, feed: str) -> bool:
        return self._has_expression

    def connection_key(self, feed: str, request: Request) -> str | None:
        return self._key

    def verify(self, feed: str, request: Request, connection: Connection, fetched: object) -> None:
        if request.body not in connection.secrets["key"]:
            raise Unauthorized(Failure("auth", "signature_mismatch", "No.", "Sign it."))


def request(body: bytes = b"1", query: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request("POST", "u", "/p", query, (), body, "", datetime(2026, 1, 1, tzinfo=UTC))


def chosen(provider: Provider, named: str = "", **asked) -> list[str]:
    return [c.id for c in candidates(ALL, provider, "stock", request(**asked), named)]


def test_the_connection_in_the_path_goes_before_all_else():
    assert chosen(Provider("R-2"), "one", query=(("connection", "two"),)) == ["one"]


def test_the_connection_in_the_query_goes_before_the_expression():
    assert chosen(Provider("R-2"), query=(("connection", "one"),)) == ["one"]


def test_the_expression_chooses_by_key():
    assert chosen(Provider("R-2")) == ["two"]


def test_a_key_of_another_provider_does_not_count():
    assert chosen(Provider("R-3")) == []


@pytest.mark.parametrize("named", ["other", "nobody"])
def test_a_connection_of_another_provider_or_of_none_is_no_candidate(named):
    assert chosen(Provider("R-1"), named) == []


def test_a_message_without_the_key_has_no_candidates():
    assert chosen(Provider(None)) == []


def test_a_provider_without_an_expression_tries_all_its_connections():
    assert chosen(Provider(has_expression=False)) == ["one", "two", "three"]


def test_the_connection_is_the_one_whose_secret_verifies():
    assert verified(Provider(), "stock", (ONE, TWO), request(b"2")) is TWO


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((), "connection_unknown"),
        ((ONE,), "signature_mismatch"),
        ((TWO, THREE), "connection_ambiguous"),
        ((TWO,) * (MOST_CANDIDATES + 1), "connection_ambiguous"),
    ],
)
def test_none_or_several_is_unauthorized(found, code):
    with pytest.raises(Unauthorized) as refusal:
        verified(Provider(), "stock", found, request(b"2"))
    assert refusal.value.failure.code == code


class Store:
    def __init__(self) -> None:
        self.version, self.connections, self.loads, self.looks = 1, (ONE,), 0, 0

    async def marker(self) -> int:
        self.looks += 1
        return self.version

    async def load(self):
        self.loads += 1
        return self.connections


def test_the_directory_reads_anew_when_the_marker_moved():
    store, clock = Store(), [0.0]
    directory = Directory(store.marker, store.load, fresh=0.5, clock=lambda: clock[0])

    async def ids():
        return list((await directory.current()).by_id)

    assert asyncio.run(ids()) == ["one"]
    store.version, store.connections = 2, (ONE, TWO)
    clock[0] = 0.4
    assert asyncio.run(ids()) == ["one"]
    clock[0] = 0.6
    assert asyncio.run(ids()) == ["one", "two"]


def test_the_directory_does_not_read_again_while_nothing_moved():
    store, clock = Store(), [0.0]
    directory = Directory(store.marker, store.load, fresh=0.5, reload=10, clock=lambda: clock[0])
    for now in (0.0, 0.6, 1.2, 1.3):
        clock[0] = now
        asyncio.run(directory.current())
    assert (store.loads, store.looks) == (1, 3)


def test_the_directory_reads_again_after_a_while_since_secrets_expire_by_themselves():
    store, clock = Store(), [0.0]
    directory = Directory(store.marker, store.load, fresh=0.5, reload=10, clock=lambda: clock[0])
    for now in (0.0, 11.0):
        clock[0] = now
        asyncio.run(directory.current())
    assert store.loads == 2
