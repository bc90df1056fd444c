"""Who asks a page of the desk, and whether they may: cookies, roles, tokens of forms, and sign-ins at a rate."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from flows.desk_sessions import may, new_session
from flows.service import Service
from server.desk.rendering import rendered
from server.peers import peer_reader
from stores import desk_sessions
from stores.desk_sessions import Session
from stores.writer import Work

COOKIE = "tiffin_desk"
MOST_TRIES = 10
TRIES_SECONDS = 300
MOST_FORM_BYTES = 4 << 20


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is signed in. `form` is empty where none was sent."""

    request: Request
    service: Service
    session: Session
    form: FormData

    def may(self, role: str) -> bool:
        return may(self.session.role, role)

    def field(self, name: str) -> str:
        value = self.form.get(name, "")
        # Servers keep no NUL in a text.
        return value.replace("\x00", "").strip() if isinstance(value, str) else ""

    async def read(self, job: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return await self.service.journal.read(lambda transaction: job(transaction, *arguments, **options))

    async def write(self, job: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return await self.service.journal.write(Work(job, *arguments, **options))

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(rendered(template, visit=self, path=self.request.url.path, **values), status)

    def refused(self, status: int, title: str, text: str) -> Response:
        """A page that says what is wrong and what to do."""
        return self.page("problem.html", status, title=title, text=text)


def now() -> datetime:
    return datetime.now(UTC)


Handler = Callable[[Visit], Awaitable[Response]]


def needs(role: str) -> Callable[[Handler], Callable[[Request], Awaitable[Response]]]:
    """A page for those with a role. Others are sent to sign in, or told that they may not."""

    def wrap(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        @wraps(handler)
        async def page(request: Request) -> Response:
            session = await session_of(request)
            if session is None:
                if request.method != "GET":
                    return _problem(request, 401, "Signed out", "Sign in again; nothing was done.")
                wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"/desk/sign-in?next={quote(wanted, safe='')}", 303)
            visit = Visit(request, request.app.state.service, session, FormData())
            if not visit.may(role):
                return visit.refused(403, "Not allowed", f"This takes the role {role}; yours is {session.role}.")
            if request.method == "GET":
                return await handler(visit)
            async with request.form(max_files=1, max_fields=5000, max_part_size=MOST_FORM_BYTES) as form:
                given = form.get("csrf", "")
                right = isinstance(given, str) and hmac.compare_digest(given.encode(), session.csrf.encode())
                if not right or not same_origin(request):
                    return visit.refused(
                        403, "Not from this desk", "The form did not come from a page of yours. Open it anew."
                    )
                return await handler(Visit(request, visit.service, session, form))

        return page

    return wrap


def same_origin(request: Request) -> bool:
    """Whether a form came from this very server, as far as the browser says."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def session_of(request: Request) -> Session | None:
    token = request.cookies.get(COOKIE, "")
    service: Service = request.app.state.service
    if not token:
        return None
    keyed = bool(service.settings.admin_key.get_secret_value())
    return await service.journal.read(lambda transaction: desk_sessions.get(transaction, token, now(), keyed))


# ---- signing in ----


class Tries:
    """Counts failed sign-ins of an address; the count is forgotten after some minutes."""

    def __init__(self, most: int = MOST_TRIES, seconds: float = TRIES_SECONDS) -> None:
        self._most, self._seconds = most, seconds
        self._failed: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds until the address may try again; 0: now."""
        since, count = self._failed.get(address, (0.0, 0))
        left = since + self._seconds - time.monotonic()
        return int(left) + 1 if count >= self._most and left > 0 else 0

    def failed(self, address: str) -> None:
        since, count = self._failed.pop(address, (time.monotonic(), 0))
        if time.monotonic() - since > self._seconds:
            since, count = time.monotonic(), 0
        self._failed[address] = (since, count + 1)
        while len(self._failed) > 10_000:
            self._failed.popitem(last=False)


async def sign_in_page(request: Request) -> Response:
    return _sign_in(request, _next(request.query_params.get("next", "")))


async def sign_in(request: Request) -> Response:
    service: Service = request.app.state.service
    tries: Tries = request.app.state.tries
    address = _address(request)
    if wait := tries.wait(address):
        told = f"Too many failed sign-ins from your address. Try again in {wait} seconds."
        return _sign_in(request, "", told, 429, {"retry-after": str(wait)})
    async with request.form(max_files=0, max_fields=10) as form:
        given, wanted = str(form.get("key", "")).strip(), _next(str(form.get("next", "")))
    if not same_origin(request):
        return _problem(request, 403, "Not from this desk", "Open the sign-in page and try there.")
    token = await _signed_in(service, given)
    if token is None:
        tries.failed(address)
        return _sign_in(request, wanted, "This is no admin key, and no link that still works.", 401)
    answer = RedirectResponse(wanted, 303)
    secure = service.settings.public_url.startswith("https://")
    answer.set_cookie(COOKIE, token, path="/desk", httponly=True, samesite="strict", secure=secure)
    return answer


async def _signed_in(service: Service, given: str) -> str | None:
    """The token of a new session for an admin key or a link."""
    at = now()
    token, blank = new_session("", "viewer", at)
    linked = Work(desk_sessions.use_link, given, token, blank.csrf, blank.until, at)
    if given and await service.journal.write(linked) is not None:
        return token
    if (found := await principal(service, given)) is None:
        return None
    token, session = new_session(*found, at)
    await service.journal.write(Work(desk_sessions.begin, token, session, at))
    return token


async def principal(service: Service, key: str) -> tuple[str, str] | None:
    """(name for the audit, role) of an admin key."""
    found = await service.admin_keys.who(key)
    return None if found is None else (found.audited, found.role)


@needs("viewer")
async def sign_out(visit: Visit) -> Response:
    await visit.write(desk_sessions.end, visit.request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/desk/sign-in", 303)
    answer.delete_cookie(COOKIE, path="/desk")
    return answer


def _next(given: str) -> str:
    """A path of the desk: nothing leads elsewhere."""
    return given if given.startswith("/desk") and "\\" not in given and not given.startswith("//") else "/desk"


def _address(request: Request) -> str:
    service: Service = request.app.state.service
    peer = request.client.host if request.client else ""
    return peer_reader(service.settings.trusted_proxies)(peer, request.scope["headers"])


def _sign_in(
    request: Request, wanted: str, told: str = "", status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return HTMLResponse(rendered("sign_in.html", visit=None, path="", next=wanted, told=told), status, headers)


def _problem(request: Request, status: int, title: str, text: str) -> Response:
    return HTMLResponse(rendered("problem.html", visit=None, path="", title=title, text=text), status)
