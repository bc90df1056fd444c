"""The claims of a JSON Web Token that is the whole body. That it is signed was verified before."""

from __future__ import annotations

from typing import Any

from engine.decoding import json_text
from engine.decoding.refusals import refusal
from engine.signature_values import decode as decoded


def decode(body: bytes, *, values: int) -> Any:
    """The document in the token's payload, of at most so many values."""
    parts = body.strip(b' \t\r\n"').split(b".")
    payload = decoded(parts[1].decode("latin-1"), "base64url") if len(parts) == 3 else None
    if payload is None:
        raise refusal("body_not_jwt", "The body is no JSON Web Token.", "Send the token alone, as three parts.")
    return json_text.decode(payload, values=values)
