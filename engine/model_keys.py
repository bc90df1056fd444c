"""Which keys the provider language knows at a place of a file, found by walking the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from engine.model import Provider
from engine.model_base import Node

Path = tuple[str | int, ...]


def keys_of(node: type[BaseModel]) -> list[str]:
    """The keys of a model as they are written in a file."""
    return [field.alias or name for name, field in node.model_fields.items()]


def _fields(node: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """Keys with what stands behind them. Models that name themselves are resolved here, not when they load."""
    node.model_rebuild()
    return ((field.alias or name, field.annotation) for name, field in node.model_fields.items())


def keys_at(data: Any, path: Path) -> list[str]:
    """The keys known at a path, those of the model that fits what is written there best, in its order."""
    annotations: list[Any] = [Provider]
    for step in path:
        annotations = [inner for annotation in annotations for inner in _step(annotation, str(step))]
        data = data[step]
    nodes = [part for annotation in annotations for part in _members(annotation) if _is_node(part)]
    written = set(data) if isinstance(data, Mapping) else set()
    most = max((len(written & set(keys_of(node))) for node in nodes), default=0)
    fitting = [node for node in nodes if len(written & set(keys_of(node))) == most]
    return list(dict.fromkeys(key for node in fitting for key in keys_of(node)))


def _step(annotation: Any, key: str) -> Iterator[Any]:
    for part in _parts(annotation):
        if _is_node(part):
            yield from (annotation for name, annotation in _fields(part) if name == key)
        elif get_origin(part) is dict:
            yield get_args(part)[1]
        elif get_origin(part) is tuple:
            # A list of one may be written without its brackets.
            inner = get_args(part)[0]
            yield from (inner,) if key.isdigit() else _step(inner, key)


def _members(annotation: Any) -> Iterator[Any]:
    for part in _parts(annotation):
        yield from _parts(get_args(part)[0]) if get_origin(part) is tuple else (part,)


def _parts(annotation: Any) -> Iterator[Any]:
    """The members of a union, without annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _parts(member)
    else:
        yield annotation


def _is_node(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, Node)
