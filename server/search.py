"""GET /v1/search."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flows.service import Service
from flows.views import TenantNeeded
from server.problem_documents import problem
from server.views import answered

MOST = 100
LONGEST = 500


async def search(request: Request) -> Response:
    # Imported here because a server that nobody searches has no use for it.
    from flows.searching import NothingAsked, question_of, shown
    from stores.search.index import DEEPEST, SearchAway

    service: Service = request.app.state.service
    asked = {name: request.query_params.get(name, "") for name in ("q", "tenant", "store", "kind")}
    limit, offset = _number(request, "limit", 20, 1, MOST), _number(request, "after", 0, 0, DEEPEST)
    if limit is None or offset is None:
        return _wrong(f"limit is a whole number from 1 to {MOST}; after is the `next` of the page before.")
    if len(asked["q"]) > LONGEST:
        return _wrong(f"q has at most {LONGEST} characters.")
    if not service.searches:
        return problem(404, "search_off", "Nothing keeps an index here: TIFFIN_CONSUME does not name search.")
    text, *where = asked.values()
    try:
        question = await service.journal.read(lambda c: question_of(c, text, *where, limit, offset))
        hits = await service.search(question)
        found: Any = await service.views.read(lambda views: shown(views, question, hits))
    except NothingAsked:
        return _wrong("q has no letter and no digit: say what is looked for.")
    except TenantNeeded as error:
        return problem(409, "tenant_needed", f"Several tenants are here; add ?tenant= with one of {error}.")
    except SearchAway:
        return problem(503, "search_unavailable", "The search index does not answer.", {"retry-after": "5"})
    return answered(request, found)


ROUTES = [Route("/v1/search", search, methods=["GET"])]


def _number(request: Request, name: str, default: int, least: int, most: int) -> int | None:
    text = request.query_params.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 7 and least <= int(text) <= most):
        return None
    return int(text)


def _wrong(detail: str) -> Response:
    return problem(400, "parameter_invalid", detail)
