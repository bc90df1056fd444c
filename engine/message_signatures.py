"""HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530).

The library `http-message-signatures` reads the headers and puts the signature base together; what it would ask
a clock is asked here of the request's `received_at`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import http_message_signatures as library
from cryptography.exceptions import InvalidSignature as NotFitting
from http_message_signatures import algorithms

from engine import signature_timestamps
from engine.auth_failures import Presented, refused, secret_missing
from engine.auth_model import Keyring, MessageSignatureScheme
from engine.key_families import family_of
from engine.messages import Request
from engine.public_keys import private_key
from engine.request_parts import PartError
from engine.signature_values import VALUE_LIMIT, Malformed, Signed
from engine.signed_requests import chosen
from engine.signing_keys import key, key_object

_ALGORITHMS: Mapping[str, type[algorithms.HTTPSignatureAlgorithm]] = {
    "hmac-sha256": algorithms.HMAC_SHA256,
    "ed25519": algorithms.ED25519,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "rsa-v1_5-sha256": algorithms.RSA_V1_5_SHA256,
}
_MOST_KEYS = 32


class _Headers(Sequence[tuple[str, str]]):
    """A request's headers as the library reads them: `items()` in order, repeated ones too."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def __getitem__(self, index: Any) -> Any:
        return self._pairs[index]

    def __len__(self) -> int:
        return len(self._pairs)

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)


class _Message(NamedTuple):
    method: str
    url: str
    headers: Any


