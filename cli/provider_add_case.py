"""tiffin provider add-case: a notice of drift as a golden case."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json

_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,79}\Z")
_KEYS = ("says", "what", "path", "value", "at", "format", "like", "sample")


@click.command("add-case")
@click.argument("name")
@click.argument("notice")
@click.option("--case", "case", help="The case's name. [default: made of what is new, such as new_field_items_colour]")
@click.option(
    "--body",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A body instead of the notice's sample.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The checkout that holds providers and tests/golden. [default: here]",
)
@json_option
@data_option
def add_case(
    name: str, notice: str, case: str | None, body: Path | None, root: Path, as_json: bool, data: Path | None
) -> None:
    """Turns a notice of drift into a golden case and pins what it comes to; then look at the difference.

    NOTICE is its number, or a file with what `tiffin notice show NUMBER --json` printed, where the checkout is
    on another machine than the database. A notice that was given by its number is removed.

    \b
    Example:
      tiffin provider add-case acme 12
      tiffin provider test acme
    """
    import schemas
    from flows.adding_cases import CaseStands, add_case, case_name
    from flows.providers import load_provider

    found = _noticed(notice, data)
    if found["provider"] != name:
        raise InputProblem(f"The notice is one of {found['provider']}, not of {name}.")
    told: Mapping[str, str] = found["shown"]
    if body is not None:
        told = {**told, "sample": body.read_bytes().decode()}
    if not told["sample"]:
        raise InputProblem(f"The notice has no sample ({told['format']}). Give one with --body FILE.")
    case = case or case_name(told)
    if not _NAME.match(case):
        raise InputProblem(f"{case!r} is no name of a case: lower case letters, digits and _ only.")
    file = root / "providers" / f"{name}.yaml"
    if not file.is_file():
        raise InputProblem(f"There is no {file}: golden cases live in a checkout; run this in one, or give --root.")
    interpreter = load_provider(file, schemas.canon()).interpreter
    if found["feed"] not in interpreter.feeds:
        raise InputProblem(f"{file} has no feed {found['feed']}.")
    try:
        added = add_case(root / "tests" / "golden", interpreter, found["feed"], case, told)
    except CaseStands as error:
        raise InputProblem(f"{error} Choose another --case.") from None
    if notice.isdecimal():
        _dealt_with(int(notice), added.pin.case.name, data)
    files = [str(path) for path in added.files]
    if as_json:
        print_json({"case": added.pin.case.name, "verdict": added.verdict, "commands": added.commands, "files": files})
        return
    click.echo(f"{added.pin.case.name}: {added.verdict}, {added.commands} commands")
    for path in files:
        click.echo(f"wrote {path}")


def _noticed(notice: str, data: Path | None) -> dict[str, Any]:
    """What `tiffin notice show --json` prints."""
    from cli.notice import one_notice

    found: Any = one_notice(int(notice), data) if notice.isdecimal() else _from_file(Path(notice))
    shown = found.get("shown") if isinstance(found, dict) else None
    if not isinstance(shown, dict) or any(not isinstance(shown.get(key), str) for key in _KEYS):
        raise InputProblem(f"{notice} is no notice of drift. See: tiffin notice list --kind drift")
    return {"provider": str(found.get("provider")), "feed": str(found.get("feed")), "shown": shown}


def _from_file(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputProblem(f"{file} cannot be read as a notice: {error}") from None


def _dealt_with(id_: int, case: str, data: Path | None) -> None:
    from cli.store import now, opened, operator
    from stores import audit, notices

    with opened(data) as store, store.writing() as transaction:
        notices.remove(transaction, [id_])
        audit.append(transaction, now(), operator(), "provider.add_case", str(id_), data={"case": case})
