"""tiffin provider check: what is wrong with provider files, for people, programs and pull requests."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import print_json

if TYPE_CHECKING:
    from engine.problems import Problem

_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True)
class Checked:
    """What was found in files, in order of place; `read` are the files it was found in, bases and samples too."""

    files: tuple[Path, ...]
    problems: tuple[Problem, ...]
    texts: Mapping[str, str]
    read: frozenset[Path]

    @property
    def errors(self) -> int:
        return sum(problem.severity == "error" for problem in self.problems)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For a person, for a program, or as annotations of a pull request.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--samples",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder of golden cases, whose bodies are samples. [default: tests/golden of the checkout, if any]",
)
@click.option("--watch", is_flag=True, help="Check again whenever a file changes, until interrupted.")
def check(paths: tuple[Path, ...], form: str, as_json: bool, samples: Path | None, watch: bool) -> None:
    """Says everything that is wrong with provider files, each with its place and what to write instead.

    Without a PATH it checks all files of TIFFIN_PROVIDERS. Exit status 1 when there is an error.

    \b
    Example:
      tiffin provider check providers/acme.yaml --format json
    """
    from flows.settings import Settings

    form = "json" if as_json else form
    wanted = paths or (Settings().providers,)

    def once() -> Checked:
        checked = checked_files(_files(wanted), samples)
        print_checked(checked, form)
        return checked

    if watch:
        watched(once, wanted)
        return
    if once().errors:
        sys.exit(1)


def _files(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path]))


def checked_files(files: tuple[Path, ...], samples: Path | None = None) -> Checked:
    """Every problem once, also one of a base that several files extend."""
    problems: dict[Problem, None] = {}
    texts: dict[str, str] = {}
    read: set[Path] = set(files)
    for file in files:
        found, seen, cases = _checked(file, samples)
        problems.update(dict.fromkeys(found))
        texts |= seen
        read |= {Path(name) for name in seen} | cases
    ordered = sorted(problems, key=lambda p: (p.place, p.code))
    return Checked(files, tuple(ordered), texts, frozenset(read))


def _checked(file: Path, samples: Path | None) -> tuple[list[Problem], dict[str, str], set[Path]]:
    """Problems, the texts that they stand in by file, and the files of samples."""
    import schemas
    from engine.checker import check_document
    from engine.extending import resolve
    from engine.problems import ProviderFileError
    from engine.salvage import structure
    from flows.providers import read_source, sources_beside
    from flows.samples import golden_folder, samples_of

    try:
        source = read_source(file)
        document = resolve(source.text, source.file, sources_beside(file))
    except ProviderFileError as error:
        return list(error.problems), {}, set()
    texts = {source.file: source.text, **document.others}
    golden = samples or golden_folder(file)
    provider = structure(document).provider if isinstance(document.data, dict) else None
    if golden is None or provider is None:
        return check_document(document, schemas.canon()), texts, set()
    sound, faulty = samples_of(golden, provider)
    cases = set((golden / provider.provider).glob("*/*/*"))
    return check_document(document, schemas.canon(), sound, faulty), texts, cases


def print_checked(checked: Checked, form: str) -> None:
    if form == "json":
        print_json([problem_json(problem) for problem in checked.problems])
    elif form == "github":
        for problem in checked.problems:
            click.echo(_github(problem))
    else:
        for problem in checked.problems:
            print_problem(problem, checked.texts.get(problem.place.file, ""))
        click.echo(summary(checked))


def summary(checked: Checked) -> str:
    """`3 files: 2 errors, 1 warning, 0 notices`."""
    counted = Counter(problem.severity for problem in checked.problems)
    kinds = ", ".join(_counted(counted[kind], kind) for kind in ("error", "warning", "notice"))
    return f"{_counted(len(checked.files), 'file')}: {kinds}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def problem_json(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {"file": place.file, "line": place.line, "column": place.column, "severity": problem.severity,
            "code": problem.code, "message": problem.message, "hint": problem.hint}  # fmt: skip


def _github(problem: Problem) -> str:
    text = f"{problem.message}{f' ({problem.hint})' if problem.hint else ''}"
    place = problem.place
    properties = {"file": place.file, "line": place.line, "col": place.column, "title": problem.code}
    shown = ",".join(f"{name}={_escaped(str(value), of_property=True)}" for name, value in properties.items())
    return f"::{problem.severity} {shown}::{_escaped(text)}"


def _escaped(text: str, *, of_property: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if of_property else text


_COLOURS = {"error": "red", "warning": "yellow", "notice": "cyan"}


def print_problem(problem: Problem, text: str, *, err: bool = False) -> None:
    """`file:line:column`, the source line, carets under the guilty characters, and what to write."""
    place = problem.place
    severity = click.style(problem.severity, fg=_COLOURS[problem.severity])
    click.echo(f"{place}: {severity}: {_printable(problem.message)} [{problem.code}]", err=err)
    lines = text.splitlines()
    if place.line <= len(lines):
        line = _printable(lines[place.line - 1].replace("\t", " "))
        click.echo(f"    {line}", err=err)
        click.echo(f"    {' ' * (place.column - 1)}{'^' * guilty(line, place.column)}", err=err)
    if problem.hint:
        click.echo(f"    {_printable(problem.hint)}", err=err)


def _printable(text: str) -> str:
    """A file is not trusted to drive the terminal: one character stays one, so that carets stand right."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


_GUILTY = re.compile(r"\$\w+|\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|`[^`]*`|[\w$.`/-]*[\w$`]|$")


def guilty(line: str, column: int) -> int:
    """How many characters the word, name or quoted text at a column (from 1) takes; at least one."""
    found = _GUILTY.match(line, column - 1)
    return max(1, found.end() - found.start()) if found else 1


def watched(once: Callable[[], Checked], paths: Iterable[Path], again: Callable[[], bool] | None = None) -> None:
    """Calls `once` now and after every change of what it read. `again` None: until interrupted."""
    go_on = again or _pause
    paths = tuple(paths)
    try:
        while True:
            checked = once()
            before = _marks(checked.read, paths)
            while _marks(checked.read, paths) == before:
                if not go_on():
                    return
            click.echo()
    except KeyboardInterrupt:
        click.echo()


def _pause() -> bool:
    time.sleep(_LOOK_AGAIN_SECONDS)
    return True


def _marks(read: Iterable[Path], paths: tuple[Path, ...]) -> dict[Path, tuple[int, int]]:
    """When each file was changed and how large it is; a file that is gone is left out."""
    return dict(_marked({*read, *_files(path for path in paths if path.exists())}))


def _marked(files: Iterable[Path]) -> Iterator[tuple[Path, tuple[int, int]]]:
    for file in files:
        try:
            found = file.stat()
        except OSError:
            continue
        yield file, (found.st_mtime_ns, found.st_size)
