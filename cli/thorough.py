"""What `tiffin provider test --thorough` adds to the snapshots, for people and programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.interpreter import Interpreter
    from flows.golden import Case
    from flows.thorough import Fault

_HASH_SEEDS = ("1", "4242")


@dataclass(frozen=True)
class Report:
    """What came of it. By the clock values may differ and are told; by the hash order nothing may."""

    cases: int
    variants: int
    faults: tuple[Fault, ...]
    by_clock: tuple[str, ...]
    by_hash_order: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.faults and not self.by_hash_order

    def to_json(self) -> dict[str, Any]:
        faults = [
            {"case": one.case, "variant": one.variant, "says": one.says, "body": one.body.decode("utf-8", "replace")}
            for one in self.faults
        ]
        return {"cases": self.cases, "variants": self.variants, "faults": faults,
                "by_clock": list(self.by_clock), "by_hash_order": list(self.by_hash_order)}  # fmt: skip

    def print(self) -> None:
        for fault in self.faults:
            click.echo(f"{click.style('fault', fg='red')}  {fault}\n       body  {_shown(fault.body)}")
        for said in self.by_hash_order:
            click.echo(f"{click.style('hash order', fg='red')}  {said}")
        for said in self.by_clock:
            click.echo(f"{click.style('clock', fg='yellow')}  {said}")
        counts = f"{self.cases} case{'' if self.cases == 1 else 's'}, {self.variants} variants"
        click.echo(f"{counts}: {len(self.faults)} faults, {len(self.by_hash_order)} differences by hash order, "
                   f"{len(self.by_clock)} by clock")  # fmt: skip


def examined(root: Path, names: Sequence[str]) -> Report:
    """Every case of these providers, or of all."""
    import schemas
    from flows.thorough import differences, judge, outcome_of

    interpreters, cases = _cases(root, names)
    judged, by_clock = [], []
    with click.progressbar(cases, label="variants", file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:
        for case in shown:
            interpreter = interpreters[case.provider]
            judged.append(judge(interpreter, case, schemas.canon()))
            now, later = (outcome_of(interpreter, case, later=is_later) for is_later in (False, True))
            by_clock += [f"{case.name} · {said}" for said in differences(now, later)]
    return Report(
        len(cases),
        sum(one.variants for one in judged),
        tuple(fault for one in judged for fault in one.faults),
        tuple(by_clock),
        tuple(_by_hash_order(root, names)),
    )


def _cases(root: Path, names: Sequence[str]) -> tuple[dict[str, Interpreter], list[Case]]:
    import schemas
    from flows import golden
    from flows.providers import load_provider

    files = [file for file in sorted((root / "providers").glob("*.yaml")) if not names or file.stem in names]
    interpreters = {file.stem: load_provider(file, schemas.canon()).interpreter for file in files}
    return interpreters, list(golden.cases(root / "tests" / "golden", interpreters))


def _by_hash_order(root: Path, names: Sequence[str]) -> list[str]:
    """What a process with another order of Python's sets makes of the same cases."""
    from flows.thorough import differences

    first, second = (_outcomes_in_a_process(root, names, seed) for seed in _HASH_SEEDS)
    return [f"{name} · {said}" for name in first for said in differences(first[name], second[name])]


def _outcomes_in_a_process(root: Path, names: Sequence[str], seed: str) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "cli.thorough", str(root.resolve()), *names],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONHASHSEED": seed},
        stdout=subprocess.PIPE,
        check=True,
    )
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def _outcomes(root: Path, names: Sequence[str]) -> dict[str, Any]:
    from flows.thorough import outcome_of

    interpreters, cases = _cases(root, names)
    return {case.name: outcome_of(interpreters[case.provider], case) for case in cases}


def _shown(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    return text if len(text) < 400 else f"{text[:400]}…"


if __name__ == "__main__":
    json.dump(_outcomes(Path(sys.argv[1]), sys.argv[2:]), sys.stdout)
