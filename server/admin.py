"""Admin keys: who may see more than webhooks, receipts and health, and what each role may."""

from __future__ import annotations

import ipaddress

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.admin_keys import ANYONE, AdminKeys, Principal, Role, allows
from flows.journal import StoreUnavailable
from flows.settings import Settings
from server.problem_documents import SECURITY_HEADERS, problem

OPEN_PATHS = ("/healthz", "/readyz")
OPEN_PREFIXES = ("/v1/integrations/", "/v1/deliveries/")
READABLE_PREFIX = "/v1/imports/"
"""Who holds a job's id may read it, but not end it."""
ROLES_OF: tuple[tuple[str, Role, Role], ...] = ()
"""(path and what is below it, role to read, role to write): routes that need another role than others do."""


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

    Where no key is set and none was made every path is open: then only this machine can reach the server. Who
    asks is `request.state.principal`.
    """

    def __init__(self, app: ASGIApp, keys: AdminKeys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: dict) -> None:  # type: ignore[type-arg]
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *SECURITY_HEADERS]}
            await send(message)

        refusal = None if _is_open(scope["path"], scope["method"]) else await self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)  # type: ignore[arg-type]

    async def _refusal(self, scope: Scope) -> Response | None:
        """The answer to who may not; None for who may, whom it notes."""
        try:
            principal = await self._who(scope)
        except StoreUnavailable:
            return problem(503, "store_unavailable", "The database is away.", {"retry-after": "5"})
        if principal is None:
            return problem(
                401, "admin_key_needed", "Send Authorization: Bearer <admin key>.", {"www-authenticate": "Bearer"}
            )
        role = role_for(scope["method"], scope["path"])
        if not allows(principal, role):
            return problem(403, "role_too_low", f"This needs a key of the role {role}; yours is {principal.role}.")
        scope.setdefault("state", {})["principal"] = principal
        return None

    async def _who(self, scope: Scope) -> Principal | None:
        given = HTTPConnection(scope).headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        found = await self._keys.who(token.strip()) if scheme.lower() == "bearer" else None
        return ANYONE if found is None and await self._keys.open() else found


def role_for(method: str, path: str) -> Role:
    """What a route needs: the first line of ROLES_OF that fits, else a viewer to read and an admin to write."""
    reads = method in ("GET", "HEAD", "OPTIONS")
    for prefix, to_read, to_write in ROLES_OF:
        if path == prefix or path.startswith(f"{prefix}/"):
            return to_read if reads else to_write
    return "viewer" if reads else "admin"


def _is_open(path: str, method: str) -> bool:
    if path.startswith(READABLE_PREFIX):
        return method in ("GET", "HEAD")
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)
