"""Whether the process runs, and whether it can take deliveries."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flows.service import Service


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """503 where the database is away; each dependency that is away is named. The others may be: commands then wait
    in the outbox, each process counts its limits for itself, and large bodies stay in the database."""
    service: Service = request.app.state.service
    dependencies = await service.dependencies()
    ready = dependencies["database"] == "ok"
    return JSONResponse(
        {"status": "ready" if ready else "not ready", "dependencies": dependencies}, 200 if ready else 503
    )
