"""Whether a request can be verified while its body is never held whole."""

from __future__ import annotations

from engine.auth_model import (
    AddressScheme,
    AllOf,
    AnyOf,
    Auth,
    BasicScheme,
    HashScheme,
    HmacScheme,
    Keyring,
    NoneScheme,
    TokenScheme,
)
from engine.locations import location
from engine.recipe_model import BodyPart, DigestPart, FormPart, LinesPart, RecipePart, SortedParamsPart
from engine.recipes import flat

_PARSED = (BodyPart, FormPart, LinesPart)


def verifiable(auth: Auth) -> bool:
    """Whether nothing of it reads the body but a signature over all of its bytes, in one pass."""
    if isinstance(auth, AnyOf):
        return all(map(verifiable, auth.any))
    if isinstance(auth, AllOf):
        return all(map(verifiable, auth.all))
    if isinstance(auth, NoneScheme | AddressScheme | BasicScheme):
        return True
    if isinstance(auth, TokenScheme):
        return _beside_the_body(auth)
    if isinstance(auth, HmacScheme | HashScheme):
        return _signs_bytes(auth)
    return False


def _signs_bytes(scheme: HmacScheme | HashScheme) -> bool:
    named = [scheme.signature, *([scheme.timestamp] if scheme.timestamp else [])]
    if isinstance(scheme.secret, Keyring):
        named.append(scheme.secret.by)
    # A body within join or base64 would be put together first.
    inner = [part for part in flat(scheme.sign) if part not in scheme.sign]
    parts_fit = all(map(_passes_over_the_body, scheme.sign)) and "raw_body" not in inner
    return (
        scheme.each is None
        and parts_fit
        and all(map(_passes_over_the_body, inner))
        and all(map(_beside_the_body, named))
    )


def _passes_over_the_body(part: RecipePart) -> bool:
    if isinstance(part, SortedParamsPart):
        return "form" not in part.sorted_params
    if isinstance(part, DigestPart):
        return part.of not in ("raw_body", "minified_body")
    return part != "minified_body" and not isinstance(part, _PARSED)


def _beside_the_body(named: object) -> bool:
    return location(named)[0] not in ("body", "form")  # type: ignore[arg-type]
