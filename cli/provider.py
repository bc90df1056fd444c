"""tiffin provider …"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import InputProblem
from cli.lazy import Later, LazyGroup
from cli.options import json_option, pairs
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from engine.interpreter import Interpreter

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


_LATER = {
    "check": Later("cli.provider_check", "check", "Says everything that is wrong with provider files."),
    "coverage": Later("cli.provider_coverage", "coverage", "Says what no golden case reaches and nothing reads."),
    "explain": Later("cli.provider_explain", "explain", "Says where each value of each command is from."),
    "new": Later("cli.provider_new", "new", "Writes a provider file and golden cases from samples."),
    "show": Later("cli.provider_show", "show", "Shows a provider: its feeds, addresses, authentication and commands."),
    "try": Later("cli.provider_try", "try_", "Runs one request, without storing or sending anything."),
    "shadow": Later("cli.provider_shadow", "shadow", "Runs a new revision beside the live one."),
    "promote": Later("cli.provider_revisions", "promote", "Has the shadow's revision serve."),
    "rollback": Later("cli.provider_revisions", "rollback", "Returns to what served before the last promotion."),
    "revisions": Later("cli.provider_revisions", "revisions", "Lists what was promoted, and says what serves."),
    "add-case": Later("cli.provider_add_case", "add_case", "Turns a notice of drift into a golden case."),
}


@click.group(cls=LazyGroup, later=_LATER)
def provider() -> None:
    """Check, try and test provider files.

    \b
    Example:
      tiffin provider check providers/acme.yaml
    """


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
    from cli.provider_show import summary
    from cli.provider_try import interpreter_of
    from flows.golden import webhook_path

    made = [interpreter_of(path) for path in sorted(folder().glob("*.yaml"))]
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
        # How many cases a shipped file must have is no matter of one that is being written.
        wanted[-1] += "/test_golden.py"
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
    from cli.provider_try import body_of, feed_of, interpreter_of, secrets_of
    from engine.signing import sign as made
    from flows.golden import make_request
    from flows.settings import Settings

    interpreter = interpreter_of(file)
    feed_of(interpreter, feed)
    request = make_request(
        interpreter,
        feed,
        body_of(body),
        received_at=datetime.now(UTC),
        headers=pairs(headers, ":", "'Name: value'"),
        query=pairs(queries, "=", "name=value"),
        public_url=(url or Settings().public_url).rstrip("/"),
    )
    found = [*made(interpreter.auth_of(feed), request, secrets_of(secrets)), *_content_type(interpreter, feed, headers)]
    if as_json:
        print_json(dict(found))
        return
    for name, value in found:
        click.echo(f"{name}: {value}")


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
