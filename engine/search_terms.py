"""What is searched: entities of the catalogue as documents of words, and questions as words with what is like them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from engine.words import words_of

KINDS: Final = ("addon", "category", "item", "store", "variant")
MOST_WORDS: Final = 400
MOST_ASKED: Final = 12
"""Words of a question; more are left away."""


class DocKey(NamedTuple):
    """The entity that a document is of; `owner` is its store, or the merchant for what holds in all its stores."""

    tenant: str
    owner: str
    kind: str
    id: str

    def scope(self) -> str:
        """Words that a search is narrowed by."""
        return " ".join(scope_words(self.tenant, self.owner, self.kind))


class Doc(NamedTuple):
    """Words of an entity: of its name, its codes (SKU, barcodes, ids) and everything else, by spaces."""

    key: DocKey
    name: str
    codes: str
    more: str


class Question(NamedTuple):
    """What is searched for, and where. "" for `store` and `kind`: anywhere. `offset` counts hits."""

    text: str
    tenant: str
    store: str = ""
    kind: str = ""
    limit: int = 20
    offset: int = 0


class Asked(NamedTuple):
    """A word of a question: `prefix` also stands for every word that begins so, `near` are those like it."""

    word: str
    prefix: bool
    near: tuple[str, ...] = ()


def document(key: DocKey, state: Mapping[str, Any]) -> Doc:
    """The document of what readers see of an entity."""
    aliases = [one.get("id") for one in state.get("aliases") or ()]
    options = [one.get("value") for one in state.get("options") or ()]
    codes = (state.get("sku"), *(state.get("barcodes") or ()), *aliases)
    more = (state.get("brand"), state.get("description"), *(state.get("tags") or ()), *options)
    return Doc(key, _words([state.get("name")]), _words([*codes, key.id]), _words(more))


def _words(texts: Iterable[Any]) -> str:
    found: list[str] = []
    for text in texts:
        if isinstance(text, str):
            found += words_of(text)
    return " ".join(found[:MOST_WORDS])


def scope_words(tenant: str, owner: str = "", kind: str = "") -> list[str]:
    """Words that no text has, for where something is."""
    parts = (("t", tenant), ("o", f"{tenant}\0{owner}" if owner else ""), ("k", kind))
    return [f"zz{letter}{_hash(value)}" for letter, value in parts if value]


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def asked(text: str) -> list[Asked]:
    """The words of a question. One that is being typed is the beginning of a word, and so is every other."""
    return [Asked(word, len(word) > 1) for word in dict.fromkeys(words_of(text))][:MOST_ASKED]


def typos(word: str) -> int:
    """How many letters of a word may be wrong: none of a short one or of a code."""
    if len(word) < 4 or any(character.isdigit() for character in word):
        return 0
    return 1 if len(word) < 8 else 2
