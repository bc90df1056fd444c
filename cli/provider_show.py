"""tiffin provider show: a provider in short, or the file as it holds with where each line comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from engine.interpreter import Interpreter
    from engine.resolved_text import Line


@click.command()
@click.argument("name")
@click.option("--resolved", is_flag=True, help="The whole file that holds, each line with its file and line.")
@click.option("--connection", help="With --resolved: with what this connection overrides.")
@json_option
@data_option
def show(name: str, resolved: bool, connection: str | None, as_json: bool, data: Path | None) -> None:
    """Shows a provider: its feeds, addresses, authentication and commands.

    With --resolved it prints the file with everything that it extends and, with --connection, overrides. That is
    a provider file itself.

    \b
    Example:
      tiffin provider show acme
      tiffin provider show acme --resolved --connection con-1a2b3c4d
    """
    import schemas
    from flows.providers import load_provider
    from flows.settings import Settings

    folder = Settings().providers
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise InputProblem(f"There is no provider {name}. Known: {known}")
    if connection and not resolved:
        raise click.UsageError("--connection goes with --resolved")
    if resolved:
        overrides = _overrides(connection, name, data) if connection else ""
        _print_resolved(path, overrides, f"overrides of {connection}", as_json)
        return
    _print_summary(load_provider(path, schemas.canon()).interpreter, path, as_json)


def _overrides(id_: str, provider: str, data: Path | None) -> str:
    from cli.store import opened
    from stores import connections

    with opened(data) as store, store.reading() as transaction:
        row = next((r for r in connections.rows(transaction) if r.id == id_), None)
    if row is None:
        raise connections.ConnectionUnknown(id_)
    if row.provider != provider:
        raise InputProblem(f"The connection {id_} is one to {row.provider}, not to {provider}.")
    return row.overrides


def _print_resolved(path: Path, overrides: str, name: str, as_json: bool) -> None:
    import schemas
    from engine.checker import load_document
    from engine.extending import overridden, resolve
    from engine.resolved_text import lines_with_origin, resolved_text
    from flows.providers import hash_of, read_source, sources_beside

    source = read_source(path)
    document = resolve(source.text, source.file, sources_beside(path))
    if overrides:
        document = overridden(document, overrides, name)
    load_document(document, schemas.canon())
    text = resolved_text(document)
    lines = lines_with_origin(document, text)
    if as_json:
        alone = not document.others
        told = [{"text": line.text, "file": line.origin.file, "line": line.origin.line} for line in lines]
        print_json({"provider": path.stem, "hash": hash_of(source.text if alone else text), "lines": told})
        return
    for shown in _commented(lines):
        click.echo(shown)


_WIDEST = 80


def _commented(lines: list[Line]) -> list[str]:
    """Lines with their origin as a comment, aligned. Lines within a text of several lines can have none."""
    width = max((len(line.text) for line in lines if len(line.text) <= _WIDEST), default=0)
    return [
        line.text if within else f"{line.text:{width}}  # {Path(line.origin.file).name}:{line.origin.line}"
        for line, within in zip(lines, _within_texts(lines), strict=True)
    ]


def _within_texts(lines: list[Line]) -> list[bool]:
    found: list[bool] = []
    depth: int | None = None
    for line in lines:
        indent = len(line.text) - len(line.text.lstrip(" "))
        if depth is not None and line.text.strip() and indent <= depth:
            depth = None
        found.append(depth is not None)
        if depth is None and line.text.split(" ")[-1] in ("|", "|-", "|+"):
            depth = indent
    return found


def _print_summary(one: Interpreter, path: Path, as_json: bool) -> None:
    told: dict[str, Any] = {
        **summary(one),
        "file": str(path),
        "hash": one.spec_hash,
        "auth": one.provider.auth.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "commands": {
            feed: sorted({plan.rule.command for plan in one.plans_of(feed) if plan.rule.command}) for feed in one.feeds
        },
    }
    if as_json:
        print_json(told)
        return
    click.echo(
        f"{told['title']} ({told['provider']}), {told['family']}, revision {told['revision']}, {told['evidence']}"
    )
    click.echo(f"file {told['file']}\nhash {told['hash']}\nauth {json.dumps(told['auth'])}")
    rows = [(feed, f"{f['method']} {f['path']}", told["commands"][feed]) for feed, f in told["feeds"].items()]
    print_table(("feed", "address", "commands"), rows)


def summary(one: Interpreter) -> dict[str, Any]:
    """A provider's names and the addresses of its feeds."""
    from flows.golden import webhook_path

    p = one.provider
    feeds = {name: {"method": f.feed.method, "path": webhook_path(one, name)} for name, f in one.feeds.items()}
    told = {name: getattr(p, name) for name in ("provider", "title", "family", "revision", "evidence")}
    return {**told, "feeds": feeds}
