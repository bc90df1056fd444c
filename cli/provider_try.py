"""tiffin provider try: one request through a provider file, without storing or sending anything."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem
from cli.options import json_option, pairs
from cli.output import print_json

if TYPE_CHECKING:
    from engine.interpreter import Interpreter
    from flows.differences import Difference
    from flows.trial import Trial

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def interpreter_of(path: Path, overrides: Path | None = None) -> Interpreter:
    import schemas
    from flows.providers import load_provider, read_source, with_overrides

    loaded = load_provider(path, schemas.canon())
    return with_overrides(loaded, read_source(overrides).text if overrides else "").interpreter


def feed_of(interpreter: Interpreter, feed: str, *, or_handshake: bool = False) -> str:
    known = [*interpreter.feeds, *(interpreter.handshakes.by_name if or_handshake else ())]
    if feed not in known:
        what = "feed or handshake" if or_handshake else "feed"
        raise InputProblem(f"There is no {what} {feed}. The file has: {', '.join(known)}")
    return feed


@click.command("try")
@click.argument("file", type=_FILE)
@click.option("--feed", required=True, help="The feed or handshake to run.")
@click.option(
    "--body",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="File with the body; - for standard input. [default: no body]",
)
@click.option("--param", "params", multiple=True, help="name=value of a placeholder in the path; may be repeated.")
@click.option("--header", "headers", multiple=True, help="'Name: value'; may be repeated.")
@click.option("--query", "queries", multiple=True, help="name=value; may be repeated.")
@click.option("--context", type=_FILE, help="YAML or JSON with the connection and the mappings.")
@click.option("--overrides", type=_FILE, help="YAML with what a connection overrides.")
@click.option(
    "--unmapped",
    type=click.Choice(["create", "reject"]),
    default="create",
    show_default=True,
    help="create: unmapped stores keep the provider's id; reject: the file's own rule holds.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    help="NAME=VALUE, NAME=@file or NAME=env:VARIABLE; the signature is verified only when secrets are given.",
)
@click.option("--diff", type=_FILE, help="An older file of the provider: says what differs, by meaning.")
@click.option("--watch", is_flag=True, help="Try again whenever a file changes, until interrupted.")
@json_option
def try_(
    file: Path, feed: str, body: Path | None, params: tuple[str, ...], headers: tuple[str, ...],
    queries: tuple[str, ...], context: Path | None, overrides: Path | None, unmapped: str, secrets: tuple[str, ...],
    diff: Path | None, watch: bool, as_json: bool,
) -> None:  # fmt: skip
    """Runs one request through a provider file and shows verdict, key, commands, failures and reply.

    Nothing is stored or sent.

    \b
    Example:
      tiffin provider try providers/acme.yaml --feed stock --body sample.json
      tiffin provider try providers/acme.yaml --feed stock --body sample.json --diff acme.old.yaml --watch
    """
    if watch and str(body) == "-":
        raise click.UsageError("--watch needs a file as --body: standard input is read once")
    asked = _Asked(feed, body, params, headers, queries, context, overrides, unmapped, secrets, datetime.now(UTC))

    def once() -> bool:
        trial = asked.tried(interpreter_of(file, overrides))
        before = asked.tried(_older(diff, overrides)) if diff else None
        _show(trial, before, bool(secrets), as_json)
        return trial.verdict in _WELL

    if watch:
        _watch(once, [path for path in (file, body, context, overrides, diff) if path is not None])
        return
    with _uncollected():
        well = once()
    if not well:
        sys.exit(1)


@contextmanager
def _uncollected() -> Iterator[None]:
    """What is loaded for one request stays until the end: looking for garbage in it takes 5 % of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _older(path: Path, overrides: Path | None) -> Interpreter:
    import schemas
    from flows.providers import load_candidate, read_source, with_overrides

    loaded = load_candidate(path, schemas.canon())
    return with_overrides(loaded, read_source(overrides).text if overrides else "").interpreter


