"""What a `fetch` asks for, and what it asks next. Pure: the flows send it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from engine.fetch_model import Fetch, FetchValue
from engine.jsonata import EngineName, JsonataError, Program
from engine.model import Constant, Expression, Provider, Rule
from engine.reading import as_text

COMMAND = "RequestRefresh"
MOST_TEXT = 16_384
"""Bytes of a URL, and characters of a cursor, beyond which neither is asked with."""


class FetchRefused(Exception):
    """What is to be asked cannot or must not be. `code` is stable; the text says why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class FetchRule(NamedTuple):
    """A rule with `fetch`, by the feed that it stands in and the `kind` of its command."""

    feed: str
    kind: str
    fetch: Fetch


class Ask(NamedTuple):
    """A request for a page: its URL and, of a POST, the members of its JSON body."""

    url: str
    body: dict[str, Any] | None = None

    def as_text(self) -> str:
        return json.dumps(list(self), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Ask:
        return cls(*json.loads(text))


class Expressions(NamedTuple):
    """What expressions are evaluated with."""

    settings: Mapping[str, Any]
    engine: EngineName

    def value(self, spec: FetchValue, document: Any) -> Any:
        """None where it is undefined. Raises FetchRefused."""
        return spec.value if isinstance(spec, Constant) else self.evaluate(spec, document)

    def text(self, spec: FetchValue, document: Any) -> str | None:
        """A single value as text; None where there is none."""
        found = self.value(spec, document)
        if isinstance(found, dict | list):
            raise FetchRefused("fetch_unreadable", f"`{_shown(spec)}` gives no single value")
        text = as_text(found)
        if text and len(text) > MOST_TEXT:
            raise FetchRefused("fetch_unreadable", f"`{_shown(spec)}` gives more than {MOST_TEXT} characters")
        return text or None

    def evaluate(self, expression: Expression, document: Any) -> Any:
        try:
            return Program(expression.text, self.engine).evaluate(document, {"settings": dict(self.settings)})
        except JsonataError as error:
            reason = f"`{expression.text}` does not work: {error.message}"
            raise FetchRefused("fetch_unreadable", reason) from None


def _shown(spec: FetchValue) -> str:
    return spec.text if isinstance(spec, Expression) else str(spec.value)


def fetch_rules(provider: Provider) -> tuple[FetchRule, ...]:
    """Every rule of a provider that fetches."""
    # Plain text: what the file says knows its place there, and does not travel between processes.
    return tuple(
        FetchRule(str(name), str(kind), rule.fetch)
        for name, feed in provider.feeds.items()
        for commands in (feed.commands, *(event.commands for event in (feed.events or {}).values()))
        for rule in _all(commands)
        if rule.fetch is not None and (kind := kind_of(rule)) is not None
    )


def kind_of(rule: Rule) -> str | None:
    """The literal `kind` of a rule's command."""
    spec = rule.fields.get("kind")
    return spec.value if isinstance(spec, Constant) and isinstance(spec.value, str) else None


def fetch_secrets(provider: Provider) -> set[str]:
    """The secrets of a connection that fetches carry."""
    return {one.fetch.auth.secret for one in fetch_rules(provider) if one.fetch.auth is not None}


def _all(rules: Mapping[str, Rule]) -> Iterator[Rule]:
    for rule in rules.values():
        yield rule
        yield from _all(rule.commands)


def first_ask(fetch: Fetch, data: Mapping[str, Any], expressions: Expressions) -> Ask:
    """The request for the first page. Raises FetchRefused."""
    at = expressions.text(fetch.at, data) if fetch.at else None
    url = joined(fetch, fetch.url, at) if at else fetch.url
    query = {name: expressions.text(spec, data) for name, spec in fetch.query.items()}
    url = with_query(url, {name: value for name, value in query.items() if value is not None})
    if fetch.method != "POST":
        return Ask(url)
    body = {name: expressions.value(spec, data) for name, spec in fetch.body.items()}
    return Ask(url, {name: value for name, value in body.items() if value is not None and value != ""})


def next_ask(
    fetch: Fetch, ask: Ask, number: int, document: Any, link: str | None, expressions: Expressions
) -> Ask | None:
    """The request for what follows page `number`, None after the last. Raises FetchRefused.

    `link` is what the Link header says of rel=next; `document` is the page.
    """
    pages = fetch.pages
    if pages is None:
        return None
    if pages.link or pages.next is not None:
        target = link if pages.next is None else expressions.text(pages.next, document)
        return ask._replace(url=joined(fetch, ask.url, target)) if target else None
    assert pages.as_ is not None
    if pages.cursor is not None:
        cursor = expressions.text(pages.cursor, document)
        return _with(ask, pages.as_, cursor) if cursor else None
    if pages.offset is not None:
        count = _count(expressions.text(pages.offset, document), pages.offset)
        return _with(ask, pages.as_, _count(_said(ask, pages.as_), pages.offset) + count) if count else None
    assert pages.more is not None
    return _with(ask, pages.as_, number + 1) if expressions.evaluate(pages.more, document) is True else None


def _count(text: str | None, expression: Expression) -> int:
    if text is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise FetchRefused("fetch_unreadable", f"`{expression.text}` gives no count")
    return int(text)


def _said(ask: Ask, name: str) -> str | None:
    found = dict(parse_qsl(urlsplit(ask.url).query)) if ask.body is None else ask.body
    return as_text(found.get(name)) or None


def _with(ask: Ask, name: str, value: str | int) -> Ask:
    if ask.body is None:
        return Ask(with_query(ask.url, {name: str(value)}))
    return ask._replace(body={**ask.body, name: value})


def joined(fetch: Fetch, base: str, reference: str) -> str:
    """A reference resolved against a URL, on the host of the fetch. Raises FetchRefused."""
    try:
        found = urljoin(base, reference)
        same = origin(found) == origin(fetch.url)
    except ValueError:
        same = False
    if not same:
        raise FetchRefused("fetch_other_host", "what is to be fetched is not at the host of the provider file's url")
    return found.partition("#")[0]


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port. Raises ValueError where the URL has none or carries a user."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not a URL of http or https")
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > MOST_TEXT:
        raise ValueError("not a URL as RFC 3986 has it")
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def with_query(url: str, values: Mapping[str, str]) -> str:
    """The URL with these query parameters in the place of those of the same names."""
    if not values:
        return url
    base, _, query = url.partition("?")
    names = {urlencode({name: ""}) for name in values}
    kept = [part for part in query.split("&") if part and part.partition("=")[0] + "=" not in names]
    return f"{base}?{'&'.join([*kept, urlencode(values)])}"


def next_link(header: str) -> str | None:
    """The target of rel=next in a Link header (RFC 8288)."""
    for target, parameters in re.findall(r"<([^<>]*)>([^<]*)", header[:MOST_TEXT]):
        if re.search(r';\s*rel\s*=\s*(?:next(?=[\s;,]|$)|"(?:[^"]*\s)?next(?:\s[^"]*)?")', parameters, re.IGNORECASE):
            return str(target)
    return None
