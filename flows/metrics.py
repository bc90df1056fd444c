"""Counters and histograms. Label values come from provider files and fixed sets, never from a request."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Stage = Literal["body", "verify", "persist", "read", "draft", "resolve", "finish", "conclude", "total"]
Refused = Literal[
    "unknown_provider",
    "unknown_feed",
    "unknown_connection",
    "busy",
    "unavailable",
    "too_large",
    "hung_up",
    "body_timeout",
    "evicted",
]

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """The metrics of one running service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._deliveries = Counter(
            "tiffin_deliveries",
            "Deliveries answered.",
            ("provider", "feed", "verdict"),
            registry=self.registry,
        )
        self._commands = Counter(
            "tiffin_commands",
            "Commands written to the outbox.",
            ("provider", "feed"),
            registry=self.registry,
        )
        self._failures = Counter(
            "tiffin_failures",
            "Failures of deliveries and of their elements.",
            ("provider", "feed", "class"),
            registry=self.registry,
        )
        self._refused = Counter(
            "tiffin_refused", "Requests that became no delivery.", ("reason",), registry=self.registry
        )
        self._stages = Histogram(
            "tiffin_stage_seconds",
            "Time spent in each stage of a webhook.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._recovered = Counter(
            "tiffin_recovered", "Deliveries taken over from a process that died.", registry=self.registry
        )
        self.observe: Callable[[Stage, float], None] = self._observer()
        self._answered = lru_cache(4096)(self._deliveries.labels)
        self._written = lru_cache(1024)(self._commands.labels)

    def _observer(self) -> Callable[[Stage, float], None]:
        stages: dict[str, Callable[[float], None]] = {}

        def observe(stage: Stage, seconds: float) -> None:
            if stage not in stages:
                stages[stage] = self._stages.labels(stage).observe
            stages[stage](seconds)

        return observe

    def answered(self, provider: str, feed: str, verdict: str) -> None:
        """`provider` and `feed` are names from loaded provider files; "" for a feed that does not exist."""
        self._answered(provider, feed, verdict).inc()

    def written(self, provider: str, feed: str, commands: int) -> None:
        if commands:
            self._written(provider, feed).inc(commands)

    def failed(self, provider: str, feed: str, cls: str) -> None:
        self._failures.labels(provider, feed, cls).inc()

    def refused(self, reason: Refused, count: int = 1) -> None:
        self._refused.labels(reason).inc(count)

    def recovered(self) -> None:
        self._recovered.inc()

    def watch(self, name: str, help_: str, value: Callable[[], float]) -> None:
        """A gauge `tiffin_<name>` that is read when the metrics are."""
        Gauge(f"tiffin_{name}", help_, registry=self.registry).set_function(value)
