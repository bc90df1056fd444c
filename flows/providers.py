"""Loads the provider files of a folder into interpreters, with what they extend and what a connection overrides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from engine import checker
from engine.canon import Canon
from engine.extending import Source, Sources, overridden, resolve
from engine.interpreter import Interpreter
from engine.places import Place
from engine.problems import Problem, ProviderFileError
from engine.resolved_text import resolved_text
from engine.yaml12 import Document

EngineName = Literal["jlens", "jsonata-python"]

MOST_OVERRIDDEN = 128
"""So many interpreters of connections' overrides are held at once; what is left out is compiled again."""
OVERRIDES = "overrides"
"""The file's name in places of a connection's overrides."""


@dataclass(frozen=True)
class Origin:
    """What a provider was loaded from: its file's text and those of the files that it extends, by name."""

    source: Source
    bases: Mapping[str, Source]
    canon: Canon
    engine: EngineName

    def document(self) -> Document:
        """The resolved document. Made anew each time: its places take more memory than an idle server has."""
        return resolve(self.source.text, self.source.file, self.bases.get)


@dataclass(frozen=True, eq=False)
class LoadedProvider:
    """A provider file that loads.

    `text` is a whole provider file: the file's own text or, where it extends another one or a connection overrides
    it, what came of that. `spec_hash` is the SHA-256 of it in hex.
    """

    interpreter: Interpreter
    text: str
    spec_hash: str
    origin: Origin | None = field(default=None, repr=False)


def load_provider(path: Path, canon: Canon, engine: EngineName = "jlens") -> LoadedProvider:
    """One file, named `<provider>.yaml`. Raises ProviderFileError with every problem of it."""
    loaded = load_candidate(path, canon, engine)
    provider = loaded.interpreter.provider
    if provider.provider != path.stem:
        message = f"the provider is named {provider.provider}, its file {path.name}"
        raise ProviderFileError((_problem(path, 1, "file_name_differs", message),))
    return loaded


def load_candidate(path: Path, canon: Canon, engine: EngineName = "jlens") -> LoadedProvider:
    """One file of any name, such as an older or a newer one of a provider. Raises ProviderFileError."""
    found: dict[str, Source] = {}
    beside = sources_beside(path)

    def sources(name: str) -> Source | None:
        source = beside(name)
        if source is not None:
            found[name] = source
        return source

    source = read_source(path)
    document = resolve(source.text, source.file, sources)
    provider = checker.load_document(document, canon)
    text = resolved_text(document) if found else source.text
    return _loaded(Interpreter(provider, hash_of(text), canon, engine), text, Origin(source, found, canon, engine))


def load_text(text: str, canon: Canon, engine: EngineName = "jlens") -> LoadedProvider:
    """A provider by a text that was stored. Raises ProviderFileError."""
    spec_hash = hash_of(text)
    source = Source(text, f"spec {spec_hash[:12]}")
    interpreter = Interpreter(checker.load(text, source.file, canon), spec_hash, canon, engine)
    return _loaded(interpreter, text, Origin(source, {}, canon, engine))


def _loaded(interpreter: Interpreter, text: str, origin: Origin) -> LoadedProvider:
    return LoadedProvider(interpreter, text, interpreter.spec_hash, origin)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sources_beside(path: Path) -> Sources:
    """The provider files in the folder of one. Raises ProviderFileError for one that is not UTF-8."""

    def find(name: str) -> Source | None:
        file = path.with_name(f"{name}.yaml")
        return read_source(file) if file.is_file() else None

    return find


def read_source(path: Path) -> Source:
    """Raises ProviderFileError where the file is not UTF-8."""
    raw = path.read_bytes()
    try:
        return Source(raw.decode(), str(path))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ProviderFileError((_problem(path, line, "file_not_utf8", "the file is not UTF-8"),)) from None


def with_overrides(loaded: LoadedProvider, overrides: str) -> LoadedProvider:
    """The provider with a connection's overrides merged in. Raises ProviderFileError.

    The same for the same overrides, as long as it is among the last MOST_OVERRIDDEN.
    """
    return _with_overrides(loaded, overrides) if overrides else loaded


@lru_cache(MOST_OVERRIDDEN)
def _with_overrides(loaded: LoadedProvider, overrides: str) -> LoadedProvider:
    assert loaded.origin is not None
    canon, engine = loaded.origin.canon, loaded.origin.engine
    document = overridden(loaded.origin.document(), overrides, OVERRIDES)
    provider = checker.load_document(document, canon)
    text = resolved_text(document)
    source = Source(text, f"{loaded.origin.source.file} with {OVERRIDES}")
    return _loaded(Interpreter(provider, hash_of(text), canon, engine), text, Origin(source, {}, canon, engine))


def load_providers(folder: Path, canon: Canon, engine: EngineName = "jlens") -> Mapping[str, LoadedProvider]:
    """Every `*.yaml` of a folder, by provider. Raises ProviderFileError with the problems of all files."""
    if not folder.is_dir():
        raise ProviderFileError((_problem(folder, 1, "folder_missing", "there is no such folder"),))
    loaded: dict[str, LoadedProvider] = {}
    problems: dict[Problem, None] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            loaded[path.stem] = load_provider(path, canon, engine)
        except ProviderFileError as error:
            # A base's problem is one also where several files extend it.
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise ProviderFileError(tuple(problems))
    return loaded


def _problem(path: Path, line: int, code: str, message: str) -> Problem:
    return Problem(Place(str(path), line, 1), code, message)
