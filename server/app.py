"""The application: webhooks on a bare path, everything else on Starlette's routes."""

from __future__ import annotations

import re
from importlib import metadata

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.journal import StoreUnavailable
from flows.lean import settle
from flows.logging import logger
from flows.service import Service
from server import jobs, search, views
from server.admin import AdminKey
from server.files import Files
from server.front_page import front_page
from server.health import healthz, readyz
from server.openapi import openapi
from server.problem_documents import problem
from server.traced import traced
from server.webhooks import PREFIX, Webhooks

_log = logger("tiffin.server")
_DELIVERY_ID = re.compile(r"[0-9a-f]{44}\Z")
_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(service: Service) -> ASGIApp:
    """The ASGI application of a service. Its lifespan starts and stops the service."""
    settings = service.settings

    pages = Starlette(
        routes=[
            Route("/", front, methods=["GET"]),
            Route("/v1/deliveries/{id}", delivery, methods=["GET"]),
            *views.ROUTES,
            *search.ROUTES,
            *jobs.ROUTES,
            Route("/healthz", healthz, methods=["GET"]),
            Route("/readyz", readyz, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
            Route("/openapi.json", openapi_document, methods=["GET"]),
            Route("/asyncapi.json", asyncapi_document, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _http_problem, StoreUnavailable: _store_away, Exception: _fault},
    )
    pages.state.service = service
    guarded = AdminKey(pages, service.admin_keys)
    webhooks: ASGIApp | None = None
    desk: ASGIApp | None = None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal webhooks, desk
        if scope["type"] == "lifespan":
            await _lifespan(service, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(PREFIX):
            if webhooks is None:
                own = Webhooks(
                    service.receiver,
                    service.metrics,
                    public_url=settings.public_url,
                    trusted_proxies=settings.trusted_proxies,
                    body_timeout=settings.body_timeout,
                    files=Files(service),
                )
                webhooks = traced(own, settings)
            await webhooks(scope, receive, send)
        elif scope["type"] == "http" and (scope["path"] == "/desk" or scope["path"].startswith("/desk/")):
            if desk is None:
                # Imported here because a server that nobody looks at has no use for it.
                from server.desk.app import desk as desk_of

                desk = desk_of(service)
            await desk(scope, receive, send)
        else:
            await guarded(scope, receive, send)

    return app


async def _lifespan(service: Service, receive: Receive, send: Send) -> None:
    await receive()
    try:
        await service.start()
    except Exception as error:
        # Why is said by whoever serves, in one line; the error's own text may quote what is secret.
        _log.error("not_started", exc_info=error)
        await send({"type": "lifespan.startup.failed", "message": ""})
        return
    settle()
    settings = service.settings
    _log.info("serving", url=settings.public_url, data=str(settings.data), providers=sorted(service.providers))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await service.stop()
    await send({"type": "lifespan.shutdown.complete"})


async def front(request: Request) -> Response:
    service: Service = request.app.state.service
    providers = [loaded.interpreter.provider for loaded in service.providers.values()]
    page = front_page(
        providers,
        await service.connection_counts(),
        await service.state_counts(),
        await service.dependencies(),
        service.settings.public_url,
    )
    return HTMLResponse(page)


async def delivery(request: Request) -> Response:
    """The receipt. Its id is 128 random bits: who holds it may read it."""
    service: Service = request.app.state.service
    wanted = request.path_params["id"]
    found = await service.journal.receipt(wanted) if _DELIVERY_ID.match(wanted) else None
    if found is None:
        return problem(404, "delivery_unknown", "There is no delivery with this id.")
    return JSONResponse(found)


async def metrics(request: Request) -> Response:
    service: Service = request.app.state.service
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def openapi_document(request: Request) -> Response:
    service: Service = request.app.state.service
    providers = (loaded.interpreter.provider for loaded in service.providers.values())
    return JSONResponse(openapi(providers, service.settings.public_url, _version()))


async def asyncapi_document(request: Request) -> Response:
    # Imported here because few ask for it and every process would keep it.
    from schemas.asyncapi import asyncapi

    service: Service = request.app.state.service
    return JSONResponse(asyncapi(_version(), service.settings.kafka_bootstrap))


def _version() -> str:
    try:
        return metadata.version("tiffin")
    except metadata.PackageNotFoundError:
        return "0"


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    return problem(error.status_code, code, error.detail, dict(error.headers or {}))


async def _store_away(_: Request, __: Exception) -> Response:
    return problem(503, "store_unavailable", "The database is away.", {"retry-after": "5"})


async def _fault(request: Request, error: Exception) -> Response:
    _log.error("page_failed", path=request.scope["route"].path if "route" in request.scope else "", exc_info=error)
    return problem(500, "internal_error", "Tiffin failed on this request; the log says where.")
