"""Authentication that proves less than it seems to, or that can never succeed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.auth_model import (
    AddressScheme,
    AllOf,
    AnyOf,
    Auth,
    Certificate,
    HashScheme,
    JwtScheme,
    Keyring,
    MessageSignatureScheme,
    NoneScheme,
    Signature,
    SignedScheme,
    Timestamp,
    TokenScheme,
)
from engine.checker.signed_times import signed_times
from engine.checker.sites import Context
from engine.key_families import family_of
from engine.problems import Problem
from engine.recipe_model import (
    BodyPart,
    DigestPart,
    FormPart,
    HeaderPart,
    LinesPart,
    QueryPart,
    SignaturePart,
    SortedParamsPart,
    UrlPart,
)
from engine.recipes import flat, holds
from engine.yaml12 import Path

_NAMED = ("pairs", "params")
_OF_BODY = ("raw_body", "minified_body")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scheme where it stands. `beside` are the other members of the `all` that it is in."""

    scheme: Any
    path: Path
    beside: tuple[Auth, ...] = ()
    among: bool = False


def authentication(context: Context) -> Iterator[Problem]:
    """Looks at each scheme of `auth`, the file's and those of feeds, however nested."""
    for path, auth in auths(context):
        for leaf in leaves(auth, path):
            yield from _judged(context, leaf)


def auths(context: Context) -> Iterator[tuple[Path, Auth]]:
    """Every `auth` of the file, where it stands."""
    yield ("auth",), context.provider.auth
    for name, feed in context.provider.feeds.items():
        if feed.auth is not None:
            yield ("feeds", name, "auth"), feed.auth


def leaves(auth: Auth, path: Path, beside: tuple[Auth, ...] = (), among: bool = False) -> Iterator[Leaf]:
    """The schemes of a tree of any and all."""
    if isinstance(auth, AnyOf):
        for n, member in enumerate(auth.any):
            yield from leaves(member, (*path, "any", n), beside, among or len(auth.any) > 1)
    elif isinstance(auth, AllOf):
        for n, member in enumerate(auth.all):
            others = auth.all[:n] + auth.all[n + 1 :]
            yield from leaves(member, (*path, "all", n), (*beside, *others), among or bool(others))
    else:
        yield Leaf(auth, path, beside, among)


def _judged(context: Context, leaf: Leaf) -> Iterator[Problem]:
    scheme, path = leaf.scheme, leaf.path
    if isinstance(scheme, NoneScheme):
        yield from _none(context, leaf)
    elif isinstance(scheme, AddressScheme) and not any(_proves(one) for one in leaf.beside):
        message, hint = "an address alone is no proof of who sent it", "put it into all: beside a token or a signature"
        yield Problem(context.place((*path, "scheme")), "address_alone", message, hint, "warning")
    elif isinstance(scheme, TokenScheme):
        yield from _public_id(context, leaf)
    elif isinstance(scheme, JwtScheme):
        yield from _key_fits(context, scheme, path)
        yield from _token_age(context, scheme, path)
    elif isinstance(scheme, MessageSignatureScheme):
        yield from _key_fits(context, scheme, path)
        yield from _covers(context, scheme, path)
    elif isinstance(scheme, SignedScheme):
        yield from _signed_scheme(context, leaf)


def _signed_scheme(context: Context, leaf: Leaf) -> Iterator[Problem]:
    scheme, path = leaf.scheme, leaf.path
    yield from _signature(context, scheme.signature, (*path, "signature"))
    if isinstance(scheme, HashScheme):
        yield from _hash(context, leaf)
    elif not context.touched((*path, "sign")) and holds(scheme.sign, "secret"):
        message = "the key of this scheme is no part of what it signs"
        yield Problem(context.place((*path, "sign"), key=True), "secret_in_recipe", message, "take secret out of sign")
    secret = getattr(scheme, "secret", None)
    if isinstance(secret, Keyring):
        yield from _keyring(context, scheme, secret, path)
    if isinstance(secret, Certificate) and not any(isinstance(one, TokenScheme) for one in leaf.beside):
        message = "every customer of those hosts can have a message signed so"
        hint = "put it into all: beside a token that names the sender, such as its account or topic"
        yield Problem(context.place((*path, "secret"), key=True), "signer_not_pinned", message, hint, "warning")
    if isinstance(scheme, HashScheme) and scheme.secret is None:
        return
    yield from _body_signed(context, leaf)
    yield from _timestamp(context, scheme, path)


