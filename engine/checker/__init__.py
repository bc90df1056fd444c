"""The checker: everything that can be known to be wrong with a provider file before a request comes.

A pipeline of rules, one a file. Each yields every problem it finds; nothing is raised at the first. A file
whose YAML or structure is wrong in places is mended as far as it can be, so that its other mistakes are
found in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.canon import Canon
from engine.checker.answers import answers
from engine.checker.authentication import authentication
from engine.checker.commands import commands
from engine.checker.comparisons import comparisons
from engine.checker.deltas import deltas
from engine.checker.events import events
from engine.checker.feeds import feeds
from engine.checker.fetches import fetches
from engine.checker.fields import fields
from engine.checker.formats import formats
from engine.checker.functions import functions
from engine.checker.handshakes import handshakes
from engine.checker.idempotency import idempotency
from engine.checker.inequalities import inequalities
from engine.checker.issuing import issuing
from engine.checker.lets import lets
from engine.checker.locale import local_defaults
from engine.checker.lookups import lookups
from engine.checker.names import names
from engine.checker.notices import notices
from engine.checker.parents import parents
from engine.checker.paths import paths
from engine.checker.readers import readers
from engine.checker.replies import replies
from engine.checker.sampled_lookups import sampled_lookups
from engine.checker.samples import samples as against_samples
from engine.checker.secret_names import secret_names
from engine.checker.sites import Context, Samples
from engine.checker.snapshots import snapshots
from engine.checker.syntax import syntax
from engine.checker.values import values
from engine.checker.variables import variables
from engine.extending import Sources, no_sources, resolve
from engine.model import Provider
from engine.problems import Problem, ProviderFileError
from engine.salvage import structure
from engine.yaml12 import Document

Rule = Callable[[Context], Iterable[Problem]]

RULES: tuple[Rule, ...] = (
    syntax,
    variables,
    functions,
    parents,
    comparisons,
    inequalities,
    lets,
    lookups,
    names,
    commands,
    fields,
    values,
    readers,
    feeds,
    formats,
    events,
    handshakes,
    replies,
    paths,
    idempotency,
    deltas,
    snapshots,
    answers,
    fetches,
    authentication,
    secret_names,
    issuing,
    local_defaults,
    notices,
    against_samples,
    sampled_lookups,
)


Documents = Mapping[str, Sequence[Any]]
"""Decoded payloads by feed."""


def check(
    text: str,
    file: str,
    canon: Canon,
    samples: Documents | None = None,
    *,
    faulty: Documents | None = None,
    sources: Sources = no_sources,
) -> list[Problem]:
    """Every problem of a provider file and of those it extends, in order of place. Never raises, whatever the text.

    `samples` are decoded payloads by feed; with them, payload fields that none of them has, lookups that miss
    a value of theirs and feeds without any are told. `faulty` are payloads with wrong values in them, which only
    show what fields there are. None: there are no samples, and nothing is said about them.
    """
    return check_document(resolve(text, file, sources), canon, samples, faulty)


def check_document(
    document: Document, canon: Canon, samples: Documents | None = None, faulty: Documents | None = None
) -> list[Problem]:
    """The same of a document that is resolved already."""
    problems, _ = _checked(document, canon, None if samples is None else Samples(samples, faulty or {}))
    return problems


def load(text: str, file: str, canon: Canon, sources: Sources = no_sources) -> Provider:
    """The provider file. Raises ProviderFileError when any problem is an error."""
    return load_document(resolve(text, file, sources), canon)


def load_document(document: Document, canon: Canon) -> Provider:
    """The same of a document that is resolved already."""
    problems, provider = _checked(document, canon, None)
    errors = tuple(p for p in problems if p.severity == "error")
    if errors or provider is None:
        raise ProviderFileError(errors)
    return provider


def _checked(document: Document, canon: Canon, samples: Samples | None) -> tuple[list[Problem], Provider | None]:
    if document.data is None and document.problems:
        return sorted(document.problems, key=lambda p: (p.place, p.code)), None
    read = structure(document)
    found = {*document.problems, *read.problems}
    if read.provider is not None:
        context = Context(read, read.provider, canon, samples)
        found |= {problem for rule in RULES for problem in rule(context)}
    return _told_once(found, document.problems), read.provider


def _told_once(found: Iterable[Problem], of_yaml: Iterable[Problem]) -> list[Problem]:
    """In order of place. Where YAML itself went wrong, or cut an expression short, nothing else is said."""
    spoilt = {p.place for p in of_yaml} | {p.place for p in found if p.code == "unquoted_expression"}
    kept = {p for p in found if p.place not in spoilt or p.code == "unquoted_expression"} | set(of_yaml)
    distinct = {(p.place, p.code, p.message): p for p in kept}
    return sorted(distinct.values(), key=lambda p: (p.place, p.code, p.message))
