"""Items as they are compared: names without case, order and sizes; sizes in base units; barcodes.

Two that share a barcode are the same. Else they are alike by their words, but only where size, count and every number
in the name are equal: "Cola 1 l" is no "Cola 2 l", and "Pizza 4 Cheese" no "Pizza 5 Cheese".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from engine.sizes import Size, size_of
from engine.words import folded, words_of

LEAST: Final = 88
"""Likeness, from 0 to 100, from which on two are suggested to be one."""
MOST_WORDS: Final = 40
_BLOCK_WORDS: Final = 3
_PREFIX: Final = 4
_EMPTY_WORDS: Final = frozenset(("a", "and", "of", "pack", "packet", "pkt", "the"))
_BARCODE = re.compile(r"[0-9]{8,14}\Z")


class NormalForm(NamedTuple):
    """`words` are in order of the alphabet, by spaces; `brand` its words; `codes` barcodes without leading zeros."""

    words: str
    brand: str
    size: Size
    codes: tuple[str, ...]


class Likeness(NamedTuple):
    """How alike two are, from 0 to 100, and by what."""

    score: int
    because: str


def normal_form(kind: str, state: Mapping[str, Any]) -> NormalForm:
    """The form of what readers see of an item or variant. A variant's name says nothing without its item."""
    codes = tuple(sorted({code for code in map(_barcode, _codes(state)) if code}))
    name = state.get("name")
    if kind != "item" or not isinstance(name, str):
        return NormalForm("", "", Size(), codes)
    size, rest = size_of(folded(name))
    brand = " ".join(words_of(state.get("brand") or ""))
    apart = set(brand.split()) | _EMPTY_WORDS
    words = sorted({word for word in words_of(rest) if word not in apart})
    return NormalForm(" ".join(words[:MOST_WORDS]), brand, size, codes)


def _codes(state: Mapping[str, Any]) -> Iterator[str]:
    for code in (*(state.get("barcodes") or ()), state.get("sku")):
        if isinstance(code, str):
            yield code.strip()


def _barcode(code: str) -> str:
    """A GTIN as such: 8 to 14 digits. The same one is written with and without leading zeros."""
    return code.lstrip("0") if _BARCODE.match(code) else ""


def blocks(form: NormalForm) -> list[str]:
    """What others that are worth comparing have one of in common."""
    found = [f"c:{code}" for code in form.codes]
    size = f"{form.size.pack}x{form.size.amount}{form.size.unit}"
    words = sorted((word for word in form.words.split() if not _is_number(word)), key=lambda word: (-len(word), word))
    found += [f"w:{word}:{size}" for word in words[:_BLOCK_WORDS]]
    if words:
        found.append(f"p:{words[0][:_PREFIX]}:{size}")
    return list(dict.fromkeys(found))


def likeness(one: NormalForm, other: NormalForm) -> Likeness | None:
    """How alike two are; None where they are not the same whatever their words."""
    # Imported here because it is of use to the consumer alone.
    from rapidfuzz import fuzz

    if shared := set(one.codes) & set(other.codes):
        return Likeness(100, f"the same barcode {min(shared)}")
    if not (one.words and other.words) or one.size != other.size or _numbers(one) != _numbers(other):
        return None
    if one.brand and other.brand and one.brand != other.brand:
        return None
    brand = one.brand or other.brand
    texts = [" ".join(sorted(set(f"{form.words} {form.brand}".split()) - set(brand.split()))) for form in (one, other)]
    score = round(fuzz.ratio(*texts)) if all(texts) else 0
    # A brand that only one of them names may be another's.
    score = min(score, 99) - (3 if one.brand != other.brand and brand not in (one.words, other.words) else 0)
    return Likeness(score, f"{texts[0]!r} and {texts[1]!r}{_sized(one.size)}") if score >= LEAST else None


def _sized(size: Size) -> str:
    if not size.amount:
        return f", {size.pack} in a pack" if size.pack > 1 else ""
    return f", {size.pack} x {size.amount} {size.unit}" if size.pack > 1 else f", {size.amount} {size.unit}"


def _numbers(form: NormalForm) -> list[str]:
    return sorted(word for word in form.words.split() if _is_number(word))


def _is_number(word: str) -> bool:
    return any(character.isdigit() for character in word)
