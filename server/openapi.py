"""openapi.json, generated from the routes and the loaded provider files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.decoding.media_types import media_type_of
from engine.model import Feed, Handshake, Provider
from engine.routes import PLACEHOLDER
from engine.search_terms import KINDS

_VERDICT_STATUS = (("accepted", 200), ("unauthorized", 401), ("busy", 503), ("unavailable", 503))


def feed_url(provider: Provider, name: str, feed: Feed, connection: str = "") -> str:
    """The path at which a feed is posted to; with a connection's id, or a template, in the path."""
    return url_at(provider, feed.path or name, connection)


def url_at(provider: Provider, tail: str, connection: str = "") -> str:
    """The path with this last part."""
    base = f"/v1/integrations/{provider.family}/{provider.provider}"
    if connection:
        return f"{base}/c/{connection}/{tail}"
    if provider.family == "seller" and tail == "import":
        return f"{base}/import"
    return f"{base}/webhooks/{tail}"


def openapi(providers: Iterable[Provider], public_url: str, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for provider in providers:
        for name, feed in provider.feeds.items():
            operation = _operation(provider, name, feed)
            for connection in ("", "{connection}"):
                _add(paths, feed_url(provider, name, feed, connection), feed.method, operation)
        for name, one in provider.handshakes.items():
            for tail, id_ in _handshake_places(provider, name, one):
                for connection in ("", "{connection}"):
                    operation = _handshake_operation(provider, name, one, id_)
                    _add(paths, url_at(provider, tail, connection), one.method, operation)
    paths.update(_fixed_paths())
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tiffin", "version": version},
        "servers": [{"url": public_url}],
        "paths": paths,
        "components": {
            "schemas": {"Receipt": _receipt_schema(), "Job": _job_schema()},
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
        },
    }


def _add(paths: dict[str, Any], url: str, method: str, operation: dict[str, Any]) -> None:
    """One operation at its URL. Where two have one URL and method, the first stands: what differs is the body."""
    names = PLACEHOLDER.findall(url)
    told = {**operation, "operationId": f"{operation['operationId']}{'_connection' * ('connection' in names)}"}
    if names:
        described = {"connection": "The id of the connection."}
        told["parameters"] = [_path_parameter(n, described.get(n, "A part of the message.")) for n in names]
    paths.setdefault(url, {}).setdefault(method.lower(), told)


def _handshake_places(provider: Provider, name: str, one: Handshake) -> list[tuple[str, str]]:
    """(last part of the URL, operation id) of each URL that it may be sent to."""
    if one.path is not None:
        return [(one.path, f"{provider.provider}_{name}")]
    return [(feed.path or key, f"{provider.provider}_{name}_at_{key}") for key, feed in provider.feeds.items()]


