"""A few variants of every golden case over HTTP, signed anew: whatever comes, the server has an answer, and no 500."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import func, select

from engine.failures import Refusal
from engine.signing import Unsignable
from flows.golden import Case
from flows.journal import secret_box
from flows.settings import Settings
from flows.variant_bodies import tree_of
from stores import connections, mappings, tables
from tests.flows.scenery import database, ledger_difference
from tests.golden.cases import PROVIDERS, cases, interpreter_of, run
from tests.server.conftest import Running

SHARE = 12
"""Variants of one case."""


def varied(case: Case) -> list[bytes]:
    """The variants that can be signed; none of a feed that answers before its work is done."""
    compiled = interpreter_of(case.provider).feeds.get(case.feed)
    tree = tree_of(compiled.feed, case.request) if compiled and case.signs and not compiled.feed.ack else None
    if tree is None or run(case)[0].verdict == "unauthorized":
        return []
    return [body for one in tree.variants(SHARE) if signable(case, body := tree.encode(one.document))]


def signable(case: Case, body: bytes) -> bool:
    """Whether the parts that are signed are still there."""
    try:
        replace(case, request=replace(case.request, body=body)).signed(interpreter_of(case.provider))
    except (Unsignable, Refusal):
        return False
    return True


BODIES = {f"v{n}": (case, bodies) for n, case in enumerate(cases()) if (bodies := varied(case))}
"""By connection: each case has one of its own, and a tenant."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(_env_file=None, data=tmp_path_factory.mktemp("variants"), providers=PROVIDERS, fetch=False)


@pytest.fixture(scope="module")
def replies(settings: Settings) -> Iterator[list[tuple[str, httpx.Response]]]:
    now = datetime.now(UTC)
    with database(settings, writing=True) as transaction:
        for name, (case, _) in BODIES.items():
            owned = replace(case.context.connection, id=name, tenant=f"tenant-{name}")
            connections.add(transaction, owned, secret_box(settings), now)
            for ref, canonical in case.context.mappings.items():
                mappings.set_mapping(transaction, owned.tenant, case.provider, ref, canonical, now, "case")
    running = Running(settings)
    try:
        yield [
            (case.name, send(running, name, case, body)) for name, (case, bodies) in BODIES.items() for body in bodies
        ]
    finally:
        running.stop()


def send(running: Running, connection: str, case: Case, body: bytes) -> httpx.Response:
    interpreter, public_url = interpreter_of(case.provider), running.settings.public_url
    changed = replace(case, request=replace(case.request, body=body))
    now = changed.sent_through(interpreter, connection, public_url, datetime.now(UTC)).signed(interpreter)
    return running.client.request(now.method, now.url.removeprefix(public_url), content=now.body, headers=now.headers)


def test_no_variant_makes_the_server_fail_and_each_is_in_the_ledger(
    replies: list[tuple[str, httpx.Response]], settings: Settings
) -> None:
    """One test, since the variants are sent anew for each that runs in another process."""
    assert len(replies) >= len(BODIES) > 50
    assert [(name, reply.status_code) for name, reply in replies if reply.status_code >= 500] == []
    with database(settings) as transaction:
        received = transaction.scalar(select(func.count()).select_from(tables.deliveries))
        done = transaction.scalar(select(func.count()).select_from(tables.outcomes))
    assert received
    assert received == done
    assert ledger_difference(settings) == 0
