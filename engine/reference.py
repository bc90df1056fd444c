"""The same programs on jsonata-python: the reference that results are compared with.

The engine alters its input, shares state between evaluations of one expression and counts breadth as
depth; hence a copy of the document, a new expression each time, and its time limit alone. None is undefined to
it, and null a value of its own; hence the copy says null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

from engine.jsonata import JsonataError, Limits


def evaluate_reference(text: str, document: Any, bindings: Mapping[str, Any], limits: Limits) -> Any:
    """Evaluates with jsonata-python. Raises JsonataError; positions are not to be trusted."""
    expression = _compiled(text)
    frame = expression.create_frame(expression.environment)
    frame.set_runtime_bounds(int(limits.timeout * 1000), None)
    for name, value in bindings.items():
        if callable(value):
            frame.bind(name, Jsonata.JLambda(_host(value, expression)))
        elif value is not None:
            frame.bind(name, _handed_over(value))
    try:
        return _plain(expression.evaluate(_handed_over(document), frame))
    except (JException, ValueError, ZeroDivisionError, TypeError, RecursionError) as error:
        raise _from_reference(error) from None


def _handed_over(value: Any) -> Any:
    """A copy with the engine's own null."""
    if isinstance(value, list | tuple):
        return [_handed_over(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _handed_over(inner) for key, inner in value.items()}
    return Utils.NULL_VALUE if value is None else value


def _plain(value: Any) -> Any:
    """The engine's own list class as plain lists."""
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if value is Utils.NULL_VALUE else value


def _compiled(text: str) -> Jsonata:
    try:
        return Jsonata(text)
    except (JException, ValueError) as error:
        raise _from_reference(error) from None


def _from_reference(error: Exception) -> JsonataError:
    code = getattr(error, "error", None) or type(error).__name__
    return JsonataError(str(code), str(error), None, None)


def _host(function: Any, expression: Jsonata) -> Any:
    """Hands the engine's own function values to a host function as things that can be called."""

    def call(*arguments: Any) -> Any:
        wrapped = [
            (lambda a=a: _apply(expression, a)) if expression.is_function_like(a) else _plain(a) for a in arguments
        ]
        return function(*wrapped)

    return call


def _apply(expression: Jsonata, function: Any) -> Any:
    try:
        return expression.apply(function, [], None, expression.environment)
    except (JException, ValueError, ZeroDivisionError, TypeError) as error:
        raise _from_reference(error) from None
