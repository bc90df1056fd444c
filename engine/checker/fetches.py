"""`fetch`: what it needs to be served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from engine.checker.sites import Context, RuleSite
from engine.fetching import COMMAND, kind_of, origin
from engine.problems import Problem


def fetches(context: Context) -> Iterator[Problem]:
    """`fetch_command`, `fetch_kind`, `fetch_feed`, `fetch_url` and, as a warning, `fetch_plain_http`."""
    seen: dict[str, set[str]] = defaultdict(set)
    for site in context.rules:
        at = (*site.path, "fetch")
        if site.rule.fetch is None or context.touched(at):
            continue
        if site.rule.command != COMMAND:
            message = f"only {COMMAND} is served by fetching"
            yield Problem(context.place(at, key=True), "fetch_command", message, f"write command: {COMMAND}")
            continue
        yield from _of_kind(context, site, seen[site.feed])
        yield from _of_feed(context, site)
        yield from _of_url(context, site)


def _of_kind(context: Context, site: RuleSite, seen: set[str]) -> Iterator[Problem]:
    at, kind = (*site.path, "fetch"), kind_of(site.rule)
    if kind is None:
        message = "the command's kind is not written, so nobody knows which fetch serves it"
        yield Problem(context.place(at, key=True), "fetch_kind", message, "write kind: {value: catalog}")
    elif kind in seen:
        message = f"another rule of the feed fetches for kind {kind}"
        yield Problem(context.place(at, key=True), "fetch_kind", message, "give each a kind of its own")
    else:
        seen.add(kind)


def _of_feed(context: Context, site: RuleSite) -> Iterator[Problem]:
    assert site.rule.fetch is not None
    name = site.rule.fetch.feed
    feed, at = context.provider.feeds.get(name), (*site.path, "fetch", "feed")
    hint = "name a feed of this file that has commands"
    if context.touched(at):
        return
    if feed is None:
        yield Problem(context.place(at), "fetch_feed", f"there is no feed {name}", hint)
    elif feed.answer is not None or feed.issue is not None:
        yield Problem(context.place(at), "fetch_feed", f"the feed {name} takes no deliveries", hint)


def _of_url(context: Context, site: RuleSite) -> Iterator[Problem]:
    assert site.rule.fetch is not None
    at = (*site.path, "fetch", "url")
    if context.touched(at):
        return
    try:
        scheme, _, _ = origin(site.rule.fetch.url)
    except ValueError:
        message = "this is no URL with a host and without a user"
        yield Problem(context.place(at), "fetch_url", message, "such as https://api.example.com/v1/items")
        return
    if scheme != "https":
        message = "without https it is asked only at addresses that TIFFIN_FETCH_ALLOW names"
        yield Problem(context.place(at), "fetch_plain_http", message, "write https://", "warning")
