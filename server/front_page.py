"""The page at /: what is loaded, where to post to, and how many deliveries there are of each state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from engine.model import Provider
from server.openapi import feed_url

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{text-align:left;padding:.25rem .9rem .25rem 0"
    ";border-bottom:1px solid #ddd;vertical-align:top}code{font-size:90%}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem}"
)
_LINKS = ("/openapi.json", "/metrics", "/healthz", "/readyz")


def front_page(
    providers: Iterable[Provider],
    connections: Mapping[str, int],
    states: Mapping[str, int],
    dependencies: Mapping[str, str],
    public_url: str,
) -> str:
    """HTML. `connections` counts by provider, `states` by state; `dependencies` says "ok" or why not."""
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Tiffin</title><style>{_STYLE}</style>',
        "<h1>Tiffin</h1>",
        "<h2>Deliveries</h2>",
        _table(("state", "deliveries"), ((escape(s), str(n)) for s, n in states.items())),
        "<h2>Depends on</h2>",
        _table(("what", "state"), ((escape(k), escape(v)) for k, v in dependencies.items())),
    ]
    for provider in providers:
        count = connections.get(provider.provider, 0)
        parts.append(f"<h2>{escape(provider.title)}</h2>")
        parts.append(
            f"<p>{escape(provider.family)}, revision {provider.revision}, {count} "
            f"connection{'' if count == 1 else 's'}</p>"
        )
        rows = (
            (
                escape(name),
                f"<code>{escape(feed.method)} {escape(public_url + feed_url(provider, name, feed))}</code>",
                f"<code>{escape(feed_url(provider, name, feed, '{connection}'))}</code>",
            )
            for name, feed in provider.feeds.items()
        )
        parts.append(_table(("feed", "URL", "with a connection"), rows))
    parts.append("<p>" + " · ".join(f'<a href="{link}">{link}</a>' for link in _LINKS) + "</p></html>")
    return "".join(parts)


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
