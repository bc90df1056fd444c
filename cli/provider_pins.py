"""tiffin provider test: what golden cases come to beside what is pinned, by meaning; --update asks and pins it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem

if TYPE_CHECKING:
    from flows.differences import Difference
    from flows.pins import Pin

_EXAMPLES = 3


@dataclass(frozen=True)
class Comparison:
    """The cases whose snapshot does not hold, the snapshots that no case uses, the folders that are no case."""

    run: int
    changed: list[Pin]
    unused: list[Path]
    stray: list[Path]

    @property
    def holds(self) -> bool:
        return not (self.changed or self.unused or self.stray)

    def says(self) -> list[str]:
        """One sentence a meaning."""
        from flows.differences import sentences

        found = [d for pin in self.changed for d in _differences(pin)]
        return [
            *_new_cases(self.changed),
            *sentences(found),
            *(f"unused snapshot: {file.name}" for file in self.unused),
            *(f"no case of a feed or handshake: {folder}" for folder in self.stray),
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "cases": self.run,
            "changed": [_json(pin) for pin in self.changed],
            "unused": [file.name for file in self.unused],
            "stray": [str(folder) for folder in self.stray],
            "says": self.says(),
        }

    def print(self) -> None:
        for sentence in self.says():
            click.echo(sentence)
        for pin in self.changed:
            if found := _differences(pin):
                click.echo(f"\n{click.style(pin.case.name, bold=True)}")
                _print_some(found)


def compared(root: Path, names: tuple[str, ...]) -> Comparison:
    """Runs the golden cases of these providers (none named: of all) of a checkout."""
    import schemas
    from flows import pins
    from flows.golden import cases
    from flows.providers import load_provider

    golden = root / "tests" / "golden"
    files = {path.stem: path for path in sorted((root / "providers").glob("*.yaml"))}
    wanted = names or tuple(files)
    if unknown := [name for name in wanted if name not in files]:
        raise InputProblem(f"There is no file of {', '.join(unknown)} in {root / 'providers'}.")
    interpreters = {name: load_provider(files[name], schemas.canon()).interpreter for name in wanted}
    run = list(cases(golden, interpreters))
    changed = [pin for pin in pins.pins(golden, run, interpreters) if not pin.holds]
    return Comparison(len(run), changed, pins.unused(golden, run, wanted), pins.stray_folders(golden, run, wanted))


def tested(root: Path, names: tuple[str, ...], *, quiet: bool) -> bool:
    """The golden cases of a folder without Tiffin's own tests."""
    found = compared(root, names)
    if quiet:
        return found.holds
    found.print()
    click.echo(f"{found.run} cases, {len(found.changed)} differ")
    return found.holds


def update(root: Path, names: tuple[str, ...], yes: bool) -> bool:
    """Shows the change and pins it when it is agreed to; False where it was not."""
    from flows import pins

    found = compared(root, names)
    found.print()
    if not found.changed and not found.unused:
        click.echo("Nothing changed." if found.holds else "Nothing to accept.")
        return found.holds
    if not yes and not click.confirm("\nAccept this as what the golden cases show?"):
        return False
    for pin in found.changed:
        pins.write(root / "tests" / "golden", pin)
    for file in found.unused:
        file.unlink()
    click.echo(f"{len(found.changed)} cases pinned, {len(found.unused)} unused snapshots removed")
    return not found.stray


def _differences(pin: Pin) -> list[Difference]:
    from flows.differences import differences

    return [d for old, now in zip(pin.before or (), pin.now, strict=False) for d in differences(old, now)]


def _new_cases(changed: list[Pin]) -> list[str]:
    new = [pin.case.name for pin in changed if pin.before is None]
    return [f"{len(new)} new {'case' if len(new) == 1 else 'cases'}: {', '.join(new)}"] if new else []


def _print_some(found: list[Difference]) -> None:
    for one in found[:_EXAMPLES]:
        click.echo(f"  {described(one)}")
    if len(found) > _EXAMPLES:
        click.echo(f"  … and {len(found) - _EXAMPLES} more")


def described(one: Difference) -> str:
    """A difference in one line: what, where, before and after."""
    name = " ".join(part for part in (one.kind.replace("_", " "), one.what, one.entity) if part)
    before, after = (_short(json.dumps(value, ensure_ascii=False)) for value in (one.before, one.after))
    return f"{name}: {before} → {after}"


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}…"


def _json(pin: Pin) -> dict[str, Any]:
    told = [d.to_json() for d in _differences(pin)]
    return {"case": pin.case.name, "new": pin.before is None, "differences": told}
