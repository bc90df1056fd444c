"""The admin key: who may see more than webhooks, receipts and health."""

from __future__ import annotations

import hmac
import ipaddress

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.settings import Settings
from server.problem_documents import SECURITY_HEADERS, problem

OPEN_PATHS = ("/healthz", "/readyz")
OPEN_PREFIXES = ("/v1/integrations/", "/v1/deliveries/")
READABLE_PREFIX = "/v1/imports/"
"""Who holds a job's id may read it, but not end it."""


class UnsafeBind(Exception):
    """The server would be reachable from elsewhere with nothing to keep strangers out."""


def refuse_unsafe_bind(settings: Settings, host: str) -> None:
    """Raises UnsafeBind where `host` is not a loopback address and TIFFIN_ADMIN_KEY is not set."""
    if settings.admin_key.get_secret_value() or _loopback(host):
        return
    raise UnsafeBind(
        f"Binding to {host} lets other machines in, but TIFFIN_ADMIN_KEY is not set. "
        "Set it to a long random text, or bind to 127.0.0.1."
    )


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class AdminKey:
    """Middleware: asks for `Authorization: Bearer <key>` on every path that is not open; adds headers.

    Without a key every path is open: then only this machine can reach the server.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._key = app, key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: dict) -> None:  # type: ignore[type-arg]
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *SECURITY_HEADERS]}
            await send(message)

        if self._key and not _is_open(scope["path"], scope["method"]) and not self._presented(scope):
            refusal = problem(
                401,
                "admin_key_needed",
                "Send Authorization: Bearer <admin key>.",
                {"www-authenticate": "Bearer"},
            )
            await refusal(scope, receive, send_with_headers)  # type: ignore[arg-type]
            return
        await self._app(scope, receive, send_with_headers)  # type: ignore[arg-type]

    def _presented(self, scope: Scope) -> bool:
        given = HTTPConnection(scope).headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        right = hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._key)
        return right and scheme.lower() == "bearer"


def _is_open(path: str, method: str) -> bool:
    if path.startswith(READABLE_PREFIX):
        return method in ("GET", "HEAD")
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)
