"""The mappings' pages: search, set, export and import with a preview of what changes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from engine.messages import Ref
from flows import desk_mappings
from flows.desk_mappings import MappingsRefused
from server.desk.sessions import MOST_FORM_BYTES, Visit, needs, now
from stores import mappings

_SHOWN = 500
_EXPORTED = 1_000_000


def _narrowed(query: Any) -> dict[str, str]:
    return {name: query.get(name, "").replace("\x00", "")[:500] for name in ("tenant", "provider", "kind")}


@needs("viewer")
async def search(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, told: str = "", status: int = 200) -> Response:
    query = visit.request.query_params
    text, narrowed = query.get("q", "").replace("\x00", "")[:500], _narrowed(query)
    found = await visit.read(desk_mappings.search, text, **narrowed)
    missing = await visit.read(mappings.missing, narrowed["tenant"] or None, narrowed["provider"] or None)
    return visit.page(
        "mappings.html", status, found=found, missing=missing[:200], text=text, narrowed=narrowed, told=told,
        kinds=desk_mappings.KINDS, done=query.get("done", ""),
    )  # fmt: skip


@needs("support")
async def set_one(visit: Visit) -> Response:
    names = ("tenant", "provider", "kind", "external_id", "canonical_id")
    given = {name: visit.field(name)[:500] for name in names}
    if empty := [name for name in names if not given[name]]:
        return await _page(visit, f"Nothing is mapped: {', '.join(empty)} is empty.", 400)
    if given["kind"] not in desk_mappings.KINDS:
        return await _page(visit, "Nothing is mapped: there is no such kind.", 400)
    store = visit.field("store")
    within = await visit.read(mappings.external_store, given["tenant"], given["provider"], store) if store else ""
    ref = Ref(given["kind"], within, given["external_id"])
    await visit.write(
        desk_mappings.set_one, given["tenant"], given["provider"], ref, given["canonical_id"], who=visit.session.who,
        why=visit.field("why"), at=now(),
    )  # fmt: skip
    return RedirectResponse("/desk/mappings?done=Mapped.", 303)


@needs("viewer")
async def export(visit: Visit) -> Response:
    narrowed = _narrowed(visit.request.query_params)
    found = await visit.read(desk_mappings.search, "", **narrowed, limit=_EXPORTED)
    headers = {"content-disposition": 'attachment; filename="mappings.csv"'}
    return Response(desk_mappings.exported(found), headers=headers, media_type="text/csv; charset=utf-8")


@needs("support")
async def import_(visit: Visit) -> Response:
    """Shows what a table would change; with `do=import` it is taken."""
    try:
        text = await _text(visit)
        rows = desk_mappings.parsed(text)
    except MappingsRefused as error:
        return await _page(visit, f"Nothing is imported. {error}", 400)
    if visit.field("do") != "import":
        changes = await visit.read(desk_mappings.previewed, rows)
        told = [one for one in changes if one.kind != "same"]
        return visit.page(
            "import.html", changes=told[:_SHOWN], more=max(0, len(told) - _SHOWN), text=text,
            counts=Counter(one.kind for one in changes),
        )  # fmt: skip
    changed = await visit.write(desk_mappings.imported, rows, who=visit.session.who, why=visit.field("why"), at=now())
    return RedirectResponse(f"/desk/mappings?done={len(rows)}+rows:+{changed}+mapped+anew.", 303)


async def _text(visit: Visit) -> str:
    file = visit.form.get("file")
    if not isinstance(file, UploadFile):
        return str(visit.form.get("csv", ""))
    body = await file.read(MOST_FORM_BYTES + 1)
    if len(body) > MOST_FORM_BYTES:
        raise MappingsRefused("The file is too large: import it with tiffin mapping import.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MappingsRefused("The file is not UTF-8.") from None
