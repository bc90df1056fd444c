"""Spans on OpenTelemetry's SDK, sent over OTLP/HTTP in the background. Loaded only where traces are on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import time_ns
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from flows.tracing import here

ENVIRONMENT: Final = "on"
"""Has OpenTelemetry's own variables say where spans go."""
_PATH: Final = "/v1/traces"
_SEND_SECONDS: Final = 5
_NAMES: Final[Mapping[str, str]] = {"draft": "evaluate", "conclude": "commit"}
"""What stages are called in a trace, where the metric's name says less. `total` is the request's own span."""

_propagator = TraceContextTextMapPropagator()


class Spans:
    """The spans of one process. May be used from any thread."""

    def __init__(self, to: str) -> None:
        """`to` is an OTLP/HTTP endpoint, with or without its path, or ENVIRONMENT. Nothing is connected yet."""
        os.environ.setdefault("OTEL_SERVICE_NAME", "tiffin")
        if to == ENVIRONMENT:
            exporter = OTLPSpanExporter()
        else:
            bare = urlsplit(to).path in ("", "/")
            exporter = OTLPSpanExporter(to.rstrip("/") + _PATH if bare else to, timeout=_SEND_SECONDS)
        self._provider = TracerProvider(resource=Resource.create())
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("tiffin")

    @contextmanager
    def receiving(self, method: str, parent: str) -> Iterator[Span]:
        """The span of a request, below `parent` where that is a valid traceparent."""
        context = _propagator.extract({"traceparent": parent}, Context())
        attributes = {"http.request.method": method}
        with self._tracer.start_as_current_span(
            "receive", context, SpanKind.SERVER, attributes, record_exception=False
        ) as span:
            token = here.set(_written(span))
            try:
                yield span
            finally:
                here.reset(token)

    def stage(self, name: str, seconds: float) -> None:
        """A stage of the request in hand that has just ended and took so many seconds."""
        if name == "total" or not trace.get_current_span().get_span_context().is_valid:
            return
        end = time_ns()
        span = self._tracer.start_span(_NAMES.get(name, name), start_time=end - int(seconds * 1e9))
        span.end(end)

    def note(self, facts: Mapping[str, str | int]) -> None:
        """Facts about the request in hand."""
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes({f"tiffin.{name}": value for name, value in facts.items()})

    def follow(self, name: str, parent: str, since: int) -> None:
        """A span in the trace of `parent` from `since`, in nanoseconds since 1970, until now."""
        context = _propagator.extract({"traceparent": parent}, Context())
        if trace.get_current_span(context).get_span_context().is_valid:
            self._tracer.start_span(name, context, SpanKind.CONSUMER, start_time=since).end()

    def close(self) -> None:
        """Sends what waits, within a few seconds."""
        self._provider.force_flush(_SEND_SECONDS * 1000)
        self._provider.shutdown()


def _written(span: Span) -> str:
    at = span.get_span_context()
    return f"00-{at.trace_id:032x}-{at.span_id:016x}-{at.trace_flags:02x}"
