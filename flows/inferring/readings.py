"""How a column's values are read: the first way that reads every one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.currencies import MINOR_UNITS
from engine.readers import Reader, make_reader
from engine.unreadable import Unreadable
from flows.inferring.columns import Column
from flows.inferring.vocabulary import FLAGS, ORDER_STATUSES, STORE_STATUSES, meaning, words

_PICTURES = (
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%a, %d %b %Y %H:%M:%S %z", "%Y-%m-%d", "%d/%m/%Y",
    "%d-%m-%Y", "%m/%d/%Y", "%Y%m%d", "%d-%b-%Y",
)  # fmt: skip
_EPOCH_S, _EPOCH_MS = re.compile(r"1\d{9}(\.\d+)?\Z"), re.compile(r"1\d{12}\Z")
_MINOR = ("cents", "minor", "paise", "pence", "fils")
_STATUSES = {"order": ORDER_STATUSES, "store": STORE_STATUSES}


@dataclass(frozen=True)
class How:
    """`keys` are what a mapped field says beside `from`; `sure` is from 0 to 1; `because` is for a person."""

    keys: dict[str, Any] = field(default_factory=dict)
    sure: float = 1.0
    because: str = ""


def reads(read: Reader, values: Iterable[Any]) -> bool:
    """Whether a reader reads every value, and says something of one of them."""
    said = False
    try:
        for value in values:
            said = read(value) is not None or said
    except Unreadable:
        return False
    return said


def quantity(column: Column) -> How | None:
    return How() if not column.lists and reads(make_reader("decimal"), column.values) else None


def integer(column: Column) -> How | None:
    return How() if not column.lists and reads(make_reader("integer"), column.values) else None


def money(column: Column, currency: str) -> How | None:
    """An amount, in minor units where the name or the numbers say so."""
    if column.lists:
        return None
    whole = reads(make_reader("minor_units", currency=currency), column.values)
    if whole and any(part in words(column.name).split("_") for part in _MINOR):
        return How({"as": "minor_units"}, 0.95, "the name speaks of minor units")
    if not reads(make_reader("money", currency=currency), column.values):
        return None
    if whole and all(len(text) >= 4 for text in column.texts if text != "0") and MINOR_UNITS.get(currency):
        return How({}, 0.6, "whole numbers only: if they are minor units, add as: minor_units")
    return How()


def time(column: Column) -> How | None:
    values = column.values
    if column.lists or not values or len(column.texts) < len(values):
        return None
    if all(_EPOCH_S.match(text) for text in column.texts):
        return How({"as": "epoch_s"}, 0.95, "ten digits count seconds since 1970")
    if all(_EPOCH_MS.match(text) for text in column.texts):
        return How({"as": "epoch_ms"}, 0.95, "thirteen digits count milliseconds since 1970")
    if reads(make_reader("timestamp", time_zone="UTC"), values):
        zoned = reads(make_reader("timestamp"), values)
        return How() if zoned else How({}, 0.8, "without a zone: times are local in defaults.time_zone")
    fitting = [p for p in _PICTURES if reads(make_reader("timestamp", time_zone="UTC", picture=(p,)), values)]
    if not fitting:
        return None
    doubt = f"may be {' or '.join(fitting[1:3])} as well" if len(fitting) > 1 else "the only picture that fits"
    return How({"picture": fitting[0]}, 0.5 if len(fitting) > 1 else 0.85, doubt)


def flag(column: Column) -> How | None:
    if column.lists:
        return None
    if reads(make_reader("flag"), column.values):
        return How()
    table = _table(column.values, FLAGS)
    return None if table is None else How({"lookup": table}, 0.8, "the words of the samples; add what else is sent")


def status(column: Column, of: str) -> How | None:
    """The status of an `order` or a `store`."""
    table = None if column.lists else _table(column.values, _STATUSES[of])
    return None if table is None else How({"lookup": table}, 0.7, "the statuses of the samples; add what else is sent")


def _table(values: Iterable[Any], known: Any) -> dict[str, Any] | None:
    table: dict[str, Any] = {}
    for value in values:
        text = str(value).lower() if isinstance(value, bool) else value
        if not isinstance(text, str) or not text.isprintable():
            return None
        meant = meaning(text, known)
        if meant is None:
            return None
        table[text] = meant
    return table or None


def identifier(column: Column) -> How | None:
    if column.lists or not reads(make_reader("id"), column.values):
        return None
    texts = [text.strip() for text in column.texts]
    if any(len(text) > 200 for text in texts):
        return None
    different = len(set(texts)) / len(texts)
    return How({}, 0.6 + 0.4 * different, "" if different == 1 else "the same value stands in several elements")


def reference(column: Column) -> How | None:
    """An id that many elements may share, such as their store's."""
    return None if identifier(column) is None else How()


def text(column: Column) -> How | None:
    return How() if not column.lists and reads(make_reader("text"), column.values) else None


def texts(column: Column) -> How | None:
    if len(column.texts) < len(column.values) or not column.texts:
        return None
    if not column.lists and any("," in one and "://" not in one for one in column.texts):
        return How({"as": "list"}, 0.7, "split at commas")
    return How()


def currency_code(column: Column) -> How | None:
    known = not column.lists and bool(column.texts) and all(text in MINOR_UNITS for text in column.values)
    return How() if known else None
