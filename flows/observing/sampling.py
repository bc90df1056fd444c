"""A payload that shows one drift and nothing of a person: the sample of a notice.

Lists are cut to one element, fields that no golden case shows are left out, and values become those that golden
cases show at the same path. Where they show none, letters and digits are replaced by others, dates by one date, and
sensitive fields by a mask. The value of a drift stays where it is one of an enumeration, null, empty or a flag.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import string
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from engine.payload_paths import steps
from flows.observing.comparing import At, Drift
from flows.observing.masking import MASK, Steps, below
from flows.observing.shapes import Shape, looks_like_id, type_of

LARGEST = 16_384
"""Bytes of a sample; a larger one is none."""
_LONGEST = 40
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d\d:\d\d(:\d\d)?(\.\d+)?")


class Number(str):
    """A number of a JSON text as it was written."""

    __slots__ = ()


def sample(
    format_: str, body: bytes, document: Any, drift: Drift, shape: Shape, hidden: Sequence[Steps],
    unwrap: Sequence[str], chance: random.Random, options: Any = None,
) -> bytes:  # fmt: skip
    """The body of a sample; b"" where one cannot be made. `document` is the decoded body, `options` the format's."""
    maker = _Maker(shape, drift, [steps(path) for path in unwrap], chance)
    try:
        if format_ == "json":
            made = _dumped(maker.made(_loaded(body), hidden))
        elif format_ == "form":
            made = urlencode(maker.made(document, hidden, wrapped=True), doseq=True)
        elif format_ in ("csv", "tsv"):
            separator = getattr(options, "separator", "," if format_ == "csv" else "\t")
            above = getattr(options, "skip_rows", 0) + getattr(options, "header_rows", 1)
            made = _table(maker.made(document, hidden)["rows"], separator, above)
        elif format_ == "ndjson":
            rows = [_loaded(line) for line in body.splitlines() if line.strip()]
            made = "".join(f"{_dumped(one)}\n" for one in maker.made({"rows": rows}, hidden)["rows"])
        elif format_ == "xml":
            made = _xml(maker.made(document, hidden, wrapped=True), options)
        else:
            return b""
    except (ValueError, TypeError, LookupError, RecursionError):
        return b""
    found = made.encode()
    return found if len(found) <= LARGEST else b""


def _loaded(body: bytes) -> Any:
    return json.loads(body, parse_int=Number, parse_float=Number)


def _dumped(value: Any) -> str:
    """JSON, with numbers as they were written."""
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {_dumped(one)}" for name, one in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_dumped, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _table(rows: list[dict[str, Any]], separator: str, above: int) -> str:
    """Rows below their header, which stands there as often as rows are above them."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=separator, lineterminator="\n")
    for _ in range(above):
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _xml(document: Any, options: Any) -> str:
    # Loaded when first needed: its library is large.
    from flows.observing.xml_samples import written

    return written(document, options)


class _Maker:
    def __init__(self, shape: Shape, drift: Drift, unwrap: list[Steps], chance: random.Random) -> None:
        self._shape, self._drift, self._unwrap, self._chance = shape, drift, unwrap, chance
        self._given: dict[tuple[int, str], str] = {}
        self._used: dict[int, int] = {}

    def made(self, value: Any, hidden: Sequence[Steps], *, wrapped: bool = False) -> Any:
        """`wrapped`: what is unwrapped in `value` is put back as text."""
        return self._made(value, self._shape, self._drift.at, list(hidden), self._unwrap, wrapped)

    def _made(
        self, value: Any, shape: Shape | None, at: At | None, hidden: list[Steps], unwrap: list[Steps], wrapped: bool
    ) -> Any:
        """`at`: what is left of the way to the drift; () for the drift itself, None beside the way and below it."""
        if any(not path for path in hidden):
            return MASK
        if at == () and not (self._drift.kind == "new_value" and value == self._drift.value):
            shape = None  # golden cases show nothing of its kind
        if any(not path for path in unwrap):
            left = [path for path in unwrap if path]
            if wrapped or (isinstance(value, str) and not isinstance(value, Number)):
                inner = value if wrapped and not isinstance(value, str) else _loaded(str(value).encode())
                return _dumped(self._made(inner, shape, at, hidden, left, wrapped))
        if isinstance(value, dict):
            return self._object(value, shape, at, hidden, unwrap, wrapped)
        if isinstance(value, list):
            return self._list(value, shape, at, hidden, unwrap, wrapped)
        if not isinstance(value, str) or not value:
            return value
        if at == () and shape is not None:
            return value
        made = self._scalar(value, shape)
        return Number(made) if isinstance(value, Number) else made

    def _object(
        self, value: dict[str, Any], shape: Shape | None, at: At | None, hidden: list[Steps], unwrap: list[Steps],
        wrapped: bool,
    ) -> dict[str, Any]:  # fmt: skip
        ids = [key for key in value if looks_like_id(key) and not (shape is not None and key in shape.fields)]
        wanted = at[0] if at else None
        one = wanted if wanted in ids else next(iter(ids), None)
        found: dict[str, Any] = {}
        for key, inner in value.items():
            known = shape.below(key) if shape is not None else None
            if (key in ids and key != one) or (shape is not None and known is None and key != wanted):
                continue  # one of many is enough; another new field is another drift's
            rest = at[1:] if at and key == wanted else None
            name = self._scrambled(key) if key in ids else key
            found[name] = self._made(inner, known, rest, below(hidden, key), below(unwrap, key), wrapped)
        return found

    def _list(
        self, value: list[Any], shape: Shape | None, at: At | None, hidden: list[Steps], unwrap: list[Steps],
        wrapped: bool,
    ) -> list[Any]:  # fmt: skip
        if not value:
            return []
        on_way = bool(at) and isinstance(at[0], int)  # type: ignore[index]
        index = at[0] if on_way and at else 0
        assert isinstance(index, int)
        inside = [path[1:] if path[0] == "*" or path[0].isdigit() else path for path in hidden]
        element = shape.element if shape is not None else None
        return [self._made(value[index], element, at[1:] if on_way and at else None, inside, unwrap, wrapped)]

    def _scalar(self, value: str, shape: Shape | None) -> str:
        """What golden cases show at the path; else something like it."""
        if shape is not None and value in shape.values:
            return value
        wanted = type_of(value)
        known = [one for one in shape.values if type_of(one) == wanted] if shape is not None else []
        key = (id(shape), value)
        if key not in self._given:
            nth = self._used.get(id(shape), 0) if known else 0
            self._used[id(shape)] = nth + 1
            self._given[key] = known[nth] if nth < len(known) else self._scrambled(value)
        return self._given[key]

    def _scrambled(self, text: str) -> str:
        if _DATE.match(text):
            return _TIME.sub(lambda found: "09:00:00" if found[1] else "09:00", _DATE.sub("2026-02-03", text))[
                :_LONGEST
            ]
        return "".join(map(self._other, text[:_LONGEST]))

    def _other(self, sign: str) -> str:
        if sign.isdecimal():
            return "0" if sign == "0" else self._chance.choice("123456789")
        if sign.isalpha():
            return self._chance.choice(string.ascii_uppercase if sign.isupper() else string.ascii_lowercase)
        return sign if sign.isascii() else "x"
