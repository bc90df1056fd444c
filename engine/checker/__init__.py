"""The checker: everything that can be known to be wrong with a provider file before a request comes.

A pipeline of rules, one a file. Each yields every problem it finds; nothing is raised at the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.canon import Canon
from engine.checker.authentication import authentication
from engine.checker.commands import commands
from engine.checker.comparisons import comparisons
from engine.checker.feeds import feeds
from engine.checker.fields import fields
from engine.checker.functions import functions
from engine.checker.idempotency import idempotency
from engine.checker.lets import lets
from engine.checker.locale import local_defaults
from engine.checker.lookups import lookups
from engine.checker.notices import notices
from engine.checker.samples import samples as unread_samples
from engine.checker.sites import Context
from engine.checker.syntax import syntax
from engine.checker.variables import variables
from engine.model import Provider
from engine.problems import Problem, ProviderFileError
from engine.provider_file import validated
from engine.yaml12 import compose

Rule = Callable[[Context], Iterable[Problem]]

RULES: tuple[Rule, ...] = (
    syntax,
    variables,
    functions,
    comparisons,
    lets,
    lookups,
    commands,
    fields,
    feeds,
    idempotency,
    authentication,
    local_defaults,
    notices,
    unread_samples,
)


def check(text: str, file: str, canon: Canon, samples: Mapping[str, Sequence[Any]] | None = None) -> list[Problem]:
    """Every problem of a provider file, in order of place. `samples` are decoded payloads by feed."""
    problems, _ = _checked(text, file, canon, samples or {})
    return problems


def load(text: str, file: str, canon: Canon) -> Provider:
    """The provider file. Raises ProviderFileError when any problem is an error."""
    problems, provider = _checked(text, file, canon, {})
    errors = tuple(p for p in problems if p.severity == "error")
    if errors or provider is None:
        raise ProviderFileError(errors)
    return provider


def _checked(
    text: str, file: str, canon: Canon, samples: Mapping[str, Sequence[Any]]
) -> tuple[list[Problem], Provider | None]:
    try:
        document = compose(text, file)
        provider = validated(document)
    except ProviderFileError as error:
        return sorted(error.problems, key=lambda p: p.place), None
    context = Context(provider, document, canon, samples)
    found = {problem for rule in RULES for problem in rule(context)}
    return sorted(found, key=lambda p: (p.place, p.code, p.message)), provider
