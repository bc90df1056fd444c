"""Readers turn what a provider sent into canonical values, in exact decimal.

Numbers arrive as their source text. A reader gets a value that is neither undefined nor null and gives the
canonical value, None where "" stands for null, or raises Unreadable. Nothing is ever rounded.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from engine import times
from engine.currencies import MINOR_UNITS
from engine.unreadable import Unreadable

Reader = Callable[[Any], Any]

_PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?\Z", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3})+|(?:,\d{2})*,\d{3})(?:\.\d+)?\Z", re.ASCII)
_INTEGER_DIGITS, _FRACTION_DIGITS = 15, 9
_REMEMBERED = 64
"""The longest text whose answer is kept: a sender must not decide how much memory that takes."""
_TRUE = frozenset({"1", "true", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "no", "n", "off"})


def shown(value: Any) -> str:
    """A value for a message, cut to a bearable length."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _number(value: Any, code: str = "not_a_number") -> Decimal | None:
    if value.__class__ is not str:
        raise Unreadable(code, f"{shown(value)} is not a number")
    text = value.strip()
    if not text:
        return None
    if not _PLAIN.match(text):
        raise Unreadable(code, f"{shown(value)} is not a number")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unreadable(code, f"{shown(value)} is not a number") from None
    if number and number.adjusted() >= _INTEGER_DIGITS:
        most = f"more than {_INTEGER_DIGITS} digits before the point"
        raise Unreadable("number_too_large", f"{shown(value)} has {most}")
    return number


