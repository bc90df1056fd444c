"""Named tuples made without a frame of Python each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T", bound=tuple[Any, ...])


def maker(kind: type[T]) -> Callable[[tuple[Any, ...]], T]:
    """Makes a named tuple of all its fields in order.

    Its own constructor is a Python function, which costs three times as much: for what is made for every
    request, element or command.
    """
    return partial(tuple.__new__, kind)
