"""Drift's part in the process that works for it: a batch of deliveries beside what is known of their feeds."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from engine.decoding import decode
from engine.decoding.media_types import format_of, headers_of, media_type_of
from engine.failures import Refusal
from engine.messages import Request
from engine.model import Feed, Provider
from engine.payload_paths import steps
from engine.problems import ProviderFileError
from flows.golden import read_yaml
from flows.journal import database_url, objects_of, secret_box
from flows.observing.comparing import Drift, Known, drifts
from flows.observing.enumerations import Named, named_by_file
from flows.observing.masking import Steps, hidden_paths
from flows.observing.sampling import sample
from flows.observing.shapes import Shape, from_json, shape_of
from flows.providers import load_text
from flows.samples import golden_folder, samples_of
from flows.sealing import opened
from flows.settings import Settings
from stores import backtests, specs
from stores import drifts as noted
from stores.database import open_database
from stores.deliveries import StoredDelivery
from stores.secrets import SecretKeyError

LEARNED: Final = 200
"""So many payloads of a feed without golden cases are learned before anything is new."""
_MOST_FEEDS: Final = 200


class Found(NamedTuple):
    """A drift to note, `times` times in this batch; `shown` is JSON, to be sealed, "" for one that was noted before."""

    provider: str
    feed: str
    kind: str
    path: str
    value: str
    times: int
    tenant: str
    connection: str
    shown: bytes


class Learned(NamedTuple):
    """What is known of a feed without golden cases, after so many payloads."""

    provider: str
    feed: str
    seen: int
    shape: dict[str, Any]


@dataclass(frozen=True)
class Looked:
    """What a batch came to. `looked` counts payloads by what was done with them."""

    found: tuple[Found, ...] = ()
    learned: tuple[Learned, ...] = ()
    looked: Counter[str] = field(default_factory=Counter)


@dataclass
class _FeedKnown:
    """What is known of a feed. `learning` None: golden cases show it."""

    shape: Shape
    named: Named
    hidden: tuple[Steps, ...]
    ignored: tuple[Steps, ...]
    feed: Feed
    learning: int | None


class Drifting:
    """Compares payloads with golden cases, or with what the first payloads of a feed showed."""

    def __init__(self, settings: Settings) -> None:
        import schemas

        self._settings, self._canon = settings, schemas.canon()
        self._database, self._objects = open_database(database_url(settings)), objects_of(settings)
        self._box = secret_box(settings)
        self._providers: dict[str, Provider | None] = {}
        self._feeds: dict[tuple[str, str], tuple[object, _FeedKnown]] = {}
        self._chance = random.Random(os.urandom(16))  # noqa: S311 what is replaced cannot be found out from it

    def look(self, ids: list[str]) -> Looked:
        """The payloads of these deliveries. Nothing is written."""
        looked: Counter[str] = Counter()
        by_feed: dict[tuple[str, str], list[StoredDelivery]] = {}
        with self._database.engine.connect() as transaction, transaction.begin():
            for stored in backtests.payloads_of(transaction, self._objects, ids):
                if isinstance(stored, tuple):
                    looked[stored[1].code] += 1
                else:
                    by_feed.setdefault((stored.provider, stored.feed), []).append(stored)
            found: list[Found] = []
            learned: list[Learned] = []
            for (provider, feed), deliveries in by_feed.items():
                known = self._known(transaction, provider, feed, deliveries[-1].spec_hash)
                if known is None:
                    looked["no_such_feed"] += len(deliveries)
                    continue
                noted_before = Known(noted.known(transaction, provider, feed))
                before = known.learning
                found += self._in_feed(known, noted_before, deliveries, looked)
                if known.learning is not None and known.learning != before:
                    learned.append(Learned(provider, feed, known.learning, known.shape.to_json()))
        return Looked(tuple(found), tuple(learned), looked)

    def _in_feed(
        self, known: _FeedKnown, before: Known, deliveries: list[StoredDelivery], looked: Counter[str]
    ) -> list[Found]:
        found: dict[tuple[str, str, str], Found] = {}
        for stored in deliveries:
            request, document = self._document(known.feed, stored)
            if document is None or request is None:
                looked["unreadable"] += 1
                continue
            looked["looked"] += 1
            if known.learning is not None and known.learning < LEARNED:
                known.shape.learn(document)
                known.learning += 1
                continue
            for drift in drifts(known.shape, document, known.named, known.hidden, known.ignored):
                told, first = before.noted(drift)
                key = (told.kind, told.path, told.value)
                if key in found:
                    found[key] = found[key]._replace(times=found[key].times + 1)
                    continue
                shown = self._shown(known, stored, request, document, told, drift) if first else b""
                found[key] = Found(
                    stored.provider, stored.feed, *key, 1, stored.tenant, stored.connection, shown
                )  # fmt: skip
        return list(found.values())

    def _document(self, feed: Feed, stored: StoredDelivery) -> tuple[Request | None, Any]:
        try:
            request = opened(stored, self._box.unseal)
            return request, decode(feed, request)
        except (Refusal, SecretKeyError, ValueError):
            return None, None

    # ---- what is known ----

    def _known(self, transaction: Any, provider: str, feed: str, spec_hash: str) -> _FeedKnown | None:
        model = self._provider(transaction, spec_hash)
        if model is None or feed not in model.feeds:
            return None
        root = golden_folder(self._settings.providers / f"{provider}.yaml")
        marks = (spec_hash, _marks(root, provider, feed))
        held = self._feeds.get((provider, feed))
        if held is not None and held[0] == marks and held[1].learning is None:
            return held[1]
        made = self._made(transaction, model, feed, root)
        if len(self._feeds) >= _MOST_FEEDS:
            self._feeds.clear()
        self._feeds[provider, feed] = (marks, made)
        return made

    def _made(self, transaction: Any, model: Provider, name: str, root: Path | None) -> _FeedKnown:
        feed = model.feeds[name]
        sound, faulty = samples_of(root, model) if root is not None else ({}, {})
        # Sound ones first: samples take the first values that were shown.
        shown = [*sound.get(name, ()), *faulty.get(name, ())]
        learning, shape = None, shape_of(shown)
        if not shown:
            learning, told = noted.learned(transaction, model.provider, name)
            shape = from_json(told) if told else Shape()
        ignored = tuple(steps(one.path) for one in feed.ignore)
        return _FeedKnown(shape, named_by_file(model, feed), hidden_paths(model), ignored, feed, learning)

    def _provider(self, transaction: Any, spec_hash: str) -> Provider | None:
        if spec_hash not in self._providers:
            if len(self._providers) >= _MOST_FEEDS:
                self._providers.clear()
            text = specs.text(transaction, spec_hash)
            try:
                made = load_text(text, self._canon).interpreter.provider if text is not None else None
            except ProviderFileError:
                made = None
            self._providers[spec_hash] = made
        return self._providers[spec_hash]

    # ---- what is told ----

    def _shown(
        self, known: _FeedKnown, stored: StoredDelivery, request: Request, document: Any, told: Drift, drift: Drift
    ) -> bytes:
        headers = headers_of(request.headers)
        name = format_of(tuple(known.feed.formats), headers, request.body)
        plain = request.body if not headers.encoding else orjson.dumps(document)
        feed = known.feed
        body = sample(
            name, plain, document, drift, known.shape, known.hidden, feed.unwrap, self._chance, feed.formats[name]
        )
        if body and not self._shows(known, request, body, drift):
            body = b""
        return orjson.dumps(
            {
                "says": told.says(stored.feed), "what": told.kind, "path": told.path, "value": told.value,
                "at": datetime.now(UTC).isoformat(timespec="seconds"), "format": name,
                "content_type": media_type_of(name), "like": self._like(stored, request), "sample": body.decode(),
            }
        )  # fmt: skip

    def _shows(self, known: _FeedKnown, request: Request, body: bytes, drift: Drift) -> bool:
        """Whether the sample shows what it is the sample of."""
        plain = tuple(pair for pair in request.headers if pair[0] != b"content-encoding")
        made = Request(
            request.method, request.url, request.path, (), plain, body, request.peer, request.received_at
        )  # fmt: skip
        try:
            document = decode(known.feed, made)
        except Refusal:
            return False
        found = drifts(known.shape, document, known.named, known.hidden, known.ignored)
        return any((one.kind, one.path) == (drift.kind, drift.path) for one in found)

    def _like(self, stored: StoredDelivery, request: Request) -> str:
        """The golden case whose headers are most like the request's: from there a new case has its headers."""
        root = golden_folder(self._settings.providers / f"{stored.provider}.yaml")
        folder = (root or Path()) / stored.provider / stored.feed
        given = {(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers}
        best, most = "", -1
        for file in sorted(folder.glob("*/request.yaml")) if root is not None else ():
            said = read_yaml(file)
            if said.get("sign", True) is False or said.get("again"):
                continue
            same = sum((name.lower(), str(value)) in given for name, value in (said.get("headers") or {}).items())
            if same > most:
                best, most = file.parent.name, same
        return best


def _marks(root: Path | None, provider: str, feed: str) -> object:
    """What changes when a golden case comes or goes."""
    if root is None:
        return None
    try:
        with os.scandir(root / provider / feed) as entries:
            return sorted((one.name, one.stat().st_mtime_ns) for one in entries)
    except OSError:
        return None
