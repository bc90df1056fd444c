"""Sizes in names: "500 g", "0.5 kg", "6 x 330ml", "pack of 4", as an amount in a base unit and a count."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, NamedTuple

_UNITS: Final = {
    "mg": ("g", "0.001"), "g": ("g", "1"), "gm": ("g", "1"), "gms": ("g", "1"), "gr": ("g", "1"),
    "gram": ("g", "1"), "grams": ("g", "1"), "kg": ("g", "1000"), "kgs": ("g", "1000"), "kilo": ("g", "1000"),
    "kilos": ("g", "1000"), "kilogram": ("g", "1000"), "kilograms": ("g", "1000"), "oz": ("g", "28.349523125"),
    "lb": ("g", "453.59237"), "lbs": ("g", "453.59237"), "ml": ("ml", "1"), "millilitre": ("ml", "1"),
    "millilitres": ("ml", "1"), "milliliter": ("ml", "1"), "milliliters": ("ml", "1"), "cl": ("ml", "10"),
    "l": ("ml", "1000"), "lt": ("ml", "1000"), "ltr": ("ml", "1000"), "ltrs": ("ml", "1000"),
    "litre": ("ml", "1000"), "litres": ("ml", "1000"), "liter": ("ml", "1000"), "liters": ("ml", "1000"),
    "mm": ("cm", "0.1"), "cm": ("cm", "1"), "m": ("cm", "100"), "metre": ("cm", "100"), "meter": ("cm", "100"),
    "inch": ("cm", "2.54"), "inches": ("cm", "2.54"),
}  # fmt: skip
_NUMBER = r"(?P<{}>\d{{1,9}}(?:[.,]\d{{1,6}})?)"
_UNIT = "(?P<unit>" + "|".join(sorted(_UNITS, key=len, reverse=True)) + r")(?![^\W_])"
_START = r"(?<![^\W_])(?<![\d][.,])"
_TIMES = r"\s*[x×*]\s*"
_PIECES = r"(?:pcs?|pieces?|pc|nos|units?|count|ct|pack|packs|pk)(?![^\W_])"
_PATTERNS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_START}(?P<count>\d{{1,4}}){_TIMES}{_NUMBER.format('amount')}\s*{_UNIT}",
        rf"{_START}{_NUMBER.format('amount')}\s*{_UNIT}{_TIMES}(?P<count>\d{{1,4}})(?![^\W_])",
        rf"{_START}{_NUMBER.format('amount')}\s*{_UNIT}",
    )
)
_COUNTS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<![^\W_])(?:pack|set|box|case|tray|carton) of (?P<count>\d{1,4})(?![^\W_])",
        rf"{_START}(?P<count>\d{{1,4}})[\s-]*{_PIECES}",
    )
)


class Size(NamedTuple):
    """`amount` is decimal text in `unit` (g, ml or cm), "" where none is said; `pack` of them are in one."""

    amount: str = ""
    unit: str = ""
    pack: int = 1


def size_of(text: str) -> tuple[Size, str]:
    """The size that a text without case says, and the text without it. The first that is said counts."""
    amount, unit, pack = "", "", 1
    for pattern in _PATTERNS:
        if found := pattern.search(text):
            unit, factor = _UNITS[found["unit"]]
            amount = plain(_decimal(found["amount"]) * Decimal(factor))
            pack = int(found.groupdict().get("count") or 1)
            text = f"{text[: found.start()]} {text[found.end() :]}"
            break
    if pack == 1:
        for pattern in _COUNTS:
            if found := pattern.search(text):
                pack = int(found["count"])
                text = f"{text[: found.start()]} {text[found.end() :]}"
                break
    return Size(amount, unit, max(pack, 1)), text


def _decimal(text: str) -> Decimal:
    """A comma before three digits parts thousands; any other is the decimal sign."""
    whole, sign, rest = text.partition(",")
    return Decimal(whole + rest if sign and len(rest) == 3 else text.replace(",", "."))


def plain(number: Decimal) -> str:
    """The shortest text of a number."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