def plain_decimal(number: Decimal) -> str:
    """Decimal text without exponent, sign of zero or zeros that say nothing. Raises Unreadable."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if len(text.partition(".")[2]) > _FRACTION_DIGITS:
        raise Unreadable("too_many_decimals", f"{text} has more than {_FRACTION_DIGITS} decimals")
    return "0" if text in ("-0", "") else text.removeprefix("+")


def _decimal(value: Any) -> str | None:
    number = _number(value)
    return None if number is None else plain_decimal(number)


def _integer(value: Any) -> int | None:
    number = _number(value, "not_an_integer")
    if number is None:
        return None
    if number != number.to_integral_value():
        raise Unreadable("not_an_integer", f"{shown(value)} is not a whole number")
    return int(number)


def _text(value: Any) -> str:
    if value.__class__ is str:
        return value
    raise Unreadable("not_text", f"{shown(value)} is not text")


def _id(value: Any) -> str | None:
    if value.__class__ is str:
        return value.strip() or None
    raise Unreadable("not_an_id", f"{shown(value)} is not an id")


def _flag(value: Any) -> bool | None:
    if value.__class__ is bool:
        return value
    if value.__class__ is str:
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        if not word:
            return None
    raise Unreadable("not_a_flag", f"{shown(value)} is neither yes nor no")


def _object(value: Any) -> Any:
    if value == "":
        return None
    if value.__class__ is dict:
        return value
    raise Unreadable("not_an_object", f"{shown(value)} is not an object")


def _amount(number: Decimal, currency: str | None, original: Any) -> dict[str, str]:
    if currency is None:
        raise Unreadable("currency_unknown", f"{shown(original)} has no currency, and no default is set")
    places = MINOR_UNITS.get(currency)
    if places is None:
        raise Unreadable("currency_unknown", f"{shown(currency)} is not an ISO 4217 currency")
    if number < 0:
        raise Unreadable("not_money", f"{shown(original)} is negative")
    text = plain_decimal(number)
    whole, _, fraction = text.partition(".")
    if len(fraction) > places:
        raise Unreadable("too_many_decimals", f"{shown(original)} has more decimals than {currency} has")
    return {"amount": f"{whole}.{fraction:0<{places}}" if places else whole, "currency": currency}


_SYMBOLS = {
    "₹": ("INR",),
    "€": ("EUR",),
    "£": ("GBP", "EGP", "FKP", "GIP", "SHP"),
    "¥": ("JPY", "CNY"),
    "$": ("USD", "ARS", "AUD", "BBD", "BMD", "BND", "BSD", "BZD", "CAD", "CLP", "COP", "DOP", "FJD", "GYD",
          "HKD", "JMD", "KYD", "LRD", "MXN", "NAD", "NZD", "SBD", "SGD", "SRD", "TTD", "TWD", "UYU", "XCD"),
}  # fmt: skip


def _of_symbol(symbol: str, currency: str | None) -> str:
    """The currency that a symbol stands for; where it may be several, the default has to be one of them."""
    possible = _SYMBOLS[symbol]
    if currency in possible:
        return str(currency)
    if len(possible) > 1:
        raise Unreadable("currency_unknown", f"{symbol} may be {', '.join(possible[:3])} …; none is the default")
    return possible[0]


def _is_code(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isalpha()


def _split_money(text: str, currency: str | None) -> tuple[str, str | None]:
    """The amount and the currency: the one that stands beside it, else the default."""
    if text[0] in _SYMBOLS:
        return text[1:].strip(), _of_symbol(text[0], currency)
    if _is_code(text[:3]):
        return text[3:].lstrip(), text[:3].upper()
    if _is_code(text[-3:]):
        return text[:-3].rstrip(), text[-3:].upper()
    return text, currency


def _money(currency: str | None) -> Reader:
    def from_text(value: str) -> tuple[str, str] | None:
        text = value.strip()
        if not text:
            return None
        amount, code = _split_money(text, currency)
        if _GROUPED.match(amount):
            amount = amount.replace(",", "")
        number = _number(amount, "not_money") if _PLAIN.match(amount) else None
        if number is None:
            raise Unreadable("not_money", f"{shown(value)} is not an amount")
        made = _amount(number, code, value)
        return made["amount"], made["currency"]

    remembered = _cached(from_text)

    def read(value: Any) -> Any:
        if value.__class__ is str:
            made = remembered(value)
            return None if made is None else {"amount": made[0], "currency": made[1]}
        if value.__class__ is dict and value.keys() == {"amount", "currency"}:
            number = _number(value["amount"], "not_money")
            code = _text(value["currency"] or "").strip().upper()
            return None if number is None else _amount(number, code or currency, value)
        raise Unreadable("not_money", f"{shown(value)} is not an amount")

    return read


def _minor_units(currency: str | None) -> Reader:
    def read(value: Any) -> Any:
        number = _integer(value)
        if number is None:
            return None
        places = MINOR_UNITS.get(currency or "")
        return _amount(Decimal(number).scaleb(-(places or 0)), currency, value)

    return read


def _quantity(unit: str | None) -> Reader:
    named = unit or "each"
    decimal = make_reader("decimal")

    def read(value: Any) -> Any:
        if value.__class__ is dict and value.keys() == {"amount", "unit"}:
            amount = _decimal(value["amount"])
            return None if amount is None else {"amount": amount, "unit": _id(value["unit"] or "") or named}
        amount = decimal(value)
        return None if amount is None else {"amount": amount, "unit": named}

    return read


def _divided(read: Reader, by: int) -> Reader:
    """Divides by a power of ten, exactly, what `read` then reads."""
    places = len(str(by)) - 1

    def divided(value: Any) -> Any:
        number = _number(value)
        return None if number is None else read(format(number.scaleb(-places), "f"))

    return divided


def _list(separator: str) -> Reader:
    def read(value: Any) -> list[Any]:
        if value.__class__ is list:
            return value
        if value.__class__ is dict and all(key.isascii() and key.isdigit() for key in value):
            return [value[key] for key in sorted(value, key=int)]
        if value.__class__ is str:
            return [part for piece in value.split(separator) if (part := piece.strip())]
        raise Unreadable("not_a_list", f"{shown(value)} is not a list")

    return read


def _cached(read: Reader) -> Reader:
    """Remembers answers for short text; other values are read each time."""
    remembered = functools.lru_cache(8192)(read)

    def cached(value: Any) -> Any:
        return remembered(value) if value.__class__ is str and len(value) <= _REMEMBERED else read(value)

    return cached


READERS = ("text", "id", "integer", "decimal", "quantity", "money", "minor_units", "flag",
           "epoch_s", "epoch_ms", "timestamp", "date", "list", "object")  # fmt: skip


@functools.lru_cache(512)
def make_reader(
    name: str,
    *,
    currency: str | None = None,
    unit: str | None = None,
    time_zone: str | None = None,
    picture: tuple[str, ...] | None = None,
    separator: str = ",",
    divide_by: int | None = None,
) -> Reader:
    """The reader of that name. Raises KeyError for a name that is not in READERS."""
    made: dict[str, Callable[[], Reader]] = {
        "text": lambda: _text,
        "id": lambda: _id,
        "integer": lambda: _cached(_integer),
        "decimal": lambda: _cached(_decimal),
        "quantity": lambda: _quantity(unit),
        "money": lambda: _money(currency),
        "minor_units": lambda: _minor_units(currency),
        "flag": lambda: _flag,
        "epoch_s": lambda: _cached(lambda value: times.from_epoch(_number(value, "not_a_time"), 1)),
        "epoch_ms": lambda: _cached(lambda value: times.from_epoch(_number(value, "not_a_time"), 1000)),
        "timestamp": lambda: _cached(times.timestamp_reader(time_zone, picture)),
        "date": lambda: _cached(times.date_reader(picture)),
        "list": lambda: _list(separator),
        "object": lambda: _object,
    }
    read = made[name]()
    return read if divide_by is None else _divided(read, divide_by)
