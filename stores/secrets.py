"""Encryption of secrets at rest: AES-256-GCM under TIFFIN_SECRET_KEY."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_KEY_ID = 4
_VERSION = b"\x01"
HEAD = len(_VERSION) + _KEY_ID
"""Bytes at the beginning of what is sealed that tell the key."""


class SecretKeyError(Exception):
    """The secret key is missing, malformed, or not the one that something was sealed with."""


class SecretBox:
    """Seals with one key and opens what that or an older one sealed. What it seals begins with a version and
    the key's id."""

    def __init__(self, key: bytes, *older: bytes) -> None:
        """Keys have 32 bytes. Raises SecretKeyError."""
        self.head = head_of(key)
        self._ciphers = {head_of(one): AESGCM(one) for one in (key, *older)}

    def seal(self, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return self.head + nonce + self._ciphers[self.head].encrypt(nonce, plain, self.head)

    def unseal(self, sealed: bytes) -> bytes:
        """Raises SecretKeyError when it was sealed with none of the keys or has been altered."""
        head, rest = sealed[:HEAD], sealed[HEAD:]
        cipher = self._ciphers.get(head)
        if cipher is None:
            raise SecretKeyError(
                "this was sealed with another TIFFIN_SECRET_KEY; set the key it was sealed with, "
                "or name it in TIFFIN_SECRET_KEY_OLD"
            )
        try:
            return cipher.decrypt(rest[:_NONCE], rest[_NONCE:], head)
        except InvalidTag:
            raise SecretKeyError("a sealed value has been altered") from None


def head_of(key: bytes) -> bytes:
    """What begins whatever a key has sealed. Raises SecretKeyError."""
    if len(key) != 32:
        raise SecretKeyError("TIFFIN_SECRET_KEY must hold 32 bytes, written as 44 characters of base64")
    return _VERSION + hashlib.sha256(b"tiffin key id" + key).digest()[:_KEY_ID]


def parse_key(text: str) -> bytes:
    """The key from base64 text. Raises SecretKeyError."""
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raise SecretKeyError("TIFFIN_SECRET_KEY is not base64") from None


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Keys separated by commas or spaces. Raises SecretKeyError."""
    return tuple(parse_key(one) for one in text.replace(",", " ").split())


def key_from_file(path: Path) -> bytes:
    """The embedded set-up's own key: read from a file that only its owner may read, made where it is missing."""
    with suppress(FileExistsError):
        _write_private(path, _key_text(os.urandom(32)))
    return parse_key(path.read_text())


def older_key_file(path: Path) -> Path:
    """Where the embedded set-up's keys before stand while something may be sealed with them."""
    return path.with_name(path.name + ".old")


def replace_key(path: Path) -> None:
    """Gives the embedded set-up a new key; the one before is kept beside it, which a crash does not change."""
    old, new = older_key_file(path), path.with_name(path.name + ".new")
    before = [path.read_text().strip(), *(old.read_text().split() if old.exists() else ())]
    for file, text in ((old, "\n".join(dict.fromkeys(before)) + "\n"), (path, _key_text(os.urandom(32)))):
        new.unlink(missing_ok=True)
        _write_private(new, text)
        os.replace(new, file)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _key_text(key: bytes) -> str:
    return base64.b64encode(key).decode() + "\n"


def new_key() -> str:
    """A new key as TIFFIN_SECRET_KEY takes it."""
    return _key_text(os.urandom(32)).strip()


def _write_private(path: Path, text: str) -> None:
    """Raises FileExistsError."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
