"""Reports as pages that stand alone: no script, nothing fetched, everything escaped."""

from __future__ import annotations

from typing import Any

_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title><style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem; vertical-align: top;
border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
code, pre { font: .875rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
.alarm { border-left: .25rem solid #b3261e; padding-left: .6rem; }
</style></head><body><main><h1>{{ title }}</h1>
"""
_END = "</main></body></html>\n"


def page(body: str, title: str, **values: Any) -> str:
    """A template of Jinja in the frame of a page. Values are escaped."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_FRAME + body + _END).render(title=title, **values)
