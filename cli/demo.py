"""`tiffin serve --demo`: a demo tenant, every golden request over HTTP, a table, and a server to look at."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from cli.errors import InputProblem
from cli.output import print_table

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
_START_SECONDS = 30


@dataclass(frozen=True)
class Sent:
    """One request of the demo and what came back."""

    provider: str
    feed: str
    case: str
    status: int
    verdict: str
    commands: int
    ms: float


def run_demo(settings: Any, host: str, port: int, once: bool) -> int:
    """Seeds, serves, sends and prints; with `once` it ends then. The exit status: 1 where an answer was a 5xx."""
    import schemas
    from flows.golden import cases
    from flows.providers import load_providers
    from server.run import Serving

    loaded = load_providers(settings.providers, schemas.canon())
    interpreters = {name: one.interpreter for name, one in loaded.items()}
    found = list(cases(GOLDEN, interpreters))
    if not found:
        raise InputProblem(f"There are no golden cases in {GOLDEN}: the demo is part of a checkout.")
    # The requests of golden cases are made up: no provider is to hear of them.
    serving = Serving(settings.model_copy(update={"fetch": False}), host, port)
    settings = serving.settings
    seed(settings, found)
    told: list[Sent] = []
    sender = threading.Thread(
        target=_send_when_ready, args=(serving.server, found, interpreters, settings, told, once), daemon=True
    )
    sender.start()
    serving.run()
    return 1 if any(one.status >= 500 for one in told) else 0


def seed(settings: Any, found: list[Any]) -> None:
    """The cases' connections and mappings. What stands already stays."""
    from cli.store import Store, now
    from stores import connections, mappings

    store = Store(settings)
    try:
        with store.writing() as transaction:
            for case in found:
                connection = case.context.connection
                with contextlib.suppress(connections.ConnectionExists):
                    connections.add(transaction, connection, store.box, now())
                for ref, canonical in case.context.mappings.items():
                    mappings.set_mapping(transaction, connection.tenant, case.provider, ref, canonical, now(), "demo")
    finally:
        store.database.close()


def _send_when_ready(
    server: Any, found: list[Any], interpreters: Any, settings: Any, told: list[Sent], once: bool
) -> None:
    try:
        if not _ready(server):
            return
        address = server.servers[0].sockets[0].getsockname()[:2]
        for case in found:
            interpreter = interpreters[case.provider]
            told.extend(_send(address, case, interpreter, settings.public_url) for _ in range(case.again + 1))
        _report(told, settings.public_url)
        if not once:
            click.echo(f"\n  support desk, works once: {_desk_link(settings)}")
    finally:
        if once or not told:
            server.should_exit = True


def _desk_link(settings: Any) -> str:
    from cli.store import Store, now, operator
    from flows.desk_sessions import link_path, make_link

    store = Store(settings)
    try:
        with store.writing() as transaction:
            return str(settings.public_url) + link_path(make_link(transaction, operator(), "admin", now()))
    finally:
        store.database.close()


def _ready(server: Any) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if server.should_exit or time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _send(address: tuple[str, int], case: Any, interpreter: Any, public_url: str) -> Sent:
    """Sends a case as its provider would: signed now, or with the headers as they stand."""
    sent = case.sent_through(interpreter, case.context.connection.id, public_url, datetime.now(UTC))
    request = sent.signed(interpreter)
    headers = {name.decode("latin-1"): value for name, value in request.headers}
    connection = http.client.HTTPConnection(*address, timeout=30)
    started = time.perf_counter()
    try:
        connection.request(request.method, request.url.removeprefix(public_url), request.body, headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    ms = (time.perf_counter() - started) * 1000
    verdict, commands = _outcome(address, response.headers.get("tiffin-delivery", ""), body)
    return Sent(
        case.provider,
        case.feed,
        case.name.removeprefix(f"{case.provider}-{case.feed}-"),
        response.status,
        verdict,
        commands,
        ms,
    )


def _outcome(address: tuple[str, int], delivery: str, body: bytes) -> tuple[str, int]:
    """What the receipt says; without one, what the answer says."""
    if delivery:
        connection = http.client.HTTPConnection(*address, timeout=30)
        try:
            connection.request("GET", f"/v1/deliveries/{delivery}")
            told = orjson.loads(connection.getresponse().read())
            return str(told.get("verdict", told.get("state", ""))), int(told.get("commands", 0))
        finally:
            connection.close()
    try:
        told = orjson.loads(body)
        return str(told.get("verdict", "")), int(told.get("commands", 0) or 0)
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return "", 0


def _report(told: list[Sent], public_url: str) -> None:
    rows = [(s.provider, s.feed, s.case, s.status, s.verdict, s.commands, f"{s.ms:.1f}") for s in told]
    print_table(("provider", "feed", "case", "status", "verdict", "commands", "ms"), rows)
    click.echo(f"\n{len(told)} requests, {sum(s.commands for s in told)} commands\n")
    for name, path in (("overview", "/"), ("ready", "/readyz"), ("metrics", "/metrics"), ("API", "/openapi.json")):
        click.echo(f"  {name:9} {public_url}{path}")
    click.echo("\n  tiffin tail catalog.commands --from-beginning --json")
    click.echo("  tiffin delivery list\n  tiffin failure list --causes")
