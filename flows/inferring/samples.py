"""Samples of requests: bodies with what is known of their requests, and the format that each has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine.decoding import decode
from engine.failures import Refusal
from engine.messages import Request
from engine.model import Feed
from flows.inferring.sketches import Uninferrable

MEDIA_TYPES = {
    "json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv", "tsv": "text/tab-separated-values",
    "form": "application/x-www-form-urlencoded", "xml": "application/xml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
ENDINGS = {"json": "json", "ndjson": "ndjson", "jsonl": "ndjson", "csv": "csv", "tsv": "tsv", "xml": "xml",
           "xlsx": "xlsx", "form": "form"}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One request of the provider's. `name` is a file's or an entry's; headers may be unknown."""

    name: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"
    path: str = ""


@dataclass(frozen=True)
class Decoded:
    """A sample as expressions see it."""

    sample: Sample
    format: str
    document: Any


def decoded(sample: Sample) -> Decoded:
    """By Content-Type or the name's ending where they say it, else by the first format that reads it.

    Raises Uninferrable with what each of them says.
    """
    reasons = []
    for form in _formats(sample):
        try:
            document = decode(_feed(form), _request(sample, form))
        except Refusal as refusal:
            reasons.append(f"{form}: {refusal.failure.message}")
            continue
        if form in ("csv", "tsv") and not _tabular(document):
            reasons.append(f"{form}: it has no header with two columns and a row.")
            continue
        return Decoded(sample, form, document)
    raise Uninferrable(f"{sample.name} cannot be read. {' '.join(reasons)}")


def _formats(sample: Sample) -> Iterable[str]:
    said = next((value for name, value in sample.headers if name.lower() == "content-type"), "")
    by_type = next((form for form, kind in MEDIA_TYPES.items() if said.lower().startswith(kind)), "")
    ending = ENDINGS.get(sample.name.rpartition(".")[2].lower(), "")
    if by_type or ending:
        return (by_type or ending,)
    start = sample.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"["):
        return ("json", "ndjson")
    return (
        ("xml",) if start == b"<" else ("json", "form", "tsv", "csv") if b"=" in sample.body else ("json", "tsv", "csv")
    )


def _tabular(document: Any) -> bool:
    rows = document.get("rows") if isinstance(document, dict) else None
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and len(rows[0]) > 1


def _feed(form: str) -> Feed:
    return Feed.model_validate(
        {"accept": [form], "idempotency": "none", "commands": {"x": {}}}, context={"lenient": True}
    )


def _request(sample: Sample, form: str) -> Request:
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in sample.headers
               if name.lower() == "content-type"] or [(b"content-type", MEDIA_TYPES[form].encode())]  # fmt: skip
    return Request("POST", "https://tiffin.example/", "/", (), tuple(headers), sample.body, "", datetime.now(UTC))
