"""tiffin mapping …"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any, get_args

import click

from cli.errors import InputProblem
from cli.options import data_option, filter_options, json_option
from cli.output import print_json, print_table
from cli.suggestions import suggestions

_COLUMNS = ("tenant", "provider", "kind", "external_id", "canonical_id")
_MOST_SHOWN = 20


@click.group()
def mapping() -> None:
    """External ids and their canonical ids.

    \b
    Example:
      tiffin mapping missing
    """


mapping.add_command(suggestions)


def kinds() -> tuple[str, ...]:
    from engine.model import Kind

    return get_args(Kind)


@mapping.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_option
def import_(file: Path, as_json: bool, data: Path | None) -> None:
    """Imports mappings from a CSV file with the columns tenant,provider,kind,external_id,canonical_id[,store].

    All rows are taken or none. A mapping that stands differently is closed and replaced.

    \b
    Example:
      tiffin mapping import stores.csv
    """
    from cli.store import now, opened, operator
    from engine.messages import Ref
    from stores import audit, mappings

    rows = _rows(file)
    changed = 0
    with opened(data) as store, store.writing() as transaction:
        with _progress(rows) as shown:
            for row in shown:
                within = row.get("store") or ""
                if within:
                    within = mappings.external_store(transaction, row["tenant"], row["provider"], within)
                ref = Ref(row["kind"], within, row["external_id"])
                changed += mappings.set_mapping(
                    transaction, row["tenant"], row["provider"], ref, row["canonical_id"], now(), "import"
                )
        audit.append(
            transaction, now(), operator(), "mapping.import", file.name, data={"rows": len(rows), "changed": changed}
        )
    if as_json:
        print_json({"rows": len(rows), "changed": changed})
    else:
        click.echo(f"{len(rows)} rows: {changed} mapped anew, {len(rows) - changed} stood so already")


def _progress(rows: list[dict[str, str]]) -> Any:
    return click.progressbar(rows, label="importing", file=sys.stderr, hidden=not sys.stderr.isatty())


def _rows(file: Path) -> list[dict[str, str]]:
    """The file's rows; every problem of every row is said at once. Raises InputProblem."""
    problems: list[str] = []
    rows: list[dict[str, str]] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened, strict=True)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputProblem(f"{file}:1: the columns {', '.join(missing)} are missing")
            for row in reader:
                problem = _problem_of(row)
                if problem:
                    problems.append(f"{file}:{reader.line_num}: {problem}")
                rows.append({name: (value or "").strip() for name, value in row.items() if isinstance(name, str)})
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputProblem(f"{file} is no CSV file in UTF-8: {error}") from None
    if problems:
        more = f"\n… and {len(problems) - _MOST_SHOWN} more" if len(problems) > _MOST_SHOWN else ""
        raise InputProblem("nothing is imported:\n" + "\n".join(problems[:_MOST_SHOWN]) + more)
    return rows


def _problem_of(row: dict[Any, Any]) -> str | None:
    if None in row or None in row.values():
        return "the row has another number of cells than the header"
    empty = [name for name in _COLUMNS if not (row[name] or "").strip()]
    if empty:
        return f"{', '.join(empty)} is empty"
    if row["kind"].strip() not in kinds():
        return f"{row['kind']!r} is no kind; one of {', '.join(kinds())}"
    return None


@mapping.command("set")
@click.argument("provider")
@click.argument("kind")
@click.argument("external_id")
@click.argument("canonical_id")
@click.option("--tenant", required=True, help="Whose mapping it is.")
@click.option("--store", default="", help="The store within which the id is unique.")
@data_option
def set_(
    provider: str, kind: str, external_id: str, canonical_id: str, tenant: str, store: str, data: Path | None
) -> None:
    """Maps one external id.

    \b
    Example:
      tiffin mapping set acme store R-17 sto_indiranagar --tenant demo
    """
    from cli.store import now, opened, operator
    from engine.messages import Ref
    from stores import audit, mappings

    if kind not in kinds():
        raise click.UsageError(f"{kind!r} is no kind; one of {', '.join(kinds())}")
    with opened(data) as opened_store, opened_store.writing() as transaction:
        within = mappings.external_store(transaction, tenant, provider, store) if store else ""
        ref = Ref(kind, within, external_id)
        changed = mappings.set_mapping(transaction, tenant, provider, ref, canonical_id, now(), "set")
        if changed:
            audit.append(
                transaction, now(), operator(), "mapping.set", external_id, data={"canonical_id": canonical_id}
            )
    click.echo(f"{kind} {external_id} → {canonical_id}" + ("" if changed else " (stood so already)"))


@mapping.command("list")
@filter_options("tenant", "provider", "kind")
@click.option("--limit", default=1000, show_default=True, help="How many at the most.")
@json_option
@data_option
def list_(
    tenant: str | None, provider: str | None, kind: str | None, limit: int, as_json: bool, data: Path | None
) -> None:
    """Lists the mappings that hold now.

    \b
    Example:
      tiffin mapping list --provider acme --kind store
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores import mappings

    filters = {"tenant": tenant, "provider": provider, "kind": kind}
    with opened(data) as store, store.reading() as transaction:
        found = mappings.list_mappings(transaction, filters, limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        (m.tenant, m.provider, m.kind, m.external_id, m.within, m.canonical_id, m.source, m.valid_from) for m in found
    ]
    print_table(
        ("tenant", "provider", "kind", "external id", "store", "canonical id", "source", "since"), rows, "No mappings."
    )


@mapping.command()
@filter_options("tenant", "provider")
@json_option
@data_option
def missing(tenant: str | None, provider: str | None, as_json: bool, data: Path | None) -> None:
    """Lists the external ids that open failures wait for, those that hold up most deliveries first.

    \b
    Example:
      tiffin mapping missing --provider acme
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores import mappings

    with opened(data) as store, store.reading() as transaction:
        found = mappings.missing(transaction, tenant, provider)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [(m.tenant, m.provider, m.kind, m.external_id, m.within, m.deliveries, m.since) for m in found]
    print_table(
        ("tenant", "provider", "kind", "external id", "store", "deliveries", "since"), rows, "Nothing is missing."
    )
