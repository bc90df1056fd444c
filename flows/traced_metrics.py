"""Metrics that tell the trace of the request in hand what they count."""

from __future__ import annotations

from flows import tracing
from flows.metrics import Metrics, Stage


class TracedMetrics(Metrics):
    """As Metrics, where traces are on."""

    def __init__(self) -> None:
        super().__init__()
        self._counted = self.observe
        self.observe = self._observed

    def _observed(self, stage: Stage, seconds: float) -> None:
        self._counted(stage, seconds)
        if (spans := tracing.active()) is not None:
            spans.stage(stage, seconds)

    def answered(self, provider: str, feed: str, verdict: str) -> None:
        super().answered(provider, feed, verdict)
        if (spans := tracing.active()) is not None:
            spans.note({"provider": provider, "feed": feed, "verdict": verdict})

    def written(self, provider: str, feed: str, commands: int) -> None:
        super().written(provider, feed, commands)
        if (spans := tracing.active()) is not None:
            spans.note({"commands": commands})