def _handshake_operation(provider: Provider, name: str, one: Handshake, id_: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": id_.replace("-", "_"),
        "tags": [provider.title],
        "summary": f"{provider.title}: handshake {name}",
        "responses": {
            str(one.reply.status): {"description": "The answer to the handshake."},
            "400": {"description": "It cannot be answered."},
            **({} if one.auth == "none" else {"401": {"description": "It does not verify."}}),
        },
    }
    if one.format != "none":
        content = {one.content_type or media_type_of(one.format): {"schema": {}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation(provider: Provider, name: str, feed: Feed) -> dict[str, Any]:
    content: dict[str, Any] = {media_type_of(one): {"schema": {}} for one in feed.formats if one != "none"}
    operation: dict[str, Any] = {
        "operationId": f"{provider.provider}_{name}".replace("-", "_"),
        "tags": [provider.title],
        "summary": f"{provider.title}: {name}",
        "responses": {
            **_replies(provider, feed),
            "404": {"description": "No feed has this URL."},
            "413": {"description": "The body is too large."},
            **_as_job(name, feed),
        },
    }
    if content and feed.method != "GET":
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _as_job(name: str, feed: Feed) -> dict[str, Any]:
    """The answer to a file: what is posted to `import` above the feed's limit becomes a job."""
    if (feed.path or name) != "import":
        return {}
    job = {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}}
    return {"202": {"description": "The file became an import job.", "content": job}}


def _replies(provider: Provider, feed: Feed) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for verdict, status in _VERDICT_STATUS:
        spec = getattr(feed.replies, verdict) or getattr(provider.replies, verdict)
        by_status.setdefault(str(spec.status if spec else status), []).append(verdict)
    return {status: {"description": ", ".join(verdicts)} for status, verdicts in by_status.items()}


def _fixed_paths() -> Mapping[str, Any]:
    ok = {"200": {"description": "OK"}}
    guarded = {
        "responses": {**ok, "401": {"description": "The admin key is needed."}},
        "security": [{"admin": []}],
    }
    receipt = {"application/json": {"schema": {"$ref": "#/components/schemas/Receipt"}}}
    return {
        "/v1/deliveries/{id}": {
            "get": {
                "summary": "The receipt of a delivery",
                "parameters": [_path_parameter("id", "The delivery's id.")],
                "responses": {
                    "200": {"description": "The receipt", "content": receipt},
                    "404": {"description": "There is no such delivery."},
                },
            }
        },
        "/v1/stores/{id}/availability": {"get": _view("What can be sold in a store", "The store's id.", paged=True)},
        "/v1/stores/{id}/menu": {"get": _view("A store's menu and status", "The store's id.", paged=True)},
        "/v1/items/{id}": {"get": _view("An item, variant or addon in every store", "Its id.")},
        "/v1/search": {"get": _search()},
        **_imports(guarded),
        "/healthz": {"get": {"summary": "Whether the process runs", "responses": ok}},
        "/readyz": {
            "get": {
                "summary": "Whether it can take deliveries",
                "responses": {**ok, "503": {"description": "What it depends on is away."}},
            }
        },
        "/metrics": {"get": {"summary": "Prometheus metrics", **guarded}},
        "/openapi.json": {"get": {"summary": "This document", **guarded}},
        "/asyncapi.json": {"get": {"summary": "What stands on the bus, as AsyncAPI 3", **guarded}},
        "/": {"get": {"summary": "Providers, feeds and counts", **guarded}},
    }


def _imports(guarded: Mapping[str, Any]) -> dict[str, Any]:
    """Import jobs: who holds a job's id may read it."""

    def read(summary: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "summary": summary,
            "parameters": [_path_parameter("id", "The job's id.")],
            "responses": {
                "200": {"description": "OK", "content": {media_type: {"schema": schema}}},
                "404": {"description": "There is no such job."},
            },
        }

    job = {"$ref": "#/components/schemas/Job"}
    ended = {**guarded["responses"], "404": {"description": "There is no such job."}}
    del ended["200"]
    return {
        "/v1/imports": {"get": {"summary": "Import jobs, the newest first", **guarded}},
        "/v1/imports/{id}": {"get": read("How an import job does", "application/json", job)},
        "/v1/imports/{id}/events": {
            "get": read("The same as server-sent events, until it ends", "text/event-stream", {"type": "string"})
        },
        "/v1/imports/{id}/failures.csv": {"get": read("Its failed rows", "text/csv", {"type": "string"})},
        "/v1/imports/{id}/cancel": {
            "post": {
                "summary": "Ends a job at its next chunk",
                "parameters": [_path_parameter("id", "The job's id.")],
                "responses": {
                    "202": {"description": "It will end.", "content": {"application/json": {"schema": job}}},
                    "409": {"description": "It has ended."},
                    **ended,
                },
                "security": guarded["security"],
            }
        },
    }


def _job_schema() -> dict[str, Any]:
    text, whole, number = {"type": "string"}, {"type": "integer"}, {"type": "number"}
    states = ["waiting", "running", "cancelling", "done", "partial", "duplicate", "failed", "cancelled"]
    return {
        "type": "object",
        "required": ["id", "state", "rows", "failed", "commands"],
        "properties": {
            "id": text,
            "state": {"type": "string", "enum": states},
            **dict.fromkeys(("provider", "feed", "name", "format", "sha256"), text),
            **dict.fromkeys(("bytes", "rows", "failed", "commands"), whole),
            "done": {**number, "description": "The part of the file that is read, from 0 to 1."},
            "rate": {**number, "description": "Rows a second."},
            "seconds_left": {"type": ["number", "null"]},
            "created_at": {"type": "string", "format": "date-time"},
            "finished_at": {"type": ["string", "null"], "format": "date-time"},
            "problem": {"type": ["object", "null"], "description": "Why the job as a whole ended as it did."},
            "links": {"type": "object"},
        },
    }


def _view(summary: str, id_: str, *, paged: bool = False) -> dict[str, Any]:
    """The operation of a view; all ids are canonical ones."""
    more = [
        ("limit", "The most entries of a page, up to 2000.", {"type": "integer"}),
        ("after", "The `next` of the page before.", {"type": "string"}),
    ]
    query = [("tenant", "Needed where several tenants have the id.", {"type": "string"}), *(more if paged else ())]
    return {
        "summary": summary,
        "parameters": [
            _path_parameter("id", id_),
            *({"name": n, "in": "query", "description": d, "schema": schema} for n, d, schema in query),
            {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {
                "description": "OK",
                "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "304": {"description": "Nothing has changed since that ETag."},
            "400": {"description": "A parameter cannot be read."},
            "401": {"description": "The admin key is needed."},
            "404": {"description": "No view knows the id."},
            "409": {"description": "Several tenants have it: say which."},
        },
        "security": [{"admin": []}],
    }


def _search() -> dict[str, Any]:
    text = {"type": "string"}
    query = [
        ("q", "Words, or beginnings of words: of names, SKUs, barcodes, brands, descriptions and tags.", True, text),
        ("tenant", "Needed where there are several.", False, text),
        ("store", "Only of this store, or only of this merchant what holds in all its stores.", False, text),
        ("kind", "Only of this kind.", False, {"enum": list(KINDS)}),
        ("limit", "The most hits of a page, up to 100.", False, {"type": "integer"}),
        ("after", "The `next` of the page before.", False, text),
    ]
    view = _view("Entities of the catalogue by words, the best first", "")
    return {
        **view,
        "parameters": [
            *({"name": n, "in": "query", "description": d, "required": needed, "schema": schema}
              for n, d, needed, schema in query),
            view["parameters"][-1],
        ],
        "responses": {
            **view["responses"],
            "404": {"description": "No index is kept here."},
            "409": {"description": "There are several tenants: say which."},
            "503": {"description": "The index does not answer."},
        },
    }  # fmt: skip


def _path_parameter(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def _receipt_schema() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["id", "state", "received_at", "commands"],
        "properties": {
            "id": text,
            "state": text,
            "received_at": {"type": "string", "format": "date-time"},
            "concluded_at": {"type": ["string", "null"], "format": "date-time"},
            "attempt": {"type": "integer"},
            "commands": {"type": "integer"},
            "duplicate_of": text,
            "results": {
                "type": "array",
                "description": "The elements that have something to say.",
                "items": {
                    "type": "object",
                    "properties": {
                        "element": {"type": "integer"},
                        "ok": {"type": "boolean"},
                        "problems": {"type": "array"},
                    },
                },
            },
        },
    }