# ---- none and tokens ----


def _none(context: Context, leaf: Leaf) -> Iterator[Problem]:
    place = context.place((*leaf.path, "scheme"))
    if context.touched((*leaf.path, "scheme")):
        return
    if leaf.among:
        message, hint = "beside none every other scheme is for nothing", "remove none, or the others"
        yield Problem(place, "none_beside_others", message, hint)
    else:
        message, hint = "anybody who knows the URL can send", "use a token, or an allowlist of the connection"
        yield Problem(place, "unauthenticated", message, hint, "notice")


def _proves(auth: Auth) -> bool:
    if isinstance(auth, AnyOf | AllOf):
        return any(_proves(one) for one in (auth.any if isinstance(auth, AnyOf) else auth.all))
    return not isinstance(auth, NoneScheme | AddressScheme) and getattr(auth, "secret", None) is not None


def _public_id(context: Context, leaf: Leaf) -> Iterator[Problem]:
    """A token that also chooses the connection is an id, which many people know."""
    scheme: TokenScheme = leaf.scheme
    if any(_proves(one) for one in leaf.beside):
        return
    where = (scheme.query and f"$request.query.{scheme.query}") or (
        scheme.header and f"$request.headers.{scheme.header}"
    )
    wanted = {one.replace("`", "").replace('"', "").lower() for one in (where, scheme.body, scheme.form) if one}
    chosen = [context.provider.connection, *(feed.connection for feed in context.provider.feeds.values())]
    written = {one.text.replace("`", "").replace('"', "").strip().lower() for one in chosen if one is not None}
    if wanted & written:
        message = "the token also chooses the connection, so it is an id and no secret"
        hint = "put a second proof beside it with all:"
        yield Problem(context.place((*leaf.path, "scheme")), "secret_is_public_id", message, hint, "warning")


def _bare(path: str) -> str:
    return re.sub(r"[`\"\s]", "", path).lower()


def _key_fits(context: Context, scheme: JwtScheme | MessageSignatureScheme, path: Path) -> Iterator[Problem]:
    asymmetric = bool(family_of(scheme))
    if context.touched(path) or asymmetric == (scheme.key == "pem") or (asymmetric and scheme.key in ("hex", "base64")):
        return
    wanted = "key: pem" if asymmetric else "key: utf8"
    kind = "a public key" if asymmetric else "a shared secret"
    message = f"{scheme.algorithm} takes {kind}, which is not written in {scheme.key}"
    yield Problem(context.place((*path, "algorithm")), "key_does_not_fit", message, f"write {wanted}")


def _token_age(context: Context, scheme: JwtScheme, path: Path) -> Iterator[Problem]:
    if scheme.tolerance is None and not context.touched(path):
        message, hint = "a token without exp is accepted for ever", "add tolerance, where the tokens have iat"
        yield Problem(context.place((*path, "scheme")), "no_replay_protection", message, hint, "warning")


def _covers(context: Context, scheme: MessageSignatureScheme, path: Path) -> Iterator[Problem]:
    if not context.touched((*path, "cover")) and not any("content-digest" in one for one in scheme.cover):
        place = context.place((*path, "cover"), key=True)
        yield Problem(place, "body_not_signed", *_BODY_NOT_SIGNED, "warning")
    ring = scheme.secret
    if isinstance(ring, Keyring) and ring.by.signature not in (None, "keyid"):
        place = context.place((*path, "secret", "by", "signature"))
        yield Problem(place, "unknown_key_selector", "only keyid chooses a key here", "write by: {signature: keyid}")


# ---- signatures ----

_BODY_NOT_SIGNED = ("the body is not among what is signed, so anybody can change it", "add it, where the provider does")


def _signature(context: Context, signature: Signature, path: Path) -> Iterator[Problem]:
    place = context.place(path, key=True)
    if context.touched(path):
        return
    if signature.parser in _NAMED and not signature.take:
        message = f"{signature.parser} need the name of the part that holds the signature"
        yield Problem(place, "take_missing", message, "add take: v1")
    if signature.parser in ("list", "pairs") and signature.separator in signature.prefix:
        message = "a prefix with the separator in it can never match"
        yield Problem(place, "prefix_holds_separator", message, "choose another separator")


