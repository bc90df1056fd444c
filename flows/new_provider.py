"""Writes an inferred provider file with its golden cases into a checkout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import schemas
from engine.canon import Canon
from flows.golden import cases
from flows.inferring import Inferred
from flows.inferring.files import InferredCase
from flows.inferring.samples import ENDINGS
from flows.inferring.senders import SECRET
from flows.inferring.vocabulary import words
from flows.inferring.writing import SCHEMA_FILE
from flows.pins import pins, write
from flows.providers import load_provider


@dataclass(frozen=True)
class Written:
    """The files that were written, relative to the checkout, the provider file first."""

    files: tuple[Path, ...]
    cases: int


def existing(root: Path, provider: str) -> list[Path]:
    """What a new provider of this name would write over."""
    found = [root / "providers" / f"{provider}.yaml", root / "tests" / "golden" / provider]
    return [path for path in found if path.exists()]


def write_new(root: Path, provider: str, made: Inferred, canon: Canon) -> Written:
    """The provider file, context, cases, and snapshots of what they come to."""
    golden = root / "tests" / "golden"
    file = root / "providers" / f"{provider}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(made.text)
    context = golden / provider / "context.yaml"
    context.parent.mkdir(parents=True, exist_ok=True)
    context.write_text(_context(made.cases))
    files = [file, context]
    names: set[str] = set()
    for case in made.cases:
        folder = golden / provider / case.feed / _name(case, names)
        folder.mkdir(parents=True, exist_ok=True)
        body, request = folder / f"body.{_ending(case)}", folder / "request.yaml"
        body.write_bytes(case.sample.body)
        why = f"As it was sent: {case.commands} commands, {case.verdict}."
        request.write_text(f"why: {json.dumps(why)}\nheaders:\n" + _mapping(case.headers))
        files += [body, request]
    interpreters = {provider: load_provider(file, canon).interpreter}
    run = pins(golden, cases(golden, interpreters), interpreters)
    files += [write(golden, pin) for pin in run]
    files += _schema(root / SCHEMA_FILE)
    return Written(tuple(path.relative_to(root) for path in files), len(run))


def _schema(file: Path) -> list[Path]:
    """The schema that the file's first line names, where it is not there yet; a checkout has it."""
    if file.exists():
        return []
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(schemas.schema("provider"), indent=2) + "\n")
    return [file]


def _context(cases: Iterable[InferredCase]) -> str:
    stores = sorted({store for case in cases for store in case.stores})
    lines = [
        "# The connection and the mappings that the cases start from. Invented.",
        "connection:",
        "  tenant: demo",
        f"  secrets: {{{SECRET}: golden-case-secret-0192}}",
        f"mappings:{'' if stores else ' []'}",
    ]
    for n, store in enumerate(stores, 1):
        name = re.sub(r"[^a-z0-9]+", "_", words(store)).strip("_")[:40] or str(n)
        lines.append(
            f"  - {{kind: store, external_id: {json.dumps(store)}, canonical_id: {json.dumps(f'sto_{name}')}}}"
        )
    return "\n".join(lines) + "\n"


def _mapping(pairs: dict[str, str]) -> str:
    return "".join(f"  {json.dumps(name)}: {json.dumps(value)}\n" for name, value in pairs.items())


def _name(case: InferredCase, taken: set[str]) -> str:
    stem = case.sample.name.rpartition("/")[2]
    stem = stem.rpartition(".")[0] or stem
    said = re.sub(r"[^a-z0-9]+", "_", words(stem)).strip("_")[:60] or "sample"
    name, n = said, 1
    while f"{case.feed}/{name}" in taken:
        n += 1
        name = f"{said}_{n}"
    taken.add(f"{case.feed}/{name}")
    return name


def _ending(case: InferredCase) -> str:
    said = case.sample.name.rpartition(".")[2].lower()
    if said in ENDINGS:
        return said
    kind = next((value for name, value in case.headers.items() if name.lower() == "content-type"), "")
    return next((end for end in ("json", "csv", "xml") if end in kind), "txt")
