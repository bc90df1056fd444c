"""tiffin provider …"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem
from cli.options import json_option, pairs
from cli.output import print_json, print_table
from cli.provider_check import check
from cli.provider_coverage import coverage
from cli.provider_explain import explain
from cli.provider_new import new
from cli.provider_show import show, summary

if TYPE_CHECKING:
    from engine.interpreter import Interpreter

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def provider() -> None:
    """Check, try and test provider files.

    \b
    Example:
      tiffin provider check providers/acme.yaml
    """


provider.add_command(check)
provider.add_command(show)
provider.add_command(new)
provider.add_command(explain)
provider.add_command(coverage)


def folder() -> Path:
    """The folder of provider files."""
    from flows.settings import Settings

    return Settings().providers


@provider.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Lists the providers and their feeds.

    \b
    Example:
      tiffin provider list
    """
    from flows.golden import webhook_path

    made = [_interpreter(path) for path in sorted(folder().glob("*.yaml"))]
    if as_json:
        print_json([summary(one) for one in made])
        return
    rows = [
        (one.provider.provider, one.provider.family, one.provider.revision, one.provider.evidence, feed,
         f"{one.feeds[feed].feed.method} {webhook_path(one, feed)}")
        for one in made
        for feed in one.feeds
    ]  # fmt: skip
    print_table(
        ("provider", "family", "revision", "evidence", "feed", "address"), rows, f"No provider files in {folder()}."
    )


def _interpreter(path: Path, overrides: Path | None = None) -> Interpreter:
    import schemas
    from flows.providers import load_provider, read_source, with_overrides

    loaded = load_provider(path, schemas.canon())
    return with_overrides(loaded, read_source(overrides).text if overrides else "").interpreter


def _feed(interpreter: Interpreter, feed: str, *, or_handshake: bool = False) -> str:
    known = [*interpreter.feeds, *(interpreter.handshakes.by_name if or_handshake else ())]
    if feed not in known:
        what = "feed or handshake" if or_handshake else "feed"
        raise InputProblem(f"There is no {what} {feed}. The file has: {', '.join(known)}")
    return feed


