"""Gives each request a trace, where traces are on."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows import tracing
from flows.receive import DELIVERY_HEADER
from flows.settings import Settings

_DELIVERY = DELIVERY_HEADER.encode()


def traced(app: ASGIApp, settings: Settings) -> ASGIApp:
    """The application, with a span round each request; as it is where traces are off.

    The trace of a caller is taken on only where its own address is within TIFFIN_TRACES_TRUST: whoever else names
    one would choose what is recorded, and write into traces of others.
    """
    if not settings.traces:
        return app
    trusted = [ipaddress.ip_network(block) for block in settings.traces_trust]

    async def within(scope: Scope, receive: Receive, send: Send) -> None:
        spans = tracing.active()
        if spans is None:
            await app(scope, receive, send)
            return
        with spans.receiving(scope["method"], _parent(scope, trusted)) as span:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    delivery = dict(message["headers"]).get(_DELIVERY)
                    if delivery is not None:
                        span.set_attribute("tiffin.delivery", delivery.decode())
                await send(message)

            await app(scope, receive, sent)

    return within


def _parent(scope: Scope, trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """The traceparent of a caller that is trusted; "" of others."""
    given = [value for name, value in scope["headers"] if name == b"traceparent"]
    if len(given) != 1 or not scope.get("client"):
        return ""
    caller = ipaddress.ip_address(scope["client"][0])
    believed = any(caller in block for block in trusted if block.version == caller.version)
    return given[0].decode("latin-1") if believed else ""
