"""Encryption of secrets at rest: AES-256-GCM under TIFFIN_SECRET_KEY."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_KEY_ID = 4
_VERSION = b"\x01"


class SecretKeyError(Exception):
    """The secret key is missing, malformed, or not the one that something was sealed with."""


class SecretBox:
    """Seals and opens bytes. What it seals begins with a version and the key's id."""

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes. Raises SecretKeyError."""
        if len(key) != 32:
            raise SecretKeyError("TIFFIN_SECRET_KEY must hold 32 bytes, written as 44 characters of base64")
        self._cipher = AESGCM(key)
        self._head = _VERSION + hashlib.sha256(b"tiffin key id" + key).digest()[:_KEY_ID]

    def seal(self, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return self._head + nonce + self._cipher.encrypt(nonce, plain, self._head)

    def unseal(self, sealed: bytes) -> bytes:
        """Raises SecretKeyError when it was sealed with another key or has been altered."""
        head, rest = sealed[: len(self._head)], sealed[len(self._head) :]
        if head != self._head:
            raise SecretKeyError("this was sealed with another TIFFIN_SECRET_KEY; set the key it was sealed with")
        try:
            return self._cipher.decrypt(rest[:_NONCE], rest[_NONCE:], head)
        except InvalidTag:
            raise SecretKeyError("a sealed value has been altered") from None


def parse_key(text: str) -> bytes:
    """The key from base64 text. Raises SecretKeyError."""
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raise SecretKeyError("TIFFIN_SECRET_KEY is not base64") from None


def key_from_file(path: Path) -> bytes:
    """The embedded set-up's own key: read from a file that only its owner may read, made where it is missing."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return parse_key(path.read_text())
    with os.fdopen(file, "w") as out:
        out.write(base64.b64encode(os.urandom(32)).decode() + "\n")
        out.flush()
        os.fsync(out.fileno())
    return parse_key(path.read_text())