@provider.command("try")
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
@json_option
def try_(
    file: Path, feed: str, body: Path | None, params: tuple[str, ...], headers: tuple[str, ...],
    queries: tuple[str, ...], context: Path | None, overrides: Path | None, unmapped: str, secrets: tuple[str, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Runs one request through a provider file and shows verdict, key, commands, failures and reply.

    Nothing is stored or sent.

    \b
    Example:
      tiffin provider try providers/acme.yaml --feed stock --body sample.json
    """
    from dataclasses import replace

    from flows.golden import context_of, make_request, read_context
    from flows.trial import try_request

    interpreter = _interpreter(file, overrides)
    _feed(interpreter, feed, or_handshake=True)
    before = (
        read_context(interpreter.provider.provider, context)
        if context
        else context_of(interpreter.provider.provider, {})
    )
    connection = before.connection
    if secrets:
        connection = replace(connection, secrets=_secrets(secrets))
    request = make_request(
        interpreter,
        feed,
        _body(body) if body else b"",
        received_at=datetime.now(UTC),
        headers=pairs(headers, ":", "'Name: value'"),
        query=pairs(queries, "=", "name=value"),
        params=pairs(params, "=", "name=value"),
    )
    trial = try_request(
        interpreter,
        feed,
        request,
        connection,
        before.mappings,
        verify=bool(secrets),
        create=unmapped == "create",
        views=before.views,
    )
    if as_json:
        print_json(trial.to_json())
    else:
        _print_trial(trial.to_json(), trial.stages, bool(secrets))
    if trial.verdict not in _WELL:
        sys.exit(1)


_WELL = ("accepted", "ignored", "duplicate", "handshake", "answered")


def _body(path: Path) -> bytes:
    return click.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()


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


@provider.command()
@click.argument("names", nargs=-1)
@click.option("--update", is_flag=True, help="Show what changed by meaning, and ask whether to accept it.")
@click.option("--yes", is_flag=True, help="With --update: accept without asking.")
@click.option(
    "--thorough",
    is_flag=True,
    help="Also tries machine-made variants of each case, its repetition and its shuffled batch, another clock and "
    "another hash order, and says what differed.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The checkout that holds tests/golden. [default: here]",
)
@json_option
def test(names: tuple[str, ...], update: bool, yes: bool, thorough: bool, root: Path, as_json: bool) -> None:
    """Runs the golden cases and compares everything that comes out with their snapshots.

    \b
    Example:
      tiffin provider test acme
      tiffin provider test acme --update
      tiffin provider test acme --thorough
    """
    tests = root / "tests" / "golden"
    if not tests.is_dir():
        raise InputProblem(f"{tests} is not there: golden cases live in a checkout; run this in one, or give --root.")
    from cli import provider_pins

    if update:
        sys.exit(0 if provider_pins.update(root, names, yes) else 1)
    passed = _golden_tests_pass(root, tests, names, as_json)
    report = None
    if thorough:
        from cli.thorough import examined

        report = examined(root, names)
    if as_json:
        print_json({"passed": passed, **(report.to_json() if report else {})})
    elif report:
        report.print()
    sys.exit(0 if passed and (report is None or report.sound) else 1)


def _golden_tests_pass(root: Path, tests: Path, names: tuple[str, ...], as_json: bool) -> bool:
    from cli import provider_pins

    if not (tests / "test_golden.py").exists():
        return provider_pins.tested(root, names, quiet=as_json)
    wanted = [sys.executable, "-m", "pytest", "-q", str(tests.relative_to(root))]
    if names:
        known = {path.parent.parent.parent.name for path in tests.glob("*/*/*/request.yaml")}
        if unknown := set(names) - known:
            raise InputProblem(
                f"No golden cases for {', '.join(sorted(unknown))}. There are some for: {', '.join(sorted(known))}"
            )
        wanted += ["-k", " or ".join(names)]
    stderr = 2
    done = subprocess.run(wanted, cwd=root, check=False, stdout=stderr if as_json else None)  # noqa: S603
    return done.returncode == 0


@provider.command()
@click.argument("file", type=_FILE)
@click.option("--feed", required=True, help="The feed that the request goes to.")
@click.option(
    "--body",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="File with the body; - for standard input.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    required=True,
    help="NAME=VALUE, NAME=@file or NAME=env:VARIABLE; the private key where the scheme has a public one.",
)
@click.option("--header", "headers", multiple=True, help="A header that is signed: 'Name: value'.")
@click.option("--query", "queries", multiple=True, help="A query parameter that is signed: name=value.")
@click.option("--url", help="The public URL of the server, where the URL is signed.")
@json_option
def sign(
    file: Path, feed: str, body: Path, secrets: tuple[str, ...], headers: tuple[str, ...], queries: tuple[str, ...],
    url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Prints the headers of a signed request, as curl takes them with -H @file.

    \b
    Example:
      tiffin provider sign providers/acme.yaml --feed stock --body sample.json --secret key=… > headers
      curl -H @headers --data-binary @sample.json http://127.0.0.1:8000/v1/integrations/erp/acme/webhooks/stock
    """
    from engine.signing import sign as made
    from flows.golden import make_request
    from flows.settings import Settings

    interpreter = _interpreter(file)
    _feed(interpreter, feed)
    request = make_request(
        interpreter,
        feed,
        _body(body),
        received_at=datetime.now(UTC),
        headers=pairs(headers, ":", "'Name: value'"),
        query=pairs(queries, "=", "name=value"),
        public_url=(url or Settings().public_url).rstrip("/"),
    )
    found = [*made(interpreter.auth_of(feed), request, _secrets(secrets)), *_content_type(interpreter, feed, headers)]
    if as_json:
        print_json(dict(found))
        return
    for name, value in found:
        click.echo(f"{name}: {value}")


def _secrets(given: tuple[str, ...]) -> dict[str, tuple[bytes, ...]]:
    from cli.connection import secret_value

    return {name: (secret_value(value).encode(),) for name, value in pairs(given, "=", "NAME=VALUE")}


def _content_type(interpreter: Interpreter, feed: str, given: Iterable[str]) -> list[tuple[str, str]]:
    if any(header.lower().startswith("content-type:") for header in given):
        return []
    from engine.decoding.media_types import media_type_of

    media_type = media_type_of(next(iter(interpreter.feeds[feed].feed.formats)))
    return [("Content-Type", media_type)] if media_type else []


@provider.command()
def schema() -> None:
    """Prints the JSON Schema of provider files, for editors.

    \b
    Example:
      tiffin provider schema > provider.schema.json
    """
    import schemas

    print_json(schemas.schema("provider"))
