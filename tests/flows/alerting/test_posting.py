"""Messages of alerts go to public addresses alone, to the one that was looked at, and follow no redirect."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from flows.alerting.posting import Poster, PostFailed
from tests.flows.alerting.receivers import LOOPBACK, Receiver, receiver


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def test_a_message_reaches_an_own_network_that_is_named(receiving: Receiver) -> None:
    assert Poster(LOOPBACK).post(receiving.url, b"{}", {"X-One": "1"}) == 204
    [(path, body, headers)] = receiving.told
    assert (path, body, headers["x-one"]) == ("/hook?token=do-not-show-me", b"{}", "1")
    assert headers["host"] == receiving.url.split("/")[2]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "fe80::1", "::ffff:127.0.0.1", "0.0.0.0",
     "100.64.0.1", "fd00::1", "nonsense"],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_an_address_that_is_not_public_is_not_connected_to(receiving: Receiver, address: str, scheme: str) -> None:
    url = receiving.url.replace("127.0.0.1", "hooks.example").replace("http", scheme, 1)
    with pytest.raises(PostFailed, match="not public"):
        Poster(resolve=lambda _: [address]).post(url, b"{}", {})
    assert receiving.told == []


def test_every_address_of_a_name_is_looked_at(receiving: Receiver) -> None:
    with pytest.raises(PostFailed, match="not public"):
        Poster(resolve=lambda _: ["8.8.8.8", "127.0.0.1"]).post("https://hooks.example/", b"{}", {})


def test_a_name_is_looked_up_once_and_that_address_is_connected_to(receiving: Receiver) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.9"]])
    url = receiving.url.replace("127.0.0.1", "hooks.example")
    assert Poster(LOOPBACK, resolve=lambda _: next(answers)).post(url, b"{}", {}) == 204
    assert receiving.told[0][2]["host"].startswith("hooks.example:")
    assert next(answers) == ["127.0.0.9"]


def test_http_to_a_public_address_is_refused() -> None:
    with pytest.raises(PostFailed, match="https is needed"):
        Poster(LOOPBACK, resolve=lambda _: ["8.8.8.8"]).post("http://hooks.example/", b"{}", {})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiving: Receiver, status: int) -> None:
    receiving.status = status
    with pytest.raises(PostFailed, match="redirects are not followed"):
        Poster(LOOPBACK).post(receiving.url, b"{}", {})
    assert len(receiving.told) == 1


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_another_answer_is_a_failure_that_names_the_host_alone(receiving: Receiver, status: int) -> None:
    receiving.status = status
    with pytest.raises(PostFailed) as failed:
        Poster(LOOPBACK).post(receiving.url, b"{}", {})
    assert str(failed.value) == f"127.0.0.1 answered {status}"


@pytest.mark.parametrize("resolved", [[], OSError("no such host")])
def test_a_host_that_is_not_known_is_a_failure(resolved: object) -> None:
    def resolve(_: str) -> list[str]:
        if isinstance(resolved, OSError):
            raise resolved
        return []

    with pytest.raises(PostFailed, match=r"hooks\.example"):
        Poster(resolve=resolve).post("https://hooks.example/", b"{}", {})


def test_a_receiver_that_drips_is_left_when_the_time_is_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip() -> None:
            taken, _ = server.accept()
            with taken:
                taken.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.02):
                    try:
                        taken.sendall(b"X")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(PostFailed, match="too slow"):
            Poster(LOOPBACK, seconds=0.3).post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
        over.set()
        thread.join(10)


def test_a_server_whose_certificate_is_not_trusted_gets_nothing(receiving: Receiver) -> None:
    with pytest.raises(PostFailed, match="could not be reached"):
        Poster(LOOPBACK, seconds=5).post(receiving.url.replace("http:", "https:"), b"{}", {})
    assert receiving.told == []
