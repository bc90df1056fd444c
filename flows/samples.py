"""The bodies of golden cases as samples for the checker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from engine.decoding import decode
from engine.failures import Refusal
from engine.messages import Request
from engine.model import Feed, Provider
from engine.problems import ProviderFileError
from flows.golden import PEER, PUBLIC_URL, read_yaml

SNAPSHOTS = Path("__snapshots__") / "test_golden"


def golden_folder(file: Path) -> Path | None:
    """The golden cases of the checkout that a provider file stands in, if it does."""
    folder = file.resolve().parent.parent / "tests" / "golden"
    return folder if folder.is_dir() else None


def samples_of(root: Path, provider: Provider) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Decoded bodies by feed: sound ones, and those whose snapshot pins a failure, so that something is wrong in them.

    A feed all of whose bodies cannot be decoded has an empty list.
    """
    sound: dict[str, list[Any]] = defaultdict(list)
    faulty: dict[str, list[Any]] = defaultdict(list)
    for said in sorted((root / provider.provider).glob("*/*/request.yaml")):
        case = said.parent
        feed = provider.feeds.get(case.parent.name)
        body = next(case.glob("body.*"), None)
        if feed is None:
            continue
        if body is None:
            if "none" in feed.formats:
                sound.setdefault(case.parent.name, [])
            continue
        snapshot = root / SNAPSHOTS / f"test_case[{provider.provider}-{case.parent.name}-{case.name}].json"
        into = (faulty if _pins_a_failure(snapshot) else sound)[case.parent.name]
        try:
            into.append(decode(feed, _request(feed, read_yaml(said), body.read_bytes())))
        except Refusal:
            continue
        except ProviderFileError:
            continue  # a request.yaml that is none is told by the golden cases themselves
    return sound, faulty


def _pins_a_failure(snapshot: Path) -> bool:
    try:
        sendings = orjson.loads(snapshot.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return any(isinstance(sent, dict) and sent.get("failures") for sent in sendings)


def _request(feed: Feed, said: Mapping[str, Any], body: bytes) -> Request:
    headers = tuple((name.lower().encode(), str(value).encode("latin-1", "replace"))
                    for name, value in (said.get("headers") or {}).items())  # fmt: skip
    query = tuple((name, str(value)) for name, value in (said.get("query") or {}).items())
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Request(feed.method, PUBLIC_URL, "/", query, headers, body, PEER, at)
