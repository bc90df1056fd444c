"""The views over HTTP, with ETags: a reader that has the newest is told so in a few bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flows import views
from flows.service import Service
from flows.views import PAGE, TenantNeeded, UnknownId
from server.problem_documents import problem
from stores.view_sources import Views

MOST = 2000


class _BadParameter(Exception):
    """A query parameter that cannot be read."""


async def availability(request: Request) -> Response:
    store, tenant = request.path_params["id"], request.query_params.get("tenant", "")

    def read(stored: Views) -> Any:
        kind, _, id = request.query_params.get("after", "").partition(":")
        return views.availability(stored, store, tenant, (kind, id), _limit(request))

    return await _answer(request, read)


async def menu(request: Request) -> Response:
    store, tenant = request.path_params["id"], request.query_params.get("tenant", "")
    after = request.query_params.get("after", "")
    return await _answer(request, lambda stored: views.menu(stored, store, tenant, after, _limit(request)))


async def item(request: Request) -> Response:
    id, tenant = request.path_params["id"], request.query_params.get("tenant", "")
    return await _answer(request, lambda stored: views.item(stored, id, tenant))


ROUTES = [
    Route("/v1/stores/{id}/availability", availability, methods=["GET"]),
    Route("/v1/stores/{id}/menu", menu, methods=["GET"]),
    Route("/v1/items/{id}", item, methods=["GET"]),
]


async def _answer(request: Request, read: Callable[[Views], Any]) -> Response:
    service: Service = request.app.state.service
    try:
        found = await service.views.read(read)
    except UnknownId:
        return problem(404, "entity_unknown", "No view knows this id.")
    except TenantNeeded as error:
        return problem(409, "tenant_needed", f"Several tenants have it; add ?tenant= with one of {error}.")
    except _BadParameter as error:
        return problem(400, "parameter_invalid", str(error))
    return answered(request, found)


def answered(request: Request, found: Any) -> Response:
    """What was found as JSON with its ETag, or that it has not changed since."""
    body = orjson.dumps(found)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if _has(request, tag):
        return Response(status_code=304, headers={"etag": tag})
    return Response(body, headers={"etag": tag}, media_type="application/json")


def _has(request: Request, tag: str) -> bool:
    """Whether If-None-Match names the tag; compared weakly (RFC 9110, §13.1.2)."""
    given = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return tag in given or "*" in given


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(PAGE))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST):
        raise _BadParameter(f"limit is a whole number from 1 to {MOST}.")
    return int(text)
