"""Pages from templates. Whatever a text holds, it is shown as text: markup is escaped, control characters are made
visible, and so are characters that turn the direction of writing."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

LONGEST_BODY = 200_000
"""So many characters of a body are shown."""
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_NUMBER = re.compile(r'"\ue000([^"\ue000]*)"')
_TONES = {
    "accepted": "good", "duplicate": "quiet", "stale": "quiet", "ignored": "quiet", "in_flight": "quiet",
    "partial": "warn", "parked": "warn", "failed": "bad", "quarantined": "bad", "evicted": "bad",
}  # fmt: skip


def visible(value: Any) -> Any:
    """Text with what cannot be seen made visible. Markup, which templates alone make, stays as it is."""
    return _HIDDEN.sub(_shown, value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else f"\\u{code:04x}"


def pretty(text: str) -> str:
    """JSON with indents, its numbers as they were sent; any other text as it is."""
    if len(text) > LONGEST_BODY or "\ue000" in text:
        return text
    try:
        found = json.loads(text, parse_int=_kept, parse_float=_kept, parse_constant=_refused)
        return _NUMBER.sub(r"\1", json.dumps(found, indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        return text


def _kept(number: str) -> str:
    return f"\ue000{number}"


def _refused(name: str) -> str:
    raise ValueError(name)


def moment(at: datetime | None) -> Markup:
    """A time in UTC; scripts show it in the reader's zone too."""
    if at is None:
        return Markup("–")
    shown = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(shown.isoformat(), f"{shown:%Y-%m-%d %H:%M:%S}")


def indented(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def query(given: dict[str, Any]) -> str:
    """A query string of what is not empty."""
    return urlencode([(name, value) for name, value in given.items() if value not in ("", None)])


def tone(state: str) -> str:
    return _TONES.get(state, "quiet")


@cache
def environment() -> Environment:
    found = Environment(
        loader=PackageLoader("server.desk"), autoescape=True, undefined=StrictUndefined, finalize=visible,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters.update(moment=moment, pretty=pretty, query=query, tone=tone, indented=indented)
    return found


def rendered(template: str, **values: Any) -> str:
    return environment().get_template(template).render(**values)
