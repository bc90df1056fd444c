"""Text as words that are compared: without case, accents and signs, whatever alphabet they are of."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

LONGEST: Final = 64
"""Characters of a word; the rest of a longer one is left away."""
# Vowel signs of Indic scripts are marks too, and tell words apart: only those of Latin, Greek and Cyrillic go.
_ACCENTS = re.compile("[\u0300-\u036f]+")


def folded(text: str) -> str:
    """The text without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))


def words_of(text: str) -> list[str]:
    """The words of a text, in order."""
    return [word[:LONGEST] for word in _pattern().findall(folded(text))]


@lru_cache(1)
def _pattern() -> re.Pattern[str]:
    """Letters and digits, with the marks that belong to them."""
    marks = "".join(
        character for character in map(chr, range(0x370, 0x10000)) if unicodedata.category(character) in ("Mn", "Mc")
    )
    return re.compile(rf"[^\W_](?:[^\W_]|[{re.escape(marks)}])*")
