"""Secrets that stand in the file, where only their names belong."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.checker.authentication import auths, leaves
from engine.checker.sites import Context
from engine.model import SecretPart
from engine.problems import Problem
from engine.yaml12 import Path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}\Z")
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=]{20,}\Z")
_HINT = "write a name such as key; its value is given with tiffin connection add --secret key=…"


def secret_names(context: Context) -> Iterator[Problem]:
    """`secret_name`: `secret:` names a secret of the connection; the value never stands in the file."""
    for path, auth in auths(context):
        for leaf in leaves(auth, path):
            yield from _named(context, getattr(leaf.scheme, "secret", None), (*leaf.path, "secret"))
    for site in context.rules:
        if site.rule.fetch is not None and site.rule.fetch.auth is not None:
            yield from _named(context, site.rule.fetch.auth.secret, (*site.path, "fetch", "auth", "secret"))
    for handshake, one in context.provider.handshakes.items():
        at = ("handshakes", handshake, "hash")
        if one.hash is None:
            continue
        yield from _named(context, one.hash.key, (*at, "key"))
        for n, part in enumerate(one.hash.of):
            if isinstance(part, SecretPart):
                yield from _named(context, part.secret, (*at, "of", n, "secret"))


def _named(context: Context, name: object, at: Path) -> Iterator[Problem]:
    if isinstance(name, str) and not context.touched(at) and (not _NAME.match(name) or _RANDOM.match(name)):
        yield Problem(context.place(at), "secret_name", "this does not look like the name of a secret", _HINT)
