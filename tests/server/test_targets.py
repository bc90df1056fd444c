"""Which provider file a request to a known URL goes to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from server.webhooks import Webhooks

SCOPE = {"path": "/v1/integrations/pos/acme/webhooks/stock", "method": "POST"}


class Receiver:
    """Tells a new target each time it is asked."""

    def __init__(self) -> None:
        self.generation = 0
        self.asked = 0

    def target(self, *_: str) -> Any:
        self.asked += 1
        return self.asked


def webhooks(receiver: Receiver) -> Webhooks:
    return Webhooks(
        receiver,  # type: ignore[arg-type]
        SimpleNamespace(),  # type: ignore[arg-type]
        public_url="http://127.0.0.1",
        trusted_proxies=(),
        body_timeout=1.0,
    )


def test_a_url_is_looked_up_once() -> None:
    found = webhooks(Receiver())
    assert [found._target(SCOPE), found._target(SCOPE)] == [1, 1]


def test_a_url_is_looked_up_anew_once_files_were_swapped_in() -> None:
    receiver = Receiver()
    found = webhooks(receiver)
    assert found._target(SCOPE) == 1
    receiver.generation += 1
    assert found._target(SCOPE) == 2  # type: ignore[comparison-overlap]
