"""Counters and histograms. Label values come from provider files and fixed sets, never from a request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from flows.backtesting.report import Report

Stage = Literal["body", "verify", "persist", "read", "draft", "resolve", "finish", "conclude", "total"]
Refused = Literal[
    "unknown_provider",
    "unknown_feed",
    "no_handshake",
    "unknown_connection",
    "busy",
    "rate_limited",
    "unavailable",
    "too_large",
    "hung_up",
    "body_timeout",
    "evicted",
    "login",
]
ShakenTo = Literal["handshakes", "handshakes_refused", "handshakes_unauthorized", "handshakes_too_many"]
"""What a handshake came to, also by the names of the ledger's counters."""

GAUGES = {
    "queue_rows": "Rows waiting for a commit.",
    "queue_bytes": "Bytes waiting for a commit.",
    "body_bytes": "Bytes of request bodies held.",
    "outbox_age_seconds": "Seconds since the oldest row that waits for the bus was written; 0: none waits.",
    "outbox_rows": "Rows that wait for the bus.",
    "outbox_commands": "Commands, and events of the views, that wait for the bus.",
    "outbox_parked_rows": "Rows that the bus refused for good and that wait for an operator.",
    "ledger_difference": "Commands recorded less those waiting and published, as last counted: 0 where none is lost.",
    "views_behind": "Commands that the views have not taken in.",
    "views_backing_off": "1 while the projection waits after a failure.",
    "views_events": "Events written since the start.",
    "fetch_behind": "Commands that the fetcher has not looked at.",
}
"""What is read when the metrics are: `tiffin_<name>`, and what it tells."""

SUMS = {
    "views_commands": ("result", "Commands that the views took in, by what came of them."),
    "fetches": ("result", "Requests to providers for pages, by what came of them."),
    "view_reads": ("source", "Readings of the views over HTTP, from their copy or from SQL."),
    "consumer_done": ("consumer", "Messages (of the copy: entities) that a consumer of views and events has done."),
}
"""The same for `tiffin_<name>_total` with one label: the label, and what it tells."""

