"""JSON that stands as text inside a document, decoded in place."""

from __future__ import annotations

from typing import Any

from engine.decoding.json_text import decode_value
from engine.decoding.refusals import refusal
from engine.failures import Refusal
from engine.payload_paths import steps


def unwrap(document: Any, paths: tuple[str, ...]) -> Any:
    """The document with the texts at `paths` decoded, one path after the other.

    A path goes through lists to each of their elements. What is absent, or is no text, stays.
    """
    for path in paths:
        names = steps(path)
        if names:
            document = _unwrapped(document, names, "")
    return document


def _unwrapped(node: Any, names: tuple[str, ...], at: str) -> Any:
    if isinstance(node, list):
        if names and names[0].isdecimal():
            index = int(names[0]) if len(names[0]) < 10 else len(node)
            return [_unwrapped(v, names[1:], f"{at}[{i}]") if i == index else v for i, v in enumerate(node)]
        return [_unwrapped(value, names, f"{at}[{index}]") for index, value in enumerate(node)]
    if not names:
        return _decoded(node, at) if isinstance(node, str) else node
    if isinstance(node, dict) and names[0] in node:
        name = names[0]
        return {**node, name: _unwrapped(node[name], names[1:], f"{at}.{name}" if at else name)}
    return node


def _decoded(text: str, path: str) -> Any:
    try:
        return decode_value(text.encode())
    except Refusal as refused:
        inner = refused.failure
        code = "unwrap_not_json" if inner.code in ("body_not_json", "body_empty") else inner.code
        message = f"The text at {path} is to be JSON: {inner.message}"
        raise refusal(
            code, message, "Mend the JSON inside this text at the sender.", path=path, **inner.facts
        ) from None
