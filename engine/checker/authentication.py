"""Authentication that proves less than it seems to, or that can never succeed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.checker.sites import Context
from engine.model import (
    AllOf,
    AnyOf,
    Base64Part,
    BodyPart,
    DigestPart,
    HeaderPart,
    HmacScheme,
    NoneScheme,
    QueryPart,
    Signature,
    SignaturePart,
    SortedParamsPart,
    Timestamp,
)
from engine.problems import Problem
from engine.yaml12 import Path


def authentication(context: Context) -> Iterator[Problem]:
    """Looks at each scheme of `auth`, however nested."""
    yield from _walk(context, context.provider.auth, ("auth",))


def _walk(context: Context, auth: Any, path: Path) -> Iterator[Problem]:
    if isinstance(auth, AnyOf | AllOf):
        word, members = ("any", auth.any) if isinstance(auth, AnyOf) else ("all", auth.all)
        for n, member in enumerate(members):
            yield from _walk(context, member, (*path, word, n))
    elif isinstance(auth, NoneScheme) and not context.touched((*path, "scheme")):
        message, hint = "anybody who knows the URL can send", "use a token, or an allowlist of the connection"
        yield Problem(context.place((*path, "scheme")), "unauthenticated", message, hint, "notice")
    elif isinstance(auth, HmacScheme):
        yield from _signature(context, auth.signature, (*path, "signature"))
        yield from _timestamp(context, auth, path)


def _timestamp(context: Context, scheme: HmacScheme, path: Path) -> Iterator[Problem]:
    at = (*path, "timestamp")
    if context.touched(at):
        return
    if scheme.timestamp is None:
        message = "an old message with its signature is accepted for ever"
        hint = "add timestamp with a tolerance, where the provider signs one"
        yield Problem(context.place((*path, "scheme")), "no_replay_protection", message, hint, "warning")
    elif not _signed(scheme, scheme.timestamp):
        message = "the timestamp is not among what is signed, so anybody can renew it"
        yield Problem(context.place(at, key=True), "timestamp_not_signed", message, "add it to sign", "warning")
    elif scheme.timestamp.signature and scheme.signature.parser != "pairs":
        message = "the timestamp is a part of the signature, which is not read as pairs"
        place = context.place((*at, "signature"))
        yield Problem(place, "parser_missing", message, "add parser: pairs to signature")


def _signature(context: Context, signature: Signature, path: Path) -> Iterator[Problem]:
    place = context.place(path, key=True)
    if context.touched(path):
        return
    if signature.parser == "pairs" and not signature.take:
        yield Problem(place, "take_missing", "pairs need the name of the part that holds the signature", "add take: v1")
    if signature.parser != "plain" and signature.separator and signature.separator in signature.prefix:
        message = "a prefix with the separator in it can never match"
        yield Problem(place, "prefix_holds_separator", message, "choose another separator")


def _signed(scheme: HmacScheme, timestamp: Timestamp) -> bool:
    if timestamp.body is not None:
        return any(
            part in ("raw_body", "minified_body") or isinstance(part, BodyPart | DigestPart) for part in scheme.sign
        )
    if timestamp.query is not None and any(part == "url" or isinstance(part, SortedParamsPart) for part in scheme.sign):
        return True
    return any(_is_timestamp(part, timestamp) for part in _parts(scheme.sign))


def _parts(recipe: tuple[Any, ...]) -> Iterator[Any]:
    for part in recipe:
        if isinstance(part, Base64Part):
            yield from _parts(part.base64)
        else:
            yield part


def _is_timestamp(part: Any, timestamp: Timestamp) -> bool:
    if isinstance(part, HeaderPart) and timestamp.header:
        return part.header.lower() == timestamp.header.lower()
    if isinstance(part, QueryPart):
        return part.query == timestamp.query
    return isinstance(part, SignaturePart) and part.signature == timestamp.signature
