"""Structured logs: one JSON object a line on standard error, without secrets, payloads or header values.

An exception is logged as its type and the places it passed through, never as its message: messages of
databases and parsers quote what they were given.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from flows.lean import without
from flows.tracing import trace_id

with without("rich"):
    # Its console renderer is not used, and would take as much memory as the rest of it.
    import structlog

_ROOT = Path(__file__).resolve().parent.parent

Event = MutableMapping[str, Any]


def configure_logging(level: str) -> None:
    """Sets up structlog and the standard library's loggers for the process. `level` as in Settings."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_message,
        _trace,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Its every line says that nothing was to be done.
    logging.getLogger("alembic").setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    found: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return found


def _trace(_: Any, __: str, event: Event) -> Event:
    if found := trace_id():
        event["trace_id"] = found
    return event


def _exception_without_message(_: Any, __: str, event: Event) -> Event:
    given = event.pop("exc_info", None)
    if not given:
        return event
    if isinstance(given, BaseException):
        error: BaseException | None = given
    else:
        error = (given if isinstance(given, tuple) else sys.exc_info())[1]
    record = event.get("_record")
    if record is not None:
        # The formatter would append the traceback, message included, by itself.
        record.exc_info = record.exc_text = None
    if error is not None:
        event["error"] = type(error).__qualname__
        event["at"] = [_shown(frame) for frame in traceback.extract_tb(error.__traceback__)[-8:]]
    return event


def _shown(frame: traceback.FrameSummary) -> str:
    path = Path(frame.filename)
    name = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path.name
    return f"{name}:{frame.lineno} {frame.name}"