def _hash(context: Context, leaf: Leaf) -> Iterator[Problem]:
    scheme, path = leaf.scheme, leaf.path
    if context.touched((*path, "sign")) or context.touched((*path, "secret")):
        return
    place = context.place((*path, "scheme"))
    if scheme.secret is None and not any(_proves(one) for one in leaf.beside):
        message = "without a secret anybody can make this hash"
        yield Problem(place, "hash_without_secret", message, "add secret, or put it into all: beside a signature")
    elif (scheme.secret is not None) != holds(scheme.sign, "secret"):
        message = "secret and its place in sign go together"
        yield Problem(place, "secret_not_hashed", message, "write secret: NAME, and the word secret in sign")


def _keyring(context: Context, scheme: SignedScheme, ring: Keyring, path: Path) -> Iterator[Problem]:
    if ring.by.signature is None or scheme.signature.parser in _NAMED or context.touched(path):
        return
    message = "the key is chosen by a part of the signature, which is not read as pairs or params"
    place = context.place((*path, "secret", "by", "signature"))
    yield Problem(place, "unknown_key_selector", message, "add parser: params to signature, or choose by a header")


def _body_signed(context: Context, leaf: Leaf) -> Iterator[Problem]:
    scheme, path = leaf.scheme, leaf.path
    recipes = [scheme.sign, *(one.sign for one in leaf.beside if isinstance(one, HashScheme))]
    if context.touched((*path, "sign")) or (scheme.timestamp is None and scheme.signature.query is not None):
        return
    if not any(_of_body(part) for recipe in recipes for part in flat(recipe)):
        yield Problem(context.place((*path, "sign"), key=True), "body_not_signed", *_BODY_NOT_SIGNED, "warning")


def _of_body(part: Any) -> bool:
    if isinstance(part, SortedParamsPart):
        return part.sorted_params != "query"
    return part in _OF_BODY or isinstance(part, BodyPart | DigestPart | LinesPart | FormPart)


# ---- time ----


def _timestamp(context: Context, scheme: SignedScheme, path: Path) -> Iterator[Problem]:
    at = (*path, "timestamp")
    if context.touched(at):
        return
    if scheme.timestamp is None:
        named = next(signed_times(scheme.sign), None)
        if named is not None and not context.touched((*path, "sign")):
            place = context.place((*path, "sign"), key=True)
            message = f"a time is signed ({named}), and nothing looks how old it is"
            yield Problem(place, "signed_time_unchecked", message, "add timestamp with a tolerance", "warning")
            return
        if "timestamp" in scheme.model_fields_set:
            return
        message = "an old message with its signature is accepted for ever"
        hint = "add timestamp with a tolerance, or timestamp: none where the provider signs no time"
        yield Problem(context.place((*path, "scheme")), "no_replay_protection", message, hint, "warning")
    elif not _signed(scheme, scheme.timestamp):
        message = "the timestamp is not among what is signed, so anybody can renew it"
        yield Problem(context.place(at, key=True), "timestamp_not_signed", message, "add it to sign", "warning")
    elif scheme.timestamp.signature and scheme.signature.parser not in _NAMED:
        message = "the timestamp is a part of the signature, which is not read as pairs"
        place = context.place((*at, "signature"))
        yield Problem(place, "parser_missing", message, "add parser: pairs to signature")


def _signed(scheme: SignedScheme, timestamp: Timestamp) -> bool:
    parts = list(flat(scheme.sign))
    if timestamp.body is not None:
        return any(part in _OF_BODY or isinstance(part, BodyPart | DigestPart | LinesPart) for part in parts)
    if timestamp.form is not None and any(part in _OF_BODY or isinstance(part, DigestPart) for part in parts):
        return True
    if timestamp.query is not None and any(part == "url" or isinstance(part, UrlPart) for part in parts):
        return True
    if any(isinstance(part, SortedParamsPart) for part in parts) and (timestamp.query or timestamp.form):
        return True
    return any(_is_timestamp(part, timestamp) for part in parts)


def _is_timestamp(part: Any, timestamp: Timestamp) -> bool:
    if isinstance(part, HeaderPart) and timestamp.header:
        return bool(part.header.lower() == timestamp.header.lower())
    if isinstance(part, QueryPart | FormPart):
        name = part.query if isinstance(part, QueryPart) else part.form
        return name in (timestamp.query, timestamp.form)
    return isinstance(part, SignaturePart) and part.signature == timestamp.signature
