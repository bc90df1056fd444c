"""The overview's stream: what it tells, how many there may be, and when it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from server.desk import live
from tests.flows.scenery import stock
from tests.server.desk_visits import Visitor

URL = "/desk/live"


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(live.Live.__init__, "__defaults__", (0.02,))


def events(answer: httpx.Response) -> Iterator[tuple[str, str]]:
    """(name, data) of each event; a comment has the name ""."""
    name, data = "", ""
    for line in answer.iter_lines():
        if line.startswith(":"):
            yield "", line
        elif line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            data = line[6:]
        elif not line and name:
            yield name, data
            name = ""


def until(found: Iterator[tuple[str, str]], text: str) -> str:
    return next(data for name, data in found if name == "overview" and text in json.loads(data))


def test_what_comes_is_told_without_being_asked_for(running) -> None:
    visitor = Visitor(running, "viewer")
    with visitor.client.stream("GET", URL) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        found = events(answer)
        until(found, "<strong>0</strong> received")
        running.post(stock(a="5"))
        until(found, "<strong>1</strong> received")
        running.post(stock("e-2", a="wrong"))
        until(found, "<strong>1</strong> validation failures")


def test_nothing_new_is_told_by_a_sign_of_life(running) -> None:
    with Visitor(running).client.stream("GET", URL) as answer:
        assert ("", ": still here") in events(answer)


def test_a_stream_ends_with_its_session(running) -> None:
    visitor = Visitor(running)
    with visitor.client.stream("GET", URL) as answer:
        found = events(answer)
        next(found)
        other = httpx.Client(base_url=visitor.client.base_url, cookies=visitor.client.cookies)
        assert other.post("/desk/sign-out", data={"csrf": visitor.csrf}).status_code == 303
        assert [name for name, _ in found if name][-1] == "over"


def test_who_is_not_signed_in_gets_no_stream(running) -> None:
    assert running.client.get(URL).headers["location"].startswith("/desk/sign-in")


@pytest.mark.parametrize("bound", ["MOST", "MOST_OF_A_SESSION"])
def test_streams_are_bounded_and_a_place_is_free_again_when_one_ends(running, monkeypatch, bound) -> None:
    monkeypatch.setattr(live, bound, 1)
    visitor = Visitor(running)
    with visitor.client.stream("GET", URL) as first:
        found = events(first)
        next(found)
        refused = visitor.get(URL)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        with visitor.client.stream("GET", URL) as again:
            if again.status_code == 200:
                return
    raise AssertionError("the place was not given back")


def test_a_session_that_fills_its_places_leaves_those_of_others(running, monkeypatch) -> None:
    monkeypatch.setattr(live, "MOST_OF_A_SESSION", 1)
    one, other = Visitor(running), Visitor(running)
    with one.client.stream("GET", URL) as first, other.client.stream("GET", URL) as second:
        assert (first.status_code, second.status_code) == (200, 200)


def test_a_server_that_stops_ends_its_streams_at_once(settings, start, monkeypatch) -> None:
    running = start(settings)
    visitor = Visitor(running)
    with visitor.client.stream("GET", URL) as answer:
        found = events(answer)
        next(found)
        running._server.should_exit = True
        with pytest.raises(httpx.RemoteProtocolError):
            list(found)
        # Well before the half minute after which whatever is open would be cut off.
        running._thread.join(20)
        assert not running._thread.is_alive()
