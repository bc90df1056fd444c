"""The desk's own application: its routes, its headers, and what is said when something is wrong."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.alerting.watch import poster_for
from flows.desk_jobs import Jobs
from flows.journal import StoreUnavailable
from flows.logging import logger
from flows.service import Service
from server.desk import alerts, audit, jobs, live, looking, mappings, mending, sessions
from server.desk.rendering import rendered
from server.protocol import STREAM

_log = logger("tiffin.desk")
HEADERS = (
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
     b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)  # fmt: skip

ROUTES = [
    Route("/desk", looking.overview, methods=["GET"]),
    Route(STREAM, live.stream, methods=["GET"]),
    Route("/desk/", lambda _: RedirectResponse("/desk", 308), methods=["GET"]),
    Route("/desk/sign-in", sessions.sign_in_page, methods=["GET"]),
    Route("/desk/sign-in", sessions.sign_in, methods=["POST"]),
    Route("/desk/sign-out", sessions.sign_out, methods=["POST"]),
    Route("/desk/deliveries", looking.deliveries, methods=["GET"]),
    Route("/desk/deliveries/{id}", looking.delivery, methods=["GET"]),
    Route("/desk/deliveries/{id}/replay", mending.replay_one, methods=["POST"]),
    Route("/desk/deliveries/{id}/accept", mending.accept, methods=["POST"]),
    Route("/desk/deliveries/{id}/edit", mending.edit_page, methods=["GET"]),
    Route("/desk/deliveries/{id}/edit", mending.edit, methods=["POST"]),
    Route("/desk/failures", looking.failures, methods=["GET"]),
    Route("/desk/failures/group", looking.group, methods=["GET"]),
    Route("/desk/failures/map", mending.map_id, methods=["POST"]),
    Route("/desk/failures/lookup", mending.add_to_lookup, methods=["POST"]),
    Route("/desk/replay", jobs.preview, methods=["GET"]),
    Route("/desk/replay", jobs.begin, methods=["POST"]),
    Route("/desk/jobs", jobs.listed, methods=["GET"]),
    Route("/desk/jobs/{id}", jobs.show, methods=["GET"]),
    Route("/desk/jobs/{id}/cancel", jobs.cancel, methods=["POST"]),
    Route("/desk/jobs/{id}/continue", jobs.resume, methods=["POST"]),
    Route("/desk/mappings", mappings.search, methods=["GET"]),
    Route("/desk/mappings", mappings.set_one, methods=["POST"]),
    Route("/desk/mappings/export", mappings.export, methods=["GET"]),
    Route("/desk/mappings/import", mappings.import_, methods=["POST"]),
    Route("/desk/providers", looking.providers, methods=["GET"]),
    Route("/desk/providers/{name}", looking.provider, methods=["GET"]),
    Route("/desk/connections", looking.connections, methods=["GET"]),
    Route("/desk/connections/{id}", looking.connection, methods=["GET"]),
    Route("/desk/connections/{id}/rotate", mending.rotate, methods=["POST"]),
    Route("/desk/connections/{id}/verify", mending.verify, methods=["POST"]),
    Route("/desk/alerts", alerts.listed, methods=["GET"]),
    Route("/desk/alerts", alerts.add, methods=["POST"]),
    Route("/desk/alerts/{id}/test", alerts.test, methods=["POST"]),
    Route("/desk/alerts/{id}/remove", alerts.remove, methods=["POST"]),
    Route("/desk/audit", audit.listed, methods=["GET"]),
    Route("/desk/audit/export", audit.export, methods=["POST"]),
    Mount("/desk/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static"),
]


def desk(service: Service) -> ASGIApp:
    """The ASGI application of everything under /desk."""
    pages = Starlette(
        routes=ROUTES,
        exception_handlers={HTTPException: _http, StoreUnavailable: _store_away, Exception: _fault},
    )
    pages.state.service = service
    pages.state.tries = sessions.Tries()
    pages.state.poster = poster_for(service.settings.alert_networks)
    pages.state.live = live.Live(lambda: looking.live_overview(service))
    pages.state.jobs = Jobs(service.journal, service.replay, sessions.now)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        static = scope["path"].startswith("/desk/static/")
        # Nothing that is stored has a NUL in it, and servers take none in a question.
        path, query = scope["path"].replace("\x00", "\ufffd"), scope["query_string"].replace(b"%00", b"")
        scope = {**scope, "path": path, "query_string": query}
        kept = b"public, max-age=300" if static else b"no-store"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [*HEADERS, (b"cache-control", kept)]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await pages(scope, receive, send_with_headers)

    return app


def _said(status: int, title: str, text: str, headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse(rendered("problem.html", visit=None, path="", title=title, text=text), status, headers)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = {404: "Nothing here", 405: "Not this way", 400: "Not understood"}.get(error.status_code, "Not possible")
    return _said(error.status_code, title, "Go back, or begin at the overview.", dict(error.headers or {}))


async def _store_away(_: Request, __: Exception) -> Response:
    return _said(503, "The database is away", "Nothing was done. Try again in a few seconds.", {"retry-after": "5"})


async def _fault(request: Request, error: Exception) -> Response:
    _log.error("page_failed", path=request.scope["route"].path if "route" in request.scope else "", exc_info=error)
    return _said(500, "Tiffin failed on this page", "The log says where.")
