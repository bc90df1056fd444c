"""Replies that could not go out, or that would mean something else than they say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.checker.sites import Context
from engine.jsonata import JsonataError, reads
from engine.model import Feed, Rendered, Replies, ReplySpec
from engine.problems import Problem
from engine.reply_bodies import expressions
from engine.yaml12 import Path

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "tiffin-delivery"})
_RUNS = re.compile(r"html|svg|javascript|ecmascript", re.IGNORECASE)
_XML_NAME = re.compile(r"@?(?:[A-Za-z_][\w.-]*:)?[A-Za-z_][\w.-]*\Z|#text\Z", re.ASCII)
_OF_THE_WORK = frozenset({"results", "problem", "view"})


def replies(context: Context) -> Iterator[Problem]:
    """`reply_header`, `reply_type`, `xml_root`, `xml_name` and `reply_before_work`."""
    for path, spec in _specs(context):
        if not context.touched(path):
            yield from _headers(context, spec, path)
            yield from _xml(context, spec, path)
    for name, feed in context.provider.feeds.items():
        if feed.ack == "persisted":
            yield from _before_work(context, feed, name)


def _specs(context: Context) -> Iterator[tuple[Path, ReplySpec]]:
    provider = context.provider
    yield from _of(provider.replies, ("replies",))
    for name, feed in provider.feeds.items():
        yield from _of(feed.replies, ("feeds", name, "replies"))
        for key, event in (feed.events or {}).items():
            yield from _of(event.replies, ("feeds", name, "events", key, "replies"))
    for name, one in provider.handshakes.items():
        yield ("handshakes", name, "reply"), one.reply


def _of(given: Replies, path: Path) -> Iterator[tuple[Path, ReplySpec]]:
    for verdict in Replies.model_fields:
        if (spec := getattr(given, verdict)) is not None:
            yield (*path, verdict), spec


def _headers(context: Context, spec: ReplySpec, path: Path) -> Iterator[Problem]:
    for name, value in spec.headers.items():
        at = (*path, "headers", name)
        if not _TOKEN.match(name) or name.lower() in _OURS:
            message = f"{str(name)!r} is no header that a reply may set"
            yield Problem(context.place(at, key=True), "reply_header", message, "leave it out")
        elif not (value.isprintable() and value.isascii()):
            message = "a header's value is printable ASCII in one line"
            yield Problem(context.place(at), "reply_header", message, "write it without line breaks")
        elif name.lower() == "content-type":
            yield from _type(context, spec, value, at)


def _type(context: Context, spec: ReplySpec, value: str, at: Path) -> Iterator[Problem]:
    computed = any(True for _ in expressions((spec.json_, spec.text, spec.xml)))
    echo = at[0] == "handshakes" and spec.text is not None and not value.lower().startswith("text/plain")
    if computed and (echo or _RUNS.search(value)):
        message = "what somebody sent would be answered as something that a browser runs"
        yield Problem(context.place(at), "reply_type", message, "leave Content-Type out")


def _xml(context: Context, spec: ReplySpec, path: Path) -> Iterator[Problem]:
    if spec.xml is None:
        return
    at = (*path, "xml")
    root = next(iter(spec.xml), "")
    if len(spec.xml) != 1 or root[:1] in "@#" or isinstance(spec.xml[root], list | tuple | Rendered):
        message = "an XML document has one root element, with its name and children written out"
        yield Problem(context.place(at, key=True), "xml_root", message, "such as {Response: {Status: {expr: …}}}")
    yield from _xml_names(context, spec.xml, at)


def _xml_names(context: Context, template: Any, path: Path) -> Iterator[Problem]:
    if isinstance(template, Mapping):
        for key, inner in template.items():
            if not _XML_NAME.match(key):
                message = f"{str(key)!r} names no XML element or attribute"
                yield Problem(context.place((*path, key), key=True), "xml_name", message, "such as Item, @id, #text")
            yield from _xml_names(context, inner, (*path, key))
    elif isinstance(template, list | tuple):
        for n, inner in enumerate(template):
            yield from _xml_names(context, inner, (*path, n))


def _before_work(context: Context, feed: Feed, name: str) -> Iterator[Problem]:
    chosen = feed.replies.accepted or context.provider.replies.accepted
    for expression in expressions((chosen.json_, chosen.text, chosen.xml) if chosen else ()):
        try:
            found = reads(expression.text)
        except JsonataError:
            continue
        if found.input or found.bindings & _OF_THE_WORK:
            message = f"the feed {name} answers before the message is read, so that this has no value there"
            hint = "answer with literals, $request or $receipt, or leave ack out"
            yield Problem(expression.scalar.start, "reply_before_work", message, hint, "warning")
