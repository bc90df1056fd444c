"""Mappings at the support desk: what an id is likely to be, and tables of mappings with a preview of what changes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, get_args

from sqlalchemy import Connection, or_, select

from engine.messages import Ref
from engine.model import Kind
from stores import audit, mappings
from stores.mappings import Mapped
from stores.tables import entities
from stores.tables import mappings as table

COLUMNS: Final = ("tenant", "provider", "kind", "external_id", "canonical_id", "store")
KINDS: Final[tuple[str, ...]] = get_args(Kind)
MOST_ROWS: Final = 20_000
_COMPARED = 5_000
_LEAST = 40.0
_MOST_PROBLEMS = 20


class MappingsRefused(Exception):
    """A table of mappings cannot be taken; every line of the text is one problem."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A canonical id that an external one may stand for. `likeness` is from 0 to 100; `because` says what is alike."""

    canonical_id: str
    likeness: int
    because: str


@dataclass(frozen=True, slots=True)
class Change:
    """A row of a table of mappings. `before` is the canonical id that stands, "" where none does."""

    tenant: str
    provider: str
    ref: Ref
    canonical_id: str
    before: str

    @property
    def kind(self) -> str:
        """new, changed or same."""
        return "new" if not self.before else "same" if self.before == self.canonical_id else "changed"


def suggestions(connection: Connection, tenant: str, kind: str, external_id: str, limit: int = 5) -> list[Suggestion]:
    """Canonical ids of the tenant whose external ids, own ids, SKUs or names are like this one, the likest first."""
    # Imported here because it is of use to few requests.
    from rapidfuzz import fuzz, utils

    best: dict[str, Suggestion] = {}
    for canonical, text, what in _known(connection, tenant, kind):
        likeness = fuzz.WRatio(external_id, text, processor=utils.default_process)
        known = best.get(canonical)
        if likeness >= _LEAST and (known is None or likeness > known.likeness):
            best[canonical] = Suggestion(canonical, round(likeness), f"{what} {text}")
    return sorted(best.values(), key=lambda one: (-one.likeness, one.canonical_id))[:limit]


def _known(connection: Connection, tenant: str, kind: str) -> Iterable[tuple[str, str, str]]:
    """(canonical id, a text that names it, what the text is)."""
    m, e = table.c, entities.c
    mapped = select(m.canonical_id, m.external_id).where(m.tenant == tenant, m.kind == kind, m.valid_to.is_(None))
    for canonical, external in connection.execute(mapped.order_by(m.id.desc()).limit(_COMPARED)):
        yield canonical, external, "id"
        yield canonical, canonical, "canonical id"
    seen = select(e.id, e.sku).where(e.tenant == tenant, e.kind == kind, e.sku != "", e.retired.is_(False))
    for canonical, sku in connection.execute(seen.limit(_COMPARED)):
        yield canonical, sku, "SKU"


def search(
    connection: Connection, text: str, *, tenant: str = "", provider: str = "", kind: str = "", limit: int = 200
) -> list[Mapped]:
    """Mappings that hold now whose ids or stores begin with the text."""
    m = table.c
    statement = select(
        m.tenant, m.provider, m.kind, m.within, m.external_id, m.canonical_id, m.valid_from, m.source
    ).where(m.valid_to.is_(None))
    for column, value in ((m.tenant, tenant), (m.provider, provider), (m.kind, kind)):
        statement = statement.where(column == value) if value else statement
    if text:
        alike = (column.startswith(text, autoescape=True) for column in (m.external_id, m.canonical_id, m.within))
        statement = statement.where(or_(*alike))
    statement = statement.order_by(m.tenant, m.provider, m.kind, m.external_id, m.within).limit(limit)
    return [Mapped(*row) for row in connection.execute(statement)]


def set_one(
    connection: Connection, tenant: str, provider: str, ref: Ref, canonical_id: str, *, who: str, why: str, at: datetime
) -> bool:
    """Maps one id and says so in the audit. False where it stood so already."""
    changed = mappings.set_mapping(connection, tenant, provider, ref, canonical_id, at, "desk")
    if changed:
        told = {"tenant": tenant, "provider": provider, "kind": ref.kind, "store": ref.within,
                "canonical_id": canonical_id}  # fmt: skip
        audit.append(connection, at, who, "mapping.set", ref.external_id, why, told)
    return changed


def parsed(text: str) -> list[dict[str, str]]:
    """The rows of a CSV text. Raises MappingsRefused with everything that is wrong."""
    problems: list[str] = []
    rows: list[dict[str, str]] = []
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        missing = [name for name in COLUMNS[:-1] if name not in (reader.fieldnames or ())]
        if missing:
            raise MappingsRefused(f"line 1: the columns {', '.join(missing)} are missing")
        for row in reader:
            if problem := _problem_of(row):
                problems.append(f"line {reader.line_num}: {problem}")
                continue
            rows.append({name: _armed((row.get(name) or "").strip()) for name in COLUMNS})
            if len(rows) > MOST_ROWS:
                raise MappingsRefused(f"More than {MOST_ROWS} rows: import them with tiffin mapping import.")
    except csv.Error as error:
        raise MappingsRefused(f"line {reader.line_num}: this is no CSV: {error}") from None
    if problems:
        more = [f"… and {len(problems) - _MOST_PROBLEMS} more"] if len(problems) > _MOST_PROBLEMS else []
        raise MappingsRefused("\n".join(problems[:_MOST_PROBLEMS] + more))
    return rows


def _problem_of(row: Mapping[Any, Any]) -> str:
    if None in row or None in row.values():
        return "the row has another number of cells than the header"
    if empty := [name for name in COLUMNS[:-1] if not row[name].strip()]:
        return f"{', '.join(empty)} is empty"
    kind = row["kind"].strip()
    return "" if kind in KINDS else f"{kind!r} is no kind; one of {', '.join(KINDS)}"


def previewed(connection: Connection, rows: Iterable[Mapping[str, str]]) -> list[Change]:
    """What each row would change."""
    found = []
    for row in rows:
        tenant, provider, within = row["tenant"], row["provider"], row["store"]
        if within:
            within = mappings.external_store(connection, tenant, provider, within)
        ref = Ref(row["kind"], within, row["external_id"])
        m = table.c
        before = connection.scalar(
            select(m.canonical_id).where(
                m.tenant == tenant, m.provider == provider, m.kind == ref.kind, m.within == within,
                m.external_id == ref.external_id, m.valid_to.is_(None),
            )
        )  # fmt: skip
        found.append(Change(tenant, provider, ref, row["canonical_id"], before or ""))
    return found


def imported(connection: Connection, rows: list[dict[str, str]], *, who: str, why: str, at: datetime) -> int:
    """Takes all rows or none; returns how many were mapped anew."""
    changed = 0
    for one in previewed(connection, rows):
        changed += mappings.set_mapping(connection, one.tenant, one.provider, one.ref, one.canonical_id, at, "import")
    audit.append(connection, at, who, "mapping.import", "desk", why, {"rows": len(rows), "changed": changed})
    return changed


def exported(found: Iterable[Mapped]) -> str:
    """Mappings as CSV that imports again. A cell that a spreadsheet would take for a formula begins with '."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in found:
        writer.writerow(
            [
                defused(cell)
                for cell in (one.tenant, one.provider, one.kind, one.external_id, one.canonical_id, one.within)
            ]
        )
    return out.getvalue()


def _armed(cell: str) -> str:
    """A cell as it was before `defused`."""
    return cell[1:] if cell.startswith("'") and defused(cell[1:]) == cell else cell


def defused(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
