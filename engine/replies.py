"""Answers to the provider: those of its file, else the receipt."""

from __future__ import annotations

from typing import Any

import orjson

from engine.jsonata import EngineName
from engine.messages import Reply
from engine.model import Replies, ReplySpec
from engine.reply_bodies import JSON, Body, Unrenderable, plain

_FALLS_BACK_TO_ACCEPTED = frozenset({"partial", "duplicate", "stale", "ignored", "parked"})
_DEFAULT_STATUS = {"unauthorized": 401, "busy": 503, "unavailable": 503}


class ReplyWriter:
    """The replies of one feed or event; `levels` are its own, the feed's and the file's, in this order."""

    def __init__(self, levels: tuple[Replies, ...], engine: EngineName) -> None:
        self._specs = {name: spec for name in Replies.model_fields if (spec := _chosen(levels, name)) is not None}
        self._bodies = {name: Body(spec, engine) for name, spec in self._specs.items()}

    def uses(self, name: str, verdict: str) -> bool:
        """Whether the reply of a verdict mentions the variable `$name`."""
        body = self._bodies.get(verdict)
        return body is not None and body.uses(name)

    def binds(self, verdict: str) -> bool:
        """Whether the reply of a verdict is computed from what is handed in."""
        body = self._bodies.get(verdict)
        return body is not None and body.binds

    def write(self, verdict: str, document: Any, bindings: dict[str, Any]) -> Reply:
        """The reply of a verdict. One that cannot be rendered falls back to the receipt."""
        spec = self._specs.get(verdict)
        headers = tuple(spec.headers.items()) if spec else ()
        if verdict in ("busy", "unavailable") and not any(name.lower() == "retry-after" for name, _ in headers):
            headers = (*headers, ("retry-after", "5"))
        if spec is None:
            return Reply(_DEFAULT_STATUS.get(verdict, 200), (JSON, *headers), orjson.dumps(_receipt(verdict, bindings)))
        if spec.empty:
            return Reply(spec.status, headers, b"")
        try:
            written = self._bodies[verdict].write(document, bindings)
        except Unrenderable:
            written = None
        if written is None:
            headers = tuple((name, value) for name, value in headers if name.lower() != "content-type")
            return Reply(spec.status, (JSON, *headers), orjson.dumps(_receipt(verdict, bindings)))
        return Reply(spec.status, typed(written[0], headers), written[1])


def typed(kind: tuple[str, str], headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The headers of a reply: the file's Content-Type stands instead of the body's own."""
    return headers if any(name.lower() == "content-type" for name, _ in headers) else (kind, *headers)


def _chosen(levels: tuple[Replies, ...], verdict: str) -> ReplySpec | None:
    """The nearest level that says this verdict; then the nearest that says accepted, where it stands in."""
    for name in (verdict, "accepted") if verdict in _FALLS_BACK_TO_ACCEPTED else (verdict,):
        for level in levels:
            spec: ReplySpec | None = getattr(level, name)
            if spec is not None:
                return spec
    return None


def _receipt(verdict: str, bindings: dict[str, Any]) -> Any:
    receipt = bindings.get("receipt") or {}
    problem = bindings.get("problem")
    return {"verdict": verdict, **receipt, **({"problem": problem} if problem and "failures" not in receipt else {})}


__all__ = ["ReplyWriter", "plain", "typed"]