class _Verifier(library.HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        return None


class _Keys(library.HTTPSignatureKeyResolver):
    """The nth of the keys that a keyid chooses; `count` is how many there were."""

    def __init__(self, scheme: MessageSignatureScheme, shown: Presented, ring: str | None, n: int) -> None:
        self._scheme, self._shown, self._ring, self._n = scheme, shown, ring, n
        self.count = 0

    def resolve_public_key(self, key_id: str) -> Any:
        secret = self._scheme.secret
        name = secret if isinstance(secret, str) else ""
        if isinstance(secret, Keyring):
            name = f"{secret.keyring}/{key_id if self._ring is None else self._ring}"
        found = _usable(self._scheme, self._shown.secrets.get(name, ()))
        self.count = len(found)
        return found[self._n] if self._n < len(found) else None


class _Private(library.HTTPSignatureKeyResolver):
    def __init__(self, found: Any) -> None:
        self._found = found

    def resolve_private_key(self, key_id: str) -> Any:
        return self._found


def check_message_signature(scheme: MessageSignatureScheme, shown: Presented) -> None:
    """Raises Unauthorized."""
    if isinstance(scheme.secret, str) and not _usable(scheme, shown.secrets.get(scheme.secret, ())):
        raise secret_missing(scheme.secret)
    request = shown.parts.request
    for name in ("signature-input", "signature"):
        values = request.header_values(name)
        if not any(values):
            raise refused("signature_missing", f"There is no header {name}.", "Turn signing on at the sender.")
        if sum(map(len, values)) > VALUE_LIMIT:
            raise refused("signature_malformed", f"The header {name} is too long to be one.", _SIGN)
    for parameters in _verified(scheme, shown):
        _check_times(scheme, parameters, request)


def _verified(scheme: MessageSignatureScheme, shown: Presented) -> list[Mapping[str, Any]]:
    """The parameters of every signature that was taken, each of which fits. Raises Unauthorized."""
    ring = _ring(scheme, shown)
    error: Exception | None = None
    for n in range(_MOST_KEYS):
        keys = _Keys(scheme, shown, ring, n)
        try:
            return [result.parameters for result in _results(scheme, shown.parts.request, keys)]
        except (library.HTTPMessageSignaturesException, ValueError, TypeError, KeyError, RecursionError) as found:
            error = error if n and error else found
        if n + 1 >= keys.count:
            break
    if isinstance(error and error.__cause__, NotFitting):
        sentence, step = "The signature does not fit the request.", "Compare keys and public URL on both sides."
        raise refused("signature_mismatch", sentence, step) from None
    if "Unable to resolve" in str(error):
        raise refused(
            "key_unknown", "The connection has no key of the signature's keyid.", "Give it the key."
        ) from None
    if "does not match the message body" in str(error):
        raise refused("signature_mismatch", "Content-Digest is not that of the body.", _SIGN) from None
    raise refused("signature_malformed", "The signature is not as the provider file says.", _SIGN) from None


def _results(
    scheme: MessageSignatureScheme, request: Request, keys: library.HTTPSignatureKeyResolver
) -> Sequence[library.VerifyResult]:
    verifier = _Verifier(signature_algorithm=_ALGORITHMS[scheme.algorithm], key_resolver=keys)
    body = request.body if _covers_body(scheme) else None
    found: Sequence[library.VerifyResult] = verifier.verify(
        _message(request),
        max_age=None,
        expect_tag=scheme.tag,
        require_components=scheme.cover,
        body=body,
    )
    return found


def _ring(scheme: MessageSignatureScheme, shown: Presented) -> str | None:
    """The name that chooses a key of the keyring, None where the signature's keyid does."""
    if not isinstance(scheme.secret, Keyring) or scheme.secret.by.signature is not None:
        return None
    try:
        return chosen(scheme.secret, shown.parts, Signed(()))
    except (PartError, Malformed) as error:
        raise refused("signature_malformed", str(error), _SIGN) from None


def _check_times(scheme: MessageSignatureScheme, parameters: Mapping[str, Any], request: Request) -> None:
    if "created" not in parameters:
        raise refused("timestamp_missing", "The signature has no parameter created.", "Send the time of signing.")
    at = request.received_at
    try:
        made, expires = (timedelta(seconds=parameters.get(name, 0)) for name in ("created", "expires"))
    except OverflowError:
        raise refused("timestamp_malformed", "A time of the signature is beyond all bounds.", _SIGN) from None
    signature_timestamps.check_age(signature_timestamps.age(made, at), scheme.tolerance, scheme.future)
    if "expires" in parameters and signature_timestamps.age(expires, at) > timedelta(0):
        sentence = "The request came after the time until which its signature holds."
        raise refused("signature_expired", sentence, "Set the sender's clock, or have it sign each attempt anew.")


def signature_headers(scheme: MessageSignatureScheme, request: Request, secret: bytes, key_id: str) -> dict[str, str]:
    """The headers that sign a request as of `received_at`. Raises ValueError with a sentence."""
    family = family_of(scheme)
    found: Any = private_key(secret, family, scheme.key) if family else key(secret, scheme)
    if found is None:
        raise ValueError(f"The secret is no {'private ' if family else ''}key for {scheme.algorithm} in {scheme.key}.")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    before = set(headers)
    signer = library.HTTPMessageSigner(signature_algorithm=_ALGORITHMS[scheme.algorithm], key_resolver=_Private(found))
    try:
        signer.sign(
            _message(request, headers),
            key_id=key_id,
            created=request.received_at,
            tag=scheme.tag,
            label="tiffin",
            covered_component_ids=tuple(one for one in scheme.cover if one != "content-digest"),
            body=request.body if _covers_body(scheme) else None,
            use_existing_digest="content-digest" in before,
        )
    except library.HTTPMessageSignaturesException as error:
        raise ValueError(f"The request cannot be signed: {error}.") from None
    return {name: value for name, value in headers.items() if name not in before}


def _covers_body(scheme: MessageSignatureScheme) -> bool:
    return "content-digest" in scheme.cover


def _message(request: Request, headers: Any = None) -> _Message:
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    return _Message(request.method, request.url, _Headers(pairs) if headers is None else headers)


def _usable(scheme: MessageSignatureScheme, secrets: Sequence[bytes]) -> list[Any]:
    made: list[Any] = [key_object(one, scheme) if family_of(scheme) else key(one, scheme) for one in secrets]
    return [one for one in made if one is not None]


_SIGN = "Sign the request as the provider file says."
