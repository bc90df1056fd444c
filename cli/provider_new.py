"""tiffin provider new: a first provider file, with a golden case, from samples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import InputProblem
from cli.options import json_option
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from flows.inferring import Guess, Inferred, Sample
    from flows.new_provider import Written

_SAMPLE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")


@click.command("new")
@click.argument("name")
@click.option("--from", "samples", type=_SAMPLE, multiple=True, help="A body that the provider sends; may be repeated.")
@click.option("--from-har", "archives", type=_SAMPLE, multiple=True, help="An HTTP Archive with its requests.")
@click.argument("more", nargs=-1, type=_SAMPLE)
@click.option("--header", "headers", multiple=True, help="'Name: value' that comes with the samples; may be repeated.")
@click.option("--title", help="The provider's name as people write it.")
@click.option(
    "--family", type=click.Choice(["pos", "erp", "seller", "admin"]), help="[default: by the payload's words]"
)
@click.option("--currency", help="ISO 4217 code of amounts that name none.")
@click.option("--time-zone", help="IANA zone of times that name none.")
@click.option("--unit", help="Unit of quantities that name none.")
@click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="The folder that holds providers/ and tests/golden/. [default: here]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Write over a provider file and cases that are there.")
@click.option("--dry-run", is_flag=True, help="Print the file; write nothing.")
@json_option
def new(
    name: str, samples: tuple[Path, ...], archives: tuple[Path, ...], more: tuple[Path, ...], headers: tuple[str, ...],
    title: str | None, family: str | None, currency: str | None, time_zone: str | None, unit: str | None,
    root: Path, force: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Writes a provider file and golden cases from samples, and says what was guessed and how sure it is.

    The file loads, and every sample gives commands through it; what no sample can show (authentication, zone,
    currency) is marked as a guess. Samples that differ in shape become feeds of their own.

    \b
    Example:
      tiffin provider new acme --from stock.json --from menu.json
      tiffin provider new acme --from-har recorded.har
    """
    import schemas
    from flows.inferring import Uninferrable, Wishes, infer
    from flows.new_provider import existing, write_new

    if not _NAME.match(name):
        raise InputProblem(f"{name!r} is no name of a provider: lower case letters, digits and - only.")
    if not (samples or archives or more):
        raise click.UsageError("give samples with --from FILE, or an HTTP Archive with --from-har FILE")
    if not dry_run and not force and (there := existing(root, name)):
        raise InputProblem(f"{' and '.join(map(str, there))} stand already. Choose another name, or --force.")
    _known_locals(currency, time_zone)
    wishes = Wishes(title, family, currency, time_zone, unit)
    try:
        made = infer(name, _read((*samples, *more), archives, headers), schemas.canon(), wishes)
    except Uninferrable as error:
        raise InputProblem(str(error)) from None
    written = None if dry_run else write_new(root, name, made, schemas.canon())
    if as_json:
        _print_json(made, written)
    elif written is None:
        click.echo(made.text, nl=False)
    else:
        _print(name, made, written)


def _known_locals(currency: str | None, time_zone: str | None) -> None:
    from zoneinfo import available_timezones

    from engine.currencies import MINOR_UNITS

    if currency is not None and currency not in MINOR_UNITS:
        raise InputProblem(f"{currency!r} is no ISO 4217 currency, such as INR.")
    if time_zone is not None and time_zone not in available_timezones():
        raise InputProblem(f"{time_zone!r} is no IANA time zone, such as Asia/Kolkata.")


def _read(samples: tuple[Path, ...], archives: tuple[Path, ...], headers: tuple[str, ...]) -> list[Sample]:
    from cli.options import pairs
    from flows.inferring import Sample
    from flows.inferring.har import samples as of_archive

    given = pairs(headers, ":", "'Name: value'")
    found = [Sample(path.name, path.read_bytes(), given) for path in samples]
    return found + [sample for path in archives for sample in of_archive(path.read_bytes(), path.name)]


def _print_json(made: Inferred, written: Written | None) -> None:
    cases = [
        {"sample": c.sample.name, "feed": c.feed, "verdict": c.verdict, "commands": c.commands} for c in made.cases
    ]
    print_json(
        {
            "files": [str(path) for path in written.files] if written else [],
            "guesses": [guess.to_json() for guess in made.guesses],
            "cases": cases,
            "text": made.text,
        }
    )


def _print(name: str, made: Inferred, written: Written) -> None:
    rows = [(g.word, g.where, g.written, g.because) for g in sorted(made.guesses, key=_sureness)]
    print_table(("how sure", "where", "written", "because"), rows)
    click.echo()
    for case in made.cases:
        click.echo(f"{case.sample.name}: {case.feed}, {case.verdict}, {case.commands} commands")
    for path in written.files:
        click.echo(f"wrote {path}")
    click.echo(f"\nNext: correct what is a guess, then tiffin provider check providers/{name}.yaml")
    click.echo(f"      tiffin provider test {name} --update")


def _sureness(guess: Guess) -> float:
    return guess.sure