@dataclass(frozen=True)
class _Asked:
    """What was asked for on the command line."""

    feed: str
    body: Path | None
    params: tuple[str, ...]
    headers: tuple[str, ...]
    queries: tuple[str, ...]
    context: Path | None
    overrides: Path | None
    unmapped: str
    secrets: tuple[str, ...]
    at: datetime

    def tried(self, interpreter: Interpreter) -> Trial:
        from flows.golden import context_of, make_request, read_context
        from flows.trial import try_request

        feed_of(interpreter, self.feed, or_handshake=True)
        name = interpreter.provider.provider
        before = read_context(name, self.context) if self.context else context_of(name, {})
        connection = before.connection
        if self.secrets:
            connection = replace(connection, secrets=secrets_of(self.secrets))
        request = make_request(
            interpreter,
            self.feed,
            self._bytes,
            received_at=self.at,
            headers=pairs(self.headers, ":", "'Name: value'"),
            query=pairs(self.queries, "=", "name=value"),
            params=pairs(self.params, "=", "name=value"),
        )
        return try_request(
            interpreter,
            self.feed,
            request,
            connection,
            before.mappings,
            verify=bool(self.secrets),
            create=self.unmapped == "create",
            views=before.views,
        )

    @property
    def _bytes(self) -> bytes:
        if self.body is None:
            return b""
        return _standard_input() if str(self.body) == "-" else self.body.read_bytes()


@cache
def _standard_input() -> bytes:
    """Read once: an older file is tried on the same bytes."""
    return sys.stdin.buffer.read()


def _show(trial: Trial, before: Trial | None, verified: bool, as_json: bool) -> None:
    told = trial.to_json()
    found = _differences(before, trial) if before is not None else None
    if as_json:
        print_json(told if found is None else {**told, "differences": [one.to_json() for one in found]})
        return
    _print_trial(told, trial.stages, verified)
    if found is not None:
        from cli.provider_pins import described
        from flows.differences import sentences

        click.echo(f"\n{click.style('differs from the older file:', bold=True) if found else 'same as the older file'}")
        for line in (*sentences(found), *(f"  {described(one)}" for one in found)):
            click.echo(line)


def _differences(before: Trial, trial: Trial) -> list[Difference]:
    from flows.differences import differences
    from flows.pins import pinned

    return differences(pinned(before), pinned(trial))


def _watch(once: Callable[[], bool], paths: list[Path]) -> None:
    """Goes on when a file does not load: what is wrong is shown, and mended the next time."""
    from cli.errors import explained
    from cli.provider_check import Checked, watched

    # What a file extends stands beside it.
    read = frozenset(
        {*paths, *(file for path in paths if path.suffix == ".yaml" for file in path.parent.glob("*.yaml"))}
    )

    def shown() -> Checked:
        click.echo(f"--- {datetime.now(UTC):%H:%M:%S}")
        try:
            once()
        except Exception as error:
            told = error if isinstance(error, click.ClickException) else explained(error)
            if told is None and not isinstance(error, OSError):
                raise
            click.echo(f"tiffin: {told.message if told else error}", err=True)
        return Checked((), (), {}, read)

    watched(shown, [])


_WELL = ("accepted", "ignored", "duplicate", "handshake", "answered")


def body_of(path: Path) -> bytes:
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def _print_trial(told: dict[str, Any], stages: Any, verified: bool) -> None:
    colour = "green" if told["verdict"] in _WELL else "red"
    click.echo(f"verdict   {click.style(told['verdict'], fg=colour)}")
    if "handshake" in told:
        click.echo(f"handshake {told['handshake']}")
        for name, value in told["shown"].items():
            click.echo(f"shown     {name}: {value}")
    click.echo(f"feed      {told['feed']}{f' · event {event}' if (event := told['event']) else ''}")
    click.echo(f"key       {told['idempotency_key'] or 'none'}")
    if not verified:
        click.echo("signature not verified: give --secret NAME=VALUE to verify it")
    for command in told["commands"]:
        click.echo(f"\n{click.style(command['command'], bold=True)}  {command['entity']}  (rule {command['rule']})")
        click.echo(_indented(json.dumps(command["data"], ensure_ascii=False, indent=2)))
    for failure in told["failures"]:
        click.echo(f"\n{click.style(failure['class'] + '/' + failure['code'], fg='yellow')}  {failure['message']}")
        for name in ("path", "place", "next_step"):
            if failure[name]:
                click.echo(f"  {name.replace('_', ' '):9} {failure[name]}")
    click.echo(f"\nreply     {told['reply']['status']}  {json.dumps(told['reply']['body'], ensure_ascii=False)}")
    click.echo(f"stages    {', '.join(f'{name} {ms} ms' for name, ms in stages.items())}")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def secrets_of(given: tuple[str, ...]) -> dict[str, tuple[bytes, ...]]:
    from cli.connection import secret_value

    return {name: (secret_value(value).encode(),) for name, value in pairs(given, "=", "NAME=VALUE")}
