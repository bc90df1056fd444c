"""Secrets that stand in the file, where only their names belong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.checker.sites import Context
from engine.model import AllOf, AnyOf, NoneScheme, SecretPart
from engine.problems import Problem
from engine.yaml12 import Path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}\Z")
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=]{20,}\Z")


def secret_names(context: Context) -> Iterator[Problem]:
    """`secret_name`: `secret:` names a secret of the connection; the value never stands in the file."""
    yield from _walk(context, context.provider.auth, ("auth",))
    for name, one in context.provider.handshakes.items():
        path = ("handshakes", name, "hash")
        if one.hash is None or context.touched(path):
            continue
        if one.hash.key is not None:
            yield from _named(context, one.hash.key, (*path, "key"))
        for n, part in enumerate(one.hash.of):
            if isinstance(part, SecretPart):
                yield from _named(context, part.secret, (*path, "of", n, "secret"))


def _walk(context: Context, auth: Any, path: Path) -> Iterator[Problem]:
    if isinstance(auth, AnyOf | AllOf):
        word, members = ("any", auth.any) if isinstance(auth, AnyOf) else ("all", auth.all)
        for n, member in enumerate(members):
            yield from _walk(context, member, (*path, word, n))
    elif not isinstance(auth, NoneScheme) and not context.touched((*path, "secret")):
        yield from _named(context, auth.secret, (*path, "secret"))


def _named(context: Context, name: str, path: Path) -> Iterator[Problem]:
    if not _NAME.match(name) or _RANDOM.match(name):
        hint = "write a name such as key; its value is given with tiffin connection add --secret key=…"
        yield Problem(context.place(path), "secret_name", "this does not look like the name of a secret", hint)