LEVELS = {
    "consumer_behind": ("consumer", "Messages (of the copy: entities) that a consumer has not yet done."),
    "consumer_backing_off": ("consumer", "1 while a consumer waits after a failure."),
}
"""The same for gauges `tiffin_<name>` with one label."""

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class StageTimes(Collector):
    """The histogram `tiffin_stage_seconds`. The library's own costs a lock and five calls for each of eight
    observations a webhook; this one belongs to the event loop."""

    def __init__(self) -> None:
        self._counts = {stage: [0] * (len(_SECONDS) + 1) for stage in get_args(Stage)}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def observe(self, stage: Stage, seconds: float) -> None:
        self._counts[stage][bisect_left(_SECONDS, seconds)] += 1
        self._sums[stage] += seconds

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(
            "tiffin_stage_seconds", "Time spent in each stage of a webhook.", labels=("stage",)
        )
        for stage, counts in self._counts.items():
            if not any(counts):
                continue
            bounds = [*map(floatToGoString, _SECONDS), "+Inf"]
            family.add_metric((stage,), list(zip(bounds, accumulate(counts), strict=True)), self._sums[stage])
        return (family,)


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
        self._received = Counter(
            "tiffin_received",
            "Deliveries that were stored, those that did not verify too.",
            ("provider", "feed"),
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
        self._shaken = Counter(
            "tiffin_handshakes",
            "Handshakes, which are no deliveries.",
            ("provider", "handshake", "came_to"),
            registry=self.registry,
        )
        self._stages = StageTimes()
        self.registry.register(self._stages)
        self.observe = self._stages.observe
        self._recovered = Counter(
            "tiffin_recovered", "Deliveries taken over from a process that died.", registry=self.registry
        )
        self._imports = Counter(
            "tiffin_imports", "Import jobs that ended.", ("provider", "feed", "state"), registry=self.registry
        )
        self._import_rows = Counter(
            "tiffin_import_rows", "Rows of import jobs.", ("provider", "feed", "result"), registry=self.registry
        )
        self._reloads = Counter(
            "tiffin_provider_reloads", "Changed provider files, swapped in or refused.", ("result",),
            registry=self.registry,
        )  # fmt: skip
        self._shadowed = Counter(
            "tiffin_shadow_deliveries", "Deliveries that a shadow ran over, by what came of it.",
            ("provider", "result"), registry=self.registry,
        )  # fmt: skip
        self._shadow_differences = Counter(
            "tiffin_shadow_differences", "What a shadow told otherwise than the live revision.",
            ("provider", "kind"), registry=self.registry,
        )  # fmt: skip
        self._drifts = Counter(
            "tiffin_drifts", "What payloads showed that was new, each noted once.", ("provider", "feed", "kind"),
            registry=self.registry,
        )  # fmt: skip
        self._drift_payloads = Counter(
            "tiffin_drift_payloads", "Payloads that were looked at for drift, by what was done with them.", ("result",),
            registry=self.registry,
        )  # fmt: skip
        self._answered = lru_cache(4096)(self._deliveries.labels)
        self._written = lru_cache(1024)(self._commands.labels)
        self._stored = lru_cache(1024)(self._received.labels)

    def answered(self, provider: str, feed: str, verdict: str) -> None:
        """`provider` and `feed` are names from loaded provider files; "" for a feed that does not exist."""
        self._answered(provider, feed, verdict).inc()

    def received(self, provider: str, feed: str) -> None:
        """A delivery was stored, before anything of it was interpreted."""
        self._stored(provider, feed).inc()

    def written(self, provider: str, feed: str, commands: int) -> None:
        if commands:
            self._written(provider, feed).inc(commands)

    def failed(self, provider: str, feed: str, cls: str) -> None:
        self._failures.labels(provider, feed, cls).inc()

    def imported(self, provider: str, feed: str, rows: int, failed: int) -> None:
        """A chunk of an import job: so many rows, so many of which failed."""
        self._import_rows.labels(provider, feed, "read").inc(rows - failed)
        self._import_rows.labels(provider, feed, "failed").inc(failed)

    def import_ended(self, provider: str, feed: str, state: str) -> None:
        """`state` is one of those in which a job ends."""
        self._imports.labels(provider, feed, state).inc()

    def refused(self, reason: Refused, count: int = 1) -> None:
        self._refused.labels(reason).inc(count)

    def shaken(self, provider: str, handshake: str, came_to: ShakenTo) -> None:
        """`provider` and `handshake` are names from loaded provider files."""
        self._shaken.labels(provider, handshake, came_to).inc()

    def reloaded(self, result: Literal["swapped", "refused"]) -> None:
        self._reloads.labels(result).inc()

    def shadowed(self, provider: str, report: Report, left_out: int) -> None:
        """A batch of a shadow; `left_out` were more than its rate allows."""
        results = {
            "same": report.deliveries - report.differing,
            "different": report.differing,
            "lost": sum(report.lost.values()),
            "left_out": left_out,
        }
        for result, count in results.items():
            self._shadowed.labels(provider, result).inc(count)
        for (kind, _), count in report.meanings.items():
            self._shadow_differences.labels(provider, kind).inc(count)

    def drifted(self, provider: str, feed: str, kind: str) -> None:
        self._drifts.labels(provider, feed, kind).inc()

    def drift_looked(self, counts: Mapping[str, int]) -> None:
        """By a fixed set of results."""
        for result, count in counts.items():
            self._drift_payloads.labels(result).inc(count)

    def recovered(self) -> None:
        self._recovered.inc()

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Says how one of the GAUGES is read."""
        Gauge(f"tiffin_{name}", GAUGES[name], registry=self.registry).set_function(value)

    def watch_each(self, name: str, values: Callable[[], Mapping[str, float]]) -> None:
        """Says how one of the SUMS or LEVELS is read."""
        label, says = (SUMS | LEVELS)[name]
        family = CounterMetricFamily if name in SUMS else GaugeMetricFamily
        self.registry.register(_Watched(family, f"tiffin_{name}", says, label, values))


class _Watched(Collector):
    def __init__(
        self,
        family: type[CounterMetricFamily | GaugeMetricFamily],
        name: str,
        help_: str,
        label: str,
        values: Callable[[], Mapping[str, float]],
    ) -> None:
        self._family = family
        self._name, self._help, self._label, self._values = name, help_, label, values

    def collect(self) -> Iterable[Metric]:
        family = self._family(self._name, self._help, labels=(self._label,))
        for value, count in self._values().items():
            family.add_metric((value,), count)
        return (family,)
