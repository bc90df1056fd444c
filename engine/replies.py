"""Answers to the provider: those of its file, else the receipt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.jsonata import EngineName, JsonataError, Program
from engine.messages import Reply
from engine.model import Rendered, Replies, ReplySpec

_FALLS_BACK_TO_ACCEPTED = frozenset({"partial", "duplicate", "stale", "ignored", "parked"})
_DEFAULT_STATUS = {"unauthorized": 401, "busy": 503, "unavailable": 503}
_JSON = ("content-type", "application/json")
_PLAIN = ("content-type", "text/plain; charset=utf-8")


class ReplyWriter:
    """The replies of one feed or event; `levels` are its own, the feed's and the file's, in this order."""

    def __init__(self, levels: tuple[Replies, ...], engine: EngineName) -> None:
        self._specs = {name: spec for name in Replies.model_fields if (spec := _chosen(levels, name)) is not None}
        self._programs = {
            name: Program(rendered.expr.text, engine)
            for name, spec in self._specs.items()
            if (rendered := _rendered(spec)) is not None
        }

    def uses(self, name: str, verdict: str) -> bool:
        """Whether the reply of a verdict mentions the variable `$name`."""
        program = self._programs.get(verdict)
        return program is not None and f"${name}" in program.text

    def binds(self, verdict: str) -> bool:
        """Whether the reply of a verdict is computed from what is handed in."""
        program = self._programs.get(verdict)
        return program is not None and program.binds

    def write(self, verdict: str, document: Any, bindings: dict[str, Any]) -> Reply:
        """The reply of a verdict. An expression that fails here falls back to the receipt."""
        spec = self._specs.get(verdict)
        headers = tuple(spec.headers.items()) if spec else ()
        if verdict in ("busy", "unavailable") and not any(name.lower() == "retry-after" for name, _ in headers):
            headers = (*headers, ("retry-after", "5"))
        if spec is None:
            return Reply(
                _DEFAULT_STATUS.get(verdict, 200), (_JSON, *headers), orjson.dumps(_receipt(verdict, bindings))
            )
        if spec.empty:
            return Reply(spec.status, headers, b"")
        try:
            kind, body = self._body(verdict, spec, document, bindings)
        except JsonataError:
            kind, body = _JSON, orjson.dumps(_receipt(verdict, bindings))
        return Reply(spec.status, (kind, *headers), body)

    def _body(
        self, verdict: str, spec: ReplySpec, document: Any, bindings: dict[str, Any]
    ) -> tuple[tuple[str, str], bytes]:
        program = self._programs.get(verdict)
        value = program.evaluate(document, bindings) if program else None
        if spec.text is not None:
            text = value if program else spec.text
            return _PLAIN, (text if isinstance(text, str) else orjson.dumps(text).decode()).encode()
        if spec.json_ is not None:
            return _JSON, orjson.dumps(_whole(value) if program else plain(spec.json_))
        return _JSON, orjson.dumps(_receipt(verdict, bindings))


def _chosen(levels: tuple[Replies, ...], verdict: str) -> ReplySpec | None:
    """The nearest level that says this verdict; then the nearest that says accepted, where it stands in."""
    for name in (verdict, "accepted") if verdict in _FALLS_BACK_TO_ACCEPTED else (verdict,):
        for level in levels:
            spec: ReplySpec | None = getattr(level, name)
            if spec is not None:
                return spec
    return None


def _rendered(spec: ReplySpec) -> Rendered | None:
    return next((v for v in (spec.json_, spec.text) if isinstance(v, Rendered)), None)


def _receipt(verdict: str, bindings: dict[str, Any]) -> Any:
    receipt = bindings.get("receipt") or {}
    problem = bindings.get("problem")
    return {"verdict": verdict, **receipt, **({"problem": problem} if problem and "failures" not in receipt else {})}


def _whole(value: Any) -> Any:
    """Whole numbers without a fraction, as the expression wrote them."""
    if value.__class__ is float and value == int(value):
        return int(value)
    if value.__class__ is list:
        return [_whole(inner) for inner in value]
    if value.__class__ is dict:
        return {key: _whole(inner) for key, inner in value.items()}
    return value


def plain(value: Any) -> Any:
    """A literal of the provider file as JSON has it."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
