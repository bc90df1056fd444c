"""Every golden case over HTTP against the real server: its reply, commands and failures stay the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import select

from engine.messages import Reply
from flows.golden import PUBLIC_URL, Case
from flows.journal import secret_box
from flows.settings import Settings
from flows.trial import DELIVERY, body_of
from stores import connections, mappings, tables
from tests.flows.scenery import database, ledger_difference
from tests.golden.cases import PROVIDERS, cases, interpreter_of, run
from tests.server.conftest import Running


def _delivers(case: Case) -> bool:
    """Questions are about views that these cases do not have, and a login's token tells its time."""
    interpreter = interpreter_of(case.provider)
    feed = interpreter.provider.feeds.get(case.feed)
    return feed is None or (feed.answer is None and feed.issue is None)


CASES = {f"c{n}": case for n, case in enumerate(cases()) if _delivers(case)}
"""By connection: each case has a connection and a tenant of its own, so that none is another's duplicate."""


@dataclass(frozen=True)
class Sent:
    """What the server answered to each case, and where it keeps its state."""

    settings: Settings
    replies: Mapping[str, list[httpx.Response]]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    settings = Settings(_env_file=None, data=tmp_path_factory.mktemp("golden"), providers=PROVIDERS, fetch=False)
    now = datetime.now(UTC)
    with database(settings, writing=True) as transaction:
        for name, case in CASES.items():
            owned = replace(case.context.connection, id=name, tenant=f"tenant-{name}")
            connections.add(transaction, owned, secret_box(settings), now)
            for ref, canonical in case.context.mappings.items():
                mappings.set_mapping(transaction, owned.tenant, case.provider, ref, canonical, now, "case")
    running = Running(settings)
    try:
        yield Sent(settings, {name: _send(running, name, case) for name, case in CASES.items()})
    finally:
        running.stop()


def _send(running: Running, connection: str, case: Case) -> list[httpx.Response]:
    interpreter = interpreter_of(case.provider)
    public_url = running.settings.public_url
    now = case.sent_through(interpreter, connection, public_url, datetime.now(UTC)).signed(interpreter)
    path = now.url.removeprefix(public_url)
    return [
        running.client.request(now.method, path, content=now.body, headers=now.headers) for _ in range(case.again + 1)
    ]


def _own_body(reply: httpx.Response, sent: Sent, connection: str) -> object:
    """The body that the provider file says, with a case's delivery id and URLs for its own; None for the receipt."""
    said = reply.content.replace(reply.headers.get("tiffin-delivery", DELIVERY).encode(), DELIVERY.encode())
    said = said.replace(sent.settings.public_url.encode(), PUBLIC_URL.encode())
    said = said.replace(f"/c/{connection}/".encode(), f"/c/{CASES[connection].context.connection.id}/".encode())
    body = body_of(Reply(reply.status_code, (), said))
    return None if isinstance(body, dict) and {"verdict", "problem"} & body.keys() else body


@pytest.mark.parametrize("connection", CASES, ids=lambda name: CASES[name].name)
def test_a_case_over_http_gets_the_reply_of_its_snapshot(sent: Sent, connection: str) -> None:
    for told, reply in zip(run(CASES[connection]), sent.replies[connection], strict=True):
        assert reply.status_code == told.reply.status
        said = body_of(told.reply)
        own = None if isinstance(said, dict) and "verdict" in said else said
        assert _timeless(_own_body(reply, sent, connection)) == _timeless(own)


_X12_TIME = re.compile(r"\*(?:\d{6}|\d{8})\*\d{4}\*")


def _timeless(body: object) -> object:
    """Without the times that an X12 acknowledgement carries."""
    return _X12_TIME.sub("*…*", body) if isinstance(body, str) else body


@pytest.mark.parametrize("connection", CASES, ids=lambda name: CASES[name].name)
def test_a_case_over_http_gives_as_many_commands_as_its_snapshot(sent: Sent, connection: str) -> None:
    d, o = tables.deliveries.c, tables.outcomes.c
    with database(sent.settings) as transaction:
        found = select(o.commands).join(tables.deliveries, d.id == o.delivery)
        counted = list(transaction.scalars(found.where(d.connection == connection).order_by(d.received_at)))
    told = [one for one in run(CASES[connection]) if one.verdict != "handshake"]
    assert counted == [len(one.outcome.commands) for one in told]


@pytest.mark.parametrize("connection", CASES, ids=lambda name: CASES[name].name)
def test_a_case_over_http_keeps_the_failures_of_its_snapshot(sent: Sent, connection: str) -> None:
    f = tables.failures.c
    with database(sent.settings) as transaction:
        kept = list(transaction.execute(select(f["class"], f.code).where(f.connection == connection)))
    failures = [failure for told in run(CASES[connection]) for failure in told.outcome.failures]
    # A signature of a fixed time is refused for its time here, and for itself at the case's own time.
    expected = [(x.cls, "" if x.cls == "auth" else x.code) for x in failures]
    assert sorted((cls, "" if cls == "auth" else code) for cls, code in kept) == sorted(expected)


def test_no_command_is_lost_on_the_way_to_the_outbox(sent: Sent) -> None:
    assert ledger_difference(sent.settings) == 0
