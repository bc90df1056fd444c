"""Traces, where TIFFIN_TRACES switches them on; where it does not, nothing of OpenTelemetry is loaded.

A request's trace goes with its commands: each has the CloudEvents extension `traceparent` (Distributed Tracing
extension 1.0.2; W3C Trace Context), by which the relay and the projection, in whatever process they run, find the
spans that theirs belong to. Attributes of spans are names of provider files, verdicts, ids and counts, never a
header, a body or a secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from time import time_ns
from typing import TYPE_CHECKING, Final

from engine.messages import Command

if TYPE_CHECKING:
    from flows.spans import Spans

VARIABLE: Final = "TIFFIN_TRACES"
_DATA: Final = b',"data":'
_PARENT: Final = b'"traceparent":"'

here: ContextVar[str] = ContextVar("traceparent", default="")
"""The `traceparent` of the request in hand; "" where there is none."""

_spans: Spans | None = None
_exported = _looked = False


class TracesNotInstalled(Exception):
    """Traces are switched on, and the packages that send them are not there."""


def start(to: str) -> None:
    """Has this process and those that it starts send spans to an OTLP/HTTP endpoint, or to where OpenTelemetry's
    own variables say (`on`); "": to nobody. Raises TracesNotInstalled."""
    global _spans, _exported, _looked
    _looked = True
    if not to or _spans is not None:
        return
    try:
        from flows.spans import Spans
    except ImportError:
        raise TracesNotInstalled(
            f"{VARIABLE} is set, but what sends traces is not installed. Install it: pip install 'tiffin[traces]'."
        ) from None
    _spans = Spans(to)
    if VARIABLE not in os.environ:
        # The writer's process finds it there, however this one was told.
        os.environ[VARIABLE], _exported = to, True


def stop() -> None:
    """Sends what waits, within a few seconds."""
    global _spans, _exported
    spans, _spans = _spans, None
    if _exported:
        os.environ.pop(VARIABLE, None)
        _exported = False
    if spans is not None:
        spans.close()


def active() -> Spans | None:
    """What spans go to; None where traces are off. A process that a serving one started begins with it here."""
    global _looked
    if _spans is None and not _looked:
        _looked = True
        start(os.environ.get(VARIABLE, ""))
    return _spans


def trace_id() -> str:
    """The trace of the request in hand, in 32 hexadecimal digits; "" where there is none."""
    return here.get()[3:35]


def carried(commands: Sequence[Command]) -> Sequence[Command]:
    """The commands with the trace of the request in hand, where there is one."""
    parent = here.get()
    if not parent:
        return commands
    return [command._replace(event=_with_parent(command.event, parent)) for command in commands]


def now() -> int:
    """Nanoseconds since 1970, or 0 where traces are off."""
    return 0 if active() is None else time_ns()


def passed(stage: str, events: Iterable[bytes], since: int) -> None:
    """A span of this stage, from `since` on, in each trace that one of the events belongs to."""
    if _spans is None or not since:
        return
    for parent in dict.fromkeys(filter(None, map(parent_of, events))):
        _spans.follow(stage, parent, since)


def parent_of(event: bytes) -> str:
    """The `traceparent` of a structured event; "" where it has none."""
    at = event.find(_PARENT, 0, max(0, event.find(_DATA)))
    return "" if at < 0 else event[at + len(_PARENT) :].split(b'"', 1)[0].decode("ascii", "replace")


def _with_parent(event: bytes, parent: str) -> bytes:
    # The interpreter writes an event's data last: what is found first is its name.
    head, data, rest = event.partition(_DATA)
    return b"".join((head, b",", _PARENT, parent.encode(), b'"', data, rest))
