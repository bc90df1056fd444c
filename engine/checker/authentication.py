"""Authentication that proves less than it seems to, or that can never succeed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.checker.sites import Context
from engine.model import AllOf, AnyOf, HeaderPart, HmacScheme, NoneScheme, QueryPart, Signature, SignaturePart, Timestamp
from engine.problems import Problem


def authentication(context: Context) -> Iterator[Problem]:
    """Looks at each scheme of `auth`, however nested."""
    yield from _walk(context, context.provider.auth, ("auth",))


def _walk(context: Context, auth: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if isinstance(auth, AnyOf | AllOf):
        word, members = ("any", auth.any) if isinstance(auth, AnyOf) else ("all", auth.all)
        for n, member in enumerate(members):
            yield from _walk(context, member, (*path, word, n))
    elif isinstance(auth, NoneScheme):
        place = context.document.place_of(path)
        yield Problem(place, "unauthenticated", "anybody who knows the URL can send", "use a token, or an allowlist", "notice")
    elif isinstance(auth, HmacScheme):
        yield from _hmac(context, auth, path)


def _hmac(context: Context, scheme: HmacScheme, path: tuple[str | int, ...]) -> Iterator[Problem]:
    yield from _signature(context, scheme.signature, (*path, "signature"))
    place = context.document.place_of(path)
    if scheme.timestamp is None:
        yield Problem(
            place, "no_replay_protection", "an old message with its signature is accepted for ever",
            "add timestamp with a tolerance where the provider signs one", "notice",
        )  # fmt: skip
        return
    at = (*path, "timestamp")
    located = [scheme.timestamp.header, scheme.timestamp.query, scheme.timestamp.body, scheme.timestamp.signature]
    if sum(value is not None for value in located) != 1:
        yield Problem(
            context.document.place_of(at, key=True), "one_location",
            "exactly one of header, query, body and signature says where the timestamp stands", "keep one",
        )  # fmt: skip
    elif not _signed(scheme, scheme.timestamp):
        yield Problem(
            context.document.place_of(at, key=True), "timestamp_not_signed",
            "the timestamp is not among what is signed, so anybody can renew it", "add it to sign", "warning",
        )  # fmt: skip


def _signature(context: Context, signature: Signature, path: tuple[str | int, ...]) -> Iterator[Problem]:
    place = context.document.place_of(path, key=True)
    if signature.parser == "pairs" and not signature.take:
        yield Problem(place, "take_missing", "pairs need the name of the part that holds the signature", "add take: v1")
    if signature.parser != "plain" and signature.separator and signature.separator in signature.prefix:
        yield Problem(
            place, "prefix_holds_separator", "a prefix with the separator in it can never match", "choose another separator"
        )


def _signed(scheme: HmacScheme, timestamp: Timestamp) -> bool:
    if timestamp.body is not None:
        return True
    for part in scheme.sign:
        if isinstance(part, HeaderPart) and timestamp.header and part.header.lower() == timestamp.header.lower():
            return True
        if isinstance(part, QueryPart) and part.query == timestamp.query:
            return True
        if isinstance(part, SignaturePart) and part.signature == timestamp.signature:
            return True
    return part_is_whole(scheme) and timestamp.query is not None


def part_is_whole(scheme: HmacScheme) -> bool:
    """Whether the whole URL, query included, is signed."""
    return "url" in scheme.sign
