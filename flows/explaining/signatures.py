"""What a request's signature was compared with: the bytes that were signed, and what would have matched instead.

No secret and no right signature is ever told: values of secrets within what is shown are masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.auth_model import HashScheme, HmacScheme, SignedScheme, TokenScheme
from engine.failures import Unauthorized
from engine.locations import location
from engine.messages import Request
from engine.model import Auth
from engine.recipe_model import HeaderPart, UrlPart
from engine.recipes import bytes_to_sign, flat
from engine.request_parts import PartError, RequestParts, described
from engine.signature_values import Malformed, Signed, read
from engine.signatures import verify
from engine.signing_keys import schemes

Secrets = Mapping[str, tuple[bytes, ...]]
Told = dict[str, Any]

_MASK = "•••"
_SHORTEST = 4
_ALGORITHMS = {"hmac": ("sha256", "sha1", "sha512"), "hash": ("sha256", "sha1", "md5", "sha512")}
_KEYS = {"utf8": "as it is written", "hex": "read as hex", "base64": "read as base64"}


@dataclass(frozen=True)
class Variation:
    """Things changed, and how they are said: `matches if …`."""

    says: tuple[str, ...]
    scheme: Any
    request: Request
    secrets: Secrets


def explain_signature(auth: Auth, request: Request, secrets: Secrets) -> list[Told]:
    """One entry for each scheme of the auth: whether it holds, what was signed, near misses of one that does not."""
    return [_explained(scheme, request, secrets) for scheme in schemes(auth)]


def _explained(scheme: Any, request: Request, secrets: Secrets) -> Told:
    failure = _failure(scheme, request, secrets)
    told: Told = {
        "scheme": scheme.scheme,
        "holds": failure is None,
        "says": "" if failure is None else failure.failure.message,
        "code": "" if failure is None else failure.failure.code,
    }
    if isinstance(scheme, SignedScheme):
        told |= _of_signature(scheme, request, secrets)
    elif isinstance(scheme, TokenScheme):
        told["looked_at"] = described(*location(scheme))
    if failure is None:
        told["near"] = _which_secret(scheme, request, secrets)
    elif failure.failure.code.endswith(("mismatch", "malformed", "missing", "tolerance")):
        told["near"] = _near_misses(scheme, request, secrets)
    return told


def _failure(scheme: Any, request: Request, secrets: Secrets) -> Unauthorized | None:
    try:
        verify(scheme, request, secrets)
    except Unauthorized as error:
        return error
    return None


def _of_signature(scheme: SignedScheme, request: Request, secrets: Secrets) -> Told:
    parts = RequestParts(request)
    where, name = location(scheme.signature)
    recipe = [part if isinstance(part, str) else part.model_dump(exclude_defaults=True) for part in scheme.sign]
    told: Told = {"signature_in": described(where, name), "recipe": recipe}
    if scheme.each is not None:
        return {**told, "note": f"signed element by element of {scheme.each}"}
    try:
        written = parts.value(where, name)
        signed = read(written, scheme.signature) if written else Signed(())
    except (PartError, Malformed):
        signed = Signed(())
    try:
        data = bytes_to_sign(scheme.sign, parts, signed, (where, name), _MASK.encode())
    except (PartError, Malformed) as error:
        return {**told, "bytes": None, "note": str(error)}
    return {**told, "bytes": masked(data, secrets), "length": len(data)}


def masked(data: bytes, secrets: Secrets) -> str:
    """Bytes for people, with the values of secrets left out."""
    for value in sorted((v for values in secrets.values() for v in values), key=len, reverse=True):
        if len(value) >= _SHORTEST:
            data = data.replace(value, _MASK.encode())
    return data.decode("utf-8", "backslashreplace")


def _which_secret(scheme: Any, request: Request, secrets: Secrets) -> list[str]:
    """Which of several values of a secret it was."""
    name = getattr(scheme, "secret", None)
    values = secrets.get(name, ()) if isinstance(name, str) else ()
    if len(values) < 2:
        return []
    fitting = [
        n for n, value in enumerate(values) if _failure(scheme, request, {**secrets, str(name): (value,)}) is None
    ]
    if not fitting:
        return []
    return [
        "matches with the newest secret" if fitting[0] == 0 else f"matches with the older secret ({fitting[0] + 1}.)"
    ]


def _near_misses(scheme: Any, request: Request, secrets: Secrets) -> list[str]:
    """What alone would have made it match; where nothing alone does, what two things together would."""
    start = Variation((), scheme, request, secrets)
    single = list(_variations(start))
    found = [one.says for one in single if _matches(one)]
    if not found and isinstance(scheme, SignedScheme):
        pairs = (two for one in single for two in _variations(one))
        found = [two.says for two in pairs if _matches(two)][:5]
    distinct = {frozenset(says): says for says in reversed(found)}
    return [f"matches if {' and '.join(says)}" for says in reversed(distinct.values())]


def _matches(one: Variation) -> bool:
    failure = _failure(one.scheme, one.request, one.secrets)
    return failure is None or failure.failure.code == "timestamp_outside_tolerance"


def _variations(of: Variation) -> Iterator[Variation]:
    def changed(says: str, **changes: Any) -> Variation:
        return replace(of, says=(*of.says, says), **changes)

    if isinstance(of.scheme, SignedScheme):
        for says, request in _requests(of.scheme, of.request):
            yield changed(says, request=request)
        for says, scheme in _schemes(of.scheme):
            yield changed(says, scheme=scheme)
    elif isinstance(of.scheme, TokenScheme):
        for says, moved in _tokens(of.scheme, of.request):
            yield changed(says, scheme=moved)
    for says, secrets in _secrets(of.secrets):
        yield changed(says, secrets=secrets)


def _requests(scheme: SignedScheme, request: Request) -> Iterator[tuple[str, Request]]:
    recipe = list(flat(scheme.sign))
    if "url" in recipe or any(isinstance(part, UrlPart) for part in recipe):
        yield from ((says, replace(request, url=url)) for says, url in _urls(request.url))
    body = request.body
    bodies = (
        ("the body has no line feed at its end", body.rstrip(b"\r\n")),
        ("the body ends with a line feed", body + b"\n"),
        ("the body's lines end with LF alone", body.replace(b"\r\n", b"\n")),
        ("the body's lines end with CRLF", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")),
        ("the body has no byte order mark", body.removeprefix(b"\xef\xbb\xbf")),
        ("slashes in the body are escaped", body.replace(b"/", b"\\/")),
        ("the body is left out", b""),
    )
    yield from ((says, replace(request, body=other)) for says, other in bodies if other != body)


def _urls(url: str) -> Iterator[tuple[str, str]]:
    path, mark, query = url.partition("?")
    if path.endswith("/"):
        yield "the URL does not end with a slash", path.rstrip("/") + mark + query
    else:
        yield "the URL ends with a slash", f"{path}/{mark}{query}"
    if query:
        yield "the URL has no query", path
    if url.startswith("https://"):
        yield "the URL begins with http", f"http{url[5:]}"
    elif url.startswith("http://"):
        yield "the URL begins with https", f"https{url[4:]}"
    if path.count("/") > 2:
        yield "the path alone is signed", "/" + path.split("/", 3)[3] + mark + query


def _schemes(scheme: SignedScheme) -> Iterator[tuple[str, SignedScheme]]:
    for name in _ALGORITHMS.get(getattr(scheme, "scheme", ""), ()):
        if name != getattr(scheme, "algorithm", name):
            yield f"the algorithm is {name}", scheme.model_copy(update={"algorithm": name})
    for encoding in ("hex", "base64", "base64url"):
        if encoding != scheme.signature.encoding:
            signature = scheme.signature.model_copy(update={"encoding": encoding})
            yield f"the signature is read as {encoding}", scheme.model_copy(update={"signature": signature})
    for prefix in ("", "sha256=", "sha1=", "sha512=", "v1="):
        if prefix != scheme.signature.prefix:
            says = f"the signature's prefix is {prefix}" if prefix else "the signature has no prefix"
            signature = scheme.signature.model_copy(update={"prefix": prefix})
            yield says, scheme.model_copy(update={"signature": signature})
    if isinstance(scheme, HmacScheme):
        for key, says in _KEYS.items():
            if key != scheme.key:
                yield f"the secret is {says}", scheme.model_copy(update={"key": key})
    if not isinstance(scheme, HashScheme):
        yield from _recipes(scheme)


def _recipes(scheme: SignedScheme) -> Iterator[tuple[str, SignedScheme]]:
    headers = [part for part in scheme.sign if isinstance(part, HeaderPart)]
    recipes: list[tuple[str, tuple[Any, ...]]] = [
        ("the raw body alone is signed", ("raw_body",)),
        ("the minified body is signed", ("minified_body",)),
        ("the URL and the raw body are signed", ("url", "raw_body")),
        ("the raw body and the URL are signed", ("raw_body", "url")),
        ("the method, the URL and the raw body are signed", ("method", "url", "raw_body")),
    ]
    for header in headers:
        recipes.append((f"{header.header} and the raw body are signed with nothing between", (header, "raw_body")))
        recipes.append((f"the raw body and {header.header} are signed", ("raw_body", header)))
    if len(scheme.sign) > 1:
        recipes.append(("the parts are signed in the other order", tuple(reversed(scheme.sign))))
    for says, recipe in recipes:
        if recipe != scheme.sign:
            yield says, scheme.model_copy(update={"sign": recipe})


def _secrets(secrets: Secrets) -> Iterator[tuple[str, Secrets]]:
    changes = (
        ("the secret has no white space round it", bytes.strip),
        ("the secret ends with a line feed", lambda value: value + b"\n"),
    )
    for says, change in changes:
        other = {name: tuple(change(value) for value in values) for name, values in secrets.items()}
        if other != dict(secrets):
            yield says, other


def _tokens(scheme: TokenScheme, request: Request) -> Iterator[tuple[str, TokenScheme]]:
    for prefix in ("", "Bearer ", "Token ", "Basic "):
        if prefix != scheme.prefix:
            says = f"the prefix is {prefix.strip()}" if prefix else "there is no prefix"
            yield says, scheme.model_copy(update={"prefix": prefix})
    names: Iterable[str] = {name.decode("latin-1") for name, _ in request.headers}
    for name in sorted(names):
        if name != (scheme.header or "").lower():
            moved = {"header": name, "query": None, "form": None, "body": None}
            yield f"the token is looked for in the header {name}", scheme.model_copy(update=moved)
    for name, _ in request.query:
        moved = {"header": None, "query": name, "form": None, "body": None}
        yield f"the token is looked for in the query parameter {name}", scheme.model_copy(update=moved)
