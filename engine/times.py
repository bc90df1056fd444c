"""Times and dates in the forms that providers send, made RFC 3339 in UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engine.unreadable import Unreadable

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.:,](\d{1,9}))?)?\s*"
    r"(Z|z|[+-]\d\d:?\d\d|[+-]\d\d)?\Z",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def written(moment: datetime) -> str:
    """An aware time as `2026-01-18T11:33:13Z`, with up to six digits of fraction where there is one."""
    utc = moment.astimezone(UTC)
    whole = f"{utc.year:04d}-{utc.month:02d}-{utc.day:02d}T{utc.hour:02d}:{utc.minute:02d}:{utc.second:02d}"
    return f"{whole}.{f'{utc.microsecond:06d}'.rstrip('0')}Z" if utc.microsecond else f"{whole}Z"


def from_epoch(number: Decimal | None, per_second: int) -> str | None:
    """A count of seconds or milliseconds since 1970. Raises Unreadable `not_a_time`."""
    if number is None:
        return None
    try:
        return written(_EPOCH + timedelta(microseconds=int(number * 1_000_000 / per_second)))
    except (OverflowError, ValueError):
        raise Unreadable("not_a_time", f"{number} is no time of this calendar") from None


def _offset(text: str) -> timedelta:
    if text in ("Z", "z"):
        return timedelta(0)
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    size = timedelta(hours=hours, minutes=minutes)
    return -size if text[0] == "-" else size


def _aware(moment: datetime, zone: ZoneInfo | None, value: str) -> datetime:
    if zone is None:
        raise Unreadable("time_without_zone", f"{value!r} has no zone, and no time_zone is set")
    return moment.replace(tzinfo=zone, fold=0)


def timestamp_reader(time_zone: str | None, picture: tuple[str, ...] | None) -> Callable[[Any], str | None]:
    """A reader of times; without a zone they are local in `time_zone`. Pictures are strptime directives."""
    zone = ZoneInfo(time_zone) if time_zone else None

    def read(value: Any) -> str | None:
        if value.__class__ is not str:
            raise Unreadable("not_a_time", f"{value!r:.60} is not a time")
        text = value.strip()
        if not text:
            return None
        try:
            moment = _by_picture(text, picture) if picture else _by_form(text)
            return written(moment if moment.tzinfo else _aware(moment, zone, text))
        except Unreadable:
            raise
        except (ValueError, OverflowError):
            raise Unreadable("not_a_time", f"{value!r:.60} is not a time") from None

    return read


def _by_form(text: str) -> datetime:
    found = _FORM.match(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    # A 60th second is a leap second: the next minute's first.
    leap, second = (1, 59) if second == 60 else (0, second)
    microsecond = int(f"{found[7] or '0':0<6}"[:6])
    moment = datetime(year, month, day, hour, minute, second, microsecond) + timedelta(seconds=leap)
    return (moment - _offset(found[8])).replace(tzinfo=UTC) if found[8] else moment


def _by_picture(text: str, pictures: tuple[str, ...]) -> datetime:
    for picture in pictures:
        try:
            return datetime.strptime(text, picture)
        except ValueError:
            continue
    raise ValueError(text)


_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


def date_reader(picture: tuple[str, ...] | None) -> Callable[[Any], str | None]:
    """A reader of dates, `2026-01-18` unless pictures say otherwise."""

    def read(value: Any) -> str | None:
        text = value.strip() if value.__class__ is str else None
        if text == "":
            return None
        try:
            if text is None or not (picture or _DATE.match(text)):
                raise ValueError
            return _by_picture(text, picture or ("%Y-%m-%d",)).date().isoformat()
        except ValueError:
            raise Unreadable("not_a_date", f"{value!r:.60} is not a date") from None

    return read
