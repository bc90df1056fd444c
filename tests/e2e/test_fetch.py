"""What a thin event leaves out is fetched by a server, from a provider that answers from a script."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import postgres
from tests.e2e import fetches
from tests.e2e.fetches import FIRST, LAST, TOKEN, awaited, catalogue, cursors, ended, tell
from tests.e2e.tiffin import Tiffin
from tests.recorded import Answer, Asked, Recorded, Script, endless, page

WHOLE = {"RequestRefresh": 1, "UpsertCategory": 1, "UpsertCatalogItem": 2, "UpsertVariant": 2, "Retire": 1}
Begin = Callable[..., Tiffin]


def good(number: int, asked: Asked) -> Answer:
    """Two pages."""
    return page(LAST if asked.json.get("cursor") else FIRST)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with Recorded(good) as found:
        yield found


@pytest.fixture
def begin(tmp_path: Path, recorded: Recorded) -> Iterator[Begin]:
    """Starts a server that asks the recorded one."""
    made: list[Tiffin] = []

    def start(script: Script = good, *serving: str, **options: Any) -> Tiffin:
        recorded.script = script
        tiffin = fetches.install(tmp_path, recorded, **options)
        made.append(tiffin)
        tiffin.start(*serving)
        return tiffin

    yield start
    for tiffin in made:
        tiffin.close()


def failed(tiffin: Tiffin) -> tuple[str, dict[str, Any]]:
    """The code of the failure that the delivery which asked has, and the job."""
    (job,) = ended(tiffin, "failed")
    (failure,) = [one for one in tiffin.json("failure", "list") if one["delivery"] == job["cause"]]
    return failure["code"], job


def test_pages_of_the_catalogue_become_commands_on_the_bus_with_their_cause(begin: Begin, recorded: Recorded) -> None:
    tiffin = begin()
    cause = tell(tiffin)
    (job,) = ended(tiffin)
    assert (job["pages"], job["cause"], job["last_error"]) == (2, cause, None)
    tiffin.settled()
    assert catalogue(tiffin) == WHOLE
    assert [asked.method for asked in recorded.asked] == ["POST", "POST"]
    assert cursors(recorded.asked) == [None, FIRST["cursor"]]
    assert {asked.headers["authorization"] for asked in recorded.asked} == {f"Bearer {TOKEN}"}
    pages = [one["delivery"] for one in tiffin.json("fetch", "show", job["id"])["deliveries"]]
    refresh, *others = tiffin.commands()
    assert refresh["deliveryid"] == cause
    assert {event["deliveryid"] for event in others} == set(pages)
    for number, delivery in enumerate(pages, 1):
        headers = dict(tiffin.json("delivery", "show", delivery)["request"]["headers"])
        assert (headers["tiffin-cause"], headers["tiffin-page"]) == (cause, str(number))
    written = b"".join(file.read_bytes() for file in tiffin.data.rglob("*") if file.is_file())
    assert TOKEN.encode() not in written
    assert TOKEN not in json.dumps(tiffin.log)


def test_a_page_that_is_replayed_emits_what_it_did_and_no_more(begin: Begin) -> None:
    tiffin = begin()
    tell(tiffin)
    (job,) = ended(tiffin)
    before = {event["id"] for event in tiffin.settled() and tiffin.commands()}
    page = tiffin.json("fetch", "show", job["id"])["deliveries"][0]["delivery"]
    tiffin.run("delivery", "replay", page, "--yes")
    assert tiffin.settled()["difference"] == 0
    assert {event["id"] for event in tiffin.commands()} == before
    assert len(tiffin.commands()) == len(before)


def test_the_next_event_asks_for_what_has_changed_since(begin: Begin, recorded: Recorded) -> None:
    tiffin = begin()
    tell(tiffin)
    ended(tiffin)
    recorded.script = lambda _, __: page({})
    tell(tiffin, 2)
    ended(tiffin, count=2)
    first, _, third = (asked.json for asked in recorded.asked)
    assert "begin_time" not in first
    assert third["begin_time"].endswith("Z")
    tiffin.settled()
    assert catalogue(tiffin) == {**WHOLE, "RequestRefresh": 2}
    assert tiffin.json("failure", "list") == []


def test_what_is_told_many_times_meanwhile_is_asked_once(begin: Begin, recorded: Recorded) -> None:
    held, free = threading.Event(), threading.Event()

    def slow(number: int, asked: Asked) -> Answer:
        held.set()
        assert free.wait(60)
        return page({})

    tiffin = begin(slow)
    tell(tiffin)
    assert held.wait(30)
    for number in range(2, 8):
        tell(tiffin, number)
    awaited(tiffin, lambda: len(tiffin.json("fetch", "list")) == 2)
    tiffin.settled()
    free.set()
    ended(tiffin, count=2)
    assert len(recorded.asked) == 2


def test_a_provider_that_wants_to_be_left_alone_is_asked_again_when_it_says(begin: Begin, recorded: Recorded) -> None:
    def script(number: int, asked: Asked) -> Answer:
        if number == 0:
            return Answer(429, headers=(("Retry-After", "2"),))
        return Answer(500) if number == 1 else good(number, asked)

    tiffin = begin(script)
    tell(tiffin)
    (job,) = ended(tiffin)
    assert (job["pages"], len(recorded.asked)) == (2, 4)
    again = [line for line in tiffin.log if line["event"] == "fetch_again"]
    assert [line["reason"] for line in again] == ["the provider answered 429", "the provider answered 500"]
    assert again[0]["retry_in"] == 2.0
    tiffin.settled()
    assert catalogue(tiffin) == WHOLE
    told = tiffin.client.get(f"{tiffin.url}/metrics").text
    assert 'tiffin_fetches_total{result="again"} 2.0' in told
    assert 'tiffin_fetches_total{result="page"} 2.0' in told


@pytest.mark.parametrize("moment", ["while_it_is_asked", "once_it_is_there"])
def test_a_server_that_is_killed_goes_on_with_the_page_and_doubles_nothing(
    begin: Begin, recorded: Recorded, moment: str
) -> None:
    reached, free = threading.Event(), threading.Event()

    def script(number: int, asked: Asked) -> Answer:
        if number == 1 and moment == "while_it_is_asked":
            reached.set()
            free.wait(60)
        return good(number, asked)

    tiffin = begin(script)
    tell(tiffin)
    if moment == "while_it_is_asked":
        assert reached.wait(30)
    else:
        awaited(tiffin, lambda: recorded.asked, 30)
    tiffin.kill_all()
    free.set()
    asked = len(recorded.asked)
    tiffin.start()
    (job,) = ended(tiffin)
    assert job["pages"] == 2
    ledger = tiffin.settled()
    assert ledger["difference"] == 0
    assert catalogue(tiffin) == WHOLE
    pages = [line for line in tiffin.json("delivery", "list") if line["feed"] == "catalog"]
    assert Counter(line["state"] for line in pages) == {"accepted": 2}
    assert len(recorded.asked) <= asked + 2


def test_an_expired_token_is_told_and_a_new_one_goes_on(begin: Begin, recorded: Recorded) -> None:
    def script(number: int, asked: Asked) -> Answer:
        return good(number, asked) if "second" in asked.headers["authorization"] else Answer(401)

    tiffin = begin(script)
    tell(tiffin)
    code, job = failed(tiffin)
    assert code == "fetch_unauthorized"
    assert len(recorded.asked) == 1
    (told,) = awaited(tiffin, lambda: tiffin.lines("tail", "integration.failures", "--from-beginning"))
    assert told["data"]["code"] == code
    assert f"tiffin fetch retry {job['id']}" in told["data"]["next_step"]
    assert TOKEN not in json.dumps([told, job, tiffin.log])
    tiffin.run("connection", "rotate", "teahouse", "--secret", "access_token=the-second-token-of-the-shop")
    told = tiffin.json("fetch", "retry", job["id"], "--why", "a new token")
    assert told["state"] == "open"
    ended(tiffin)
    tiffin.settled()
    assert catalogue(tiffin) == WHOLE
    assert tiffin.json("failure", "list") == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(302, headers=(("Location", "/v2/elsewhere"),)), "fetch_redirected"),
        (Answer(200, chunks=endless(b" " * 65_536)), "fetch_too_large"),
        (Answer(200, b"<html>Sign in</html>", (("Content-Type", "text/html"),)), "fetch_wrong_type"),
        (Answer(200, b'{"objects": ['), "fetch_unreadable"),
        (Answer(404), "fetch_refused"),
        (page({**FIRST, "cursor": "the-same"}), "fetch_endless"),
    ],
    ids=["redirect", "endless_page", "wrong_type", "broken", "not_found", "endless_pages"],
)
def test_an_answer_that_is_none_fails_the_delivery_that_asked(
    begin: Begin, recorded: Recorded, answer: Answer, code: str
) -> None:
    tiffin = begin(lambda _, __: answer, TIFFIN_MAX_BODY="200000")
    cause = tell(tiffin)
    found, job = failed(tiffin)
    assert (found, job["cause"]) == (code, cause)
    assert len(recorded.asked) == (2 if code == "fetch_endless" else 1)
    assert tiffin.running


def test_a_provider_that_is_not_public_is_asked_where_a_setting_says_so_alone(begin: Begin, recorded: Recorded) -> None:
    tiffin = begin(TIFFIN_FETCH_ALLOW="")
    tell(tiffin)
    assert failed(tiffin)[0] == "fetch_private_address"
    assert recorded.asked == []


def test_a_poll_asks_by_itself_and_again(begin: Begin, recorded: Recorded) -> None:
    def often(text: str) -> str:
        return text.replace("              feed: catalog\n", "              feed: catalog\n              every: 1s\n")

    tiffin = begin(lambda _, __: page({}), change=often)
    awaited(tiffin, lambda: len(recorded.asked) >= 3)
    (poll,) = tiffin.json("fetch", "list")
    assert (poll["every"], poll["cause"]) == (1, None)
    tiffin.run("fetch", "cancel", poll["id"], "--why", "enough")
    assert tiffin.json("fetch", "show", poll["id"])["state"] == "cancelled"
    assert "begin_time" in recorded.asked[-1].json


@pytest.mark.timeout(300)
def test_two_workers_ask_once(begin: Begin, recorded: Recorded, postgres_database: str) -> None:
    tiffin = begin(good, "--workers", "2", TIFFIN_DATABASE_URL=postgres_database, TIFFIN_SECRET_KEY=postgres.KEY)
    cause = tell(tiffin)
    (job,) = ended(tiffin)
    assert (job["pages"], job["cause"]) == (2, cause)
    assert tiffin.settled()["difference"] == 0
    assert catalogue(tiffin) == WHOLE
    assert len(recorded.asked) == 2


def test_an_operator_begins_a_fetch_and_the_audit_knows(begin: Begin, recorded: Recorded) -> None:
    tiffin = begin()
    told = tiffin.json("fetch", "start", "square", "--kind", "catalog", "--full")
    (job,) = ended(tiffin)
    assert (job["id"], job["pages"]) == (told["id"], 2)
    assert tiffin.run("audit", "list").count("fetch.start") == 1
    assert "is done" in tiffin.done("fetch", "retry", job["id"]).stderr
