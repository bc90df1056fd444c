"""Loads the provider files of a folder into interpreters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine import checker
from engine.canon import Canon
from engine.interpreter import Interpreter
from engine.places import Place
from engine.problems import Problem, ProviderFileError


@dataclass(frozen=True)
class LoadedProvider:
    """A provider file that loads. `text` is the file's, `spec_hash` the SHA-256 of it in hex."""

    interpreter: Interpreter
    text: str
    spec_hash: str


def load_provider(path: Path, canon: Canon, engine: Literal["jlens", "jsonata-python"] = "jlens") -> LoadedProvider:
    """One file, named `<provider>.yaml`. Raises ProviderFileError with every problem of it."""
    raw = path.read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ProviderFileError((_problem(path, line, "file_not_utf8", "the file is not UTF-8"),)) from None
    provider = checker.load(text, str(path), canon)
    if provider.provider != path.stem:
        message = f"the provider is named {provider.provider}, its file {path.name}"
        raise ProviderFileError((_problem(path, 1, "file_name_differs", message),))
    spec_hash = hashlib.sha256(raw).hexdigest()
    return LoadedProvider(Interpreter(provider, spec_hash, canon, engine), text, spec_hash)


def load_providers(
    folder: Path, canon: Canon, engine: Literal["jlens", "jsonata-python"] = "jlens"
) -> Mapping[str, LoadedProvider]:
    """Every `*.yaml` of a folder, by provider. Raises ProviderFileError with the problems of all files."""
    if not folder.is_dir():
        raise ProviderFileError((_problem(folder, 1, "folder_missing", "there is no such folder"),))
    loaded: dict[str, LoadedProvider] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            loaded[path.stem] = load_provider(path, canon, engine)
        except ProviderFileError as error:
            problems += error.problems
    if problems:
        raise ProviderFileError(tuple(problems))
    return loaded


def _problem(path: Path, line: int, code: str, message: str) -> Problem:
    return Problem(Place(str(path), line, 1), code, message)
