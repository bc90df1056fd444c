"""tiffin provider explain: where each value is from, what left an element out, what was signed."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem
from cli.options import json_option, pairs
from cli.output import print_json

if TYPE_CHECKING:
    from flows.explaining.traces import Explanation

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--feed", required=True, help="The feed that the request goes to.")
@click.option(
    "--body",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="File with the body; - for standard input. [default: no body]",
)
@click.option("--field", help="N.path: one field of the N-th command, counted from 0, such as 0.price.")
@click.option("--header", "headers", multiple=True, help="'Name: value'; may be repeated.")
@click.option("--query", "queries", multiple=True, help="name=value; may be repeated.")
@click.option("--param", "params", multiple=True, help="name=value of a placeholder in the path; may be repeated.")
@click.option("--url", help="The public URL of the server, where the URL is signed.")
@click.option("--context", type=_FILE, help="YAML or JSON with the connection and the mappings.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    help="NAME=VALUE, NAME=@file or NAME=env:VARIABLE, newest first: explains the signature.",
)
@json_option
def explain(
    file: Path, feed: str, body: Path | None, field: str | None, headers: tuple[str, ...], queries: tuple[str, ...],
    params: tuple[str, ...], url: str | None, context: Path | None, secrets: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Says where each value of each command is from: line and column of the file, path and value of the payload.

    Elements that gave no command are named with the `when`, check or failure that left them out. With --secret it
    shows the bytes that were signed and, of a signature that does not fit, what would have made it fit.

    \b
    Example:
      tiffin provider explain providers/acme.yaml --feed stock --body sample.json --field 0.quantity
    """
    import schemas
    from flows.explaining.signatures import explain_signature
    from flows.explaining.traces import explain as explained
    from flows.golden import PUBLIC_URL, context_of, make_request, read_context
    from flows.providers import load_provider

    loaded = load_provider(file, schemas.canon())
    interpreter = loaded.interpreter
    if feed not in interpreter.feeds:
        raise InputProblem(f"There is no feed {feed}. The file has: {', '.join(interpreter.feeds)}")
    name = interpreter.provider.provider
    before = read_context(name, context) if context else context_of(name, {})
    request = make_request(
        interpreter,
        feed,
        _body(body),
        received_at=datetime.now(UTC),
        headers=pairs(headers, ":", "'Name: value'"),
        query=pairs(queries, "=", "name=value"),
        params=pairs(params, "=", "name=value"),
        public_url=(url or PUBLIC_URL).rstrip("/"),
    )
    assert loaded.origin is not None
    found = explained(interpreter, loaded.origin.document(), feed, request, before.connection, before.mappings)
    told: dict[str, Any] = found.to_json()
    if secrets:
        told["signature"] = explain_signature(interpreter.auth_of(feed), request, _secrets(secrets))
    if field is not None:
        told = _one(found, field)
    if as_json:
        print_json(told)
    elif field is not None:
        _print_field(field.partition(".")[2], told, "")
    else:
        _print(told)
    if "signature" in told and not any(one["holds"] for one in told["signature"]):
        sys.exit(1)


def _body(path: Path | None) -> bytes:
    if path is None:
        return b""
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def _secrets(given: tuple[str, ...]) -> dict[str, tuple[bytes, ...]]:
    from cli.connection import secret_value

    found: dict[str, tuple[bytes, ...]] = {}
    for name, value in pairs(given, "=", "NAME=VALUE"):
        found[name] = (*found.get(name, ()), secret_value(value).encode())
    return found


def _one(found: Explanation, field: str) -> dict[str, Any]:
    number, _, path = field.partition(".")
    if not number.isdigit() or not path:
        raise click.UsageError("--field is N.path, such as 0.price")
    if int(number) >= len(found.commands):
        raise InputProblem(f"There are {len(found.commands)} commands, numbered from 0; {field} names none of them.")
    fields = found.commands[int(number)]["fields"]
    name = path.split(".")[0].split("[")[0]
    if name not in fields:
        raise InputProblem(f"Command {number} has no field {name}. It has: {', '.join(fields)}")
    told: dict[str, Any] = fields[name]
    return told


def _print(told: dict[str, Any]) -> None:
    click.echo(f"verdict  {told['verdict']}")
    if key := told["idempotency_key"]:
        parts = ", ".join(f"`{part['expression']}` at {part['place']}" for part in key["parts"])
        click.echo(f"key      {key['text']} ({key['strategy']}{f': {parts}' if parts else ''})")
    for one in told["commands"]:
        click.echo(f"\n{one['number']} {click.style(one['command'], bold=True)}  rule {one['rule']} at {one['place']}")
        for name, field in one["fields"].items():
            _print_field(name, field, "  ")
    for one in told["left_out"]:
        where = one["path"] or "the message"
        click.echo(f"\n{click.style('left out', fg='yellow')}  {where}: rule {one['rule']}, by {one['by']}")
        click.echo(f"  {one['because']}  {one['place']}")
        _print_reads(one.get("reads", ()), "  ")
    shown = {one["place"] for one in told["left_out"]}
    for failure in told["failures"]:
        if failure["place"] not in shown or not failure["place"]:
            click.echo(f"\n{failure['class']}/{failure['code']}  {failure['message']}  {failure['place']}")
    for one in told.get("signature", ()):
        _print_signature(one)


def _print_field(name: str, field: dict[str, Any], indent: str) -> None:
    from flows.explaining.elements import shown

    click.echo(f"{indent}{click.style(name, fg='cyan')}  {shown(field['value'])}")
    if "expression" not in field:
        place = f"  {field['place']}" if "place" in field else ""
        click.echo(f"{indent}  ← {field['from']}{place}")
    else:
        lookup = field.get("lookup")
        how = (
            f"lookup {lookup['table']}, key {shown(lookup['key'])}" if lookup else f"reader {field['reader'] or 'none'}"
        )
        how += ", its default" if field.get("default") else ""
        click.echo(f"{indent}  ← `{field['expression']}` at {field['place']}  ({how})")
        for let in field.get("lets", ()):
            click.echo(f"{indent}  ← ${let['name']}: `{let['expression']}` at {let['place']}")
            _print_reads(let["reads"], f"{indent}  ")
        _print_reads(field["reads"], f"{indent}  ")
    if identity := field.get("identity"):
        click.echo(f"{indent}  ← {identity['kind']} {identity['external_id']} ({identity['by']})")


def _print_reads(reads: Any, indent: str) -> None:
    from flows.explaining.elements import shown

    for read in reads:
        click.echo(f"{indent}← {read['path']} = {shown(read['value']) if read['there'] else 'not there'}")


def _print_signature(one: dict[str, Any]) -> None:
    colour = "green" if one["holds"] else "red"
    click.echo(f"\nsignature  {one['scheme']}: {click.style('holds' if one['holds'] else one['says'], fg=colour)}")
    for name in ("signature_in", "looked_at", "recipe", "note"):
        if name in one:
            click.echo(f"  {name.replace('_', ' ')}: {one[name]}")
    if one.get("bytes") is not None:
        click.echo(f"  signed bytes ({one['length']}):")
        click.echo("\n".join(f"    {line}" for line in one["bytes"].splitlines()))
    for near in one.get("near", ()):
        click.echo(f"  {click.style(near, fg='yellow')}")
