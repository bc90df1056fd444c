"""Requests out of an HTTP Archive, as browsers and proxies save them (HAR 1.2)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from flows.inferring.samples import Sample
from flows.inferring.sketches import Uninferrable


def samples(text: str | bytes, name: str) -> list[Sample]:
    """Every request with a body. Raises Uninferrable."""
    try:
        entries = json.loads(text)["log"]["entries"]
        found = [sample for n, entry in enumerate(entries, 1) for sample in _sample(entry["request"], f"{name}#{n}")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Uninferrable(f"{name} is no HTTP Archive (HAR): it has no log.entries with requests.") from None
    if not found:
        raise Uninferrable(f"{name} holds no request with a body; save the requests that the provider sends.")
    return found


def _sample(request: Mapping[str, Any], name: str) -> Iterator[Sample]:
    posted = request.get("postData")
    if not posted or not posted.get("text"):
        return
    text: str = posted["text"]
    body = text.encode("utf-8", "surrogatepass")
    if posted.get("encoding") == "base64":
        try:
            body = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise Uninferrable(f"{name}: the body is said to be base64, and is not.") from None
    headers = tuple((str(one["name"]), str(one["value"])) for one in request.get("headers", ()))
    if posted.get("mimeType") and not any(n.lower() == "content-type" for n, _ in headers):
        headers = (*headers, ("Content-Type", str(posted["mimeType"])))
    path = urlsplit(str(request["url"])).path.rstrip("/").rpartition("/")[2]
    yield Sample(name, body, headers, str(request.get("method", "POST")).upper(), path)
