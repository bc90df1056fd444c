"""One chunk of rows through the interpreter: what it gives, and what of it failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from engine import keys
from engine.drafting import Draft
from engine.failures import Failure, Refusal
from engine.interpreter import Interpreter
from engine.messages import Connection, IdempotencyKey, Outcome, Ref, Request
from engine.reading import Reading
from flows.importing.failed_rows import of_file, of_row
from flows.importing.occurrences import Occurrences
from flows.importing.rows import Row, Source, Spooled

CHUNK_BYTES = 4 << 20
"""A chunk ends after about so many bytes of the file, however few its rows are."""


class Part(NamedTuple):
    """The rows of a chunk. `start` is how many rows of the file stand before them, `at` how far the file is read."""

    number: int
    start: int
    rows: tuple[Row, ...]
    at: int

    @property
    def readable(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.failure is None)


class Made(NamedTuple):
    """What became of a chunk. `failures` name rows of the file; `fatal` ends the job, and nothing is written."""

    reading: Reading | None
    outcome: Outcome
    failures: tuple[Failure, ...]
    failed: int
    fatal: Failure | None = None


def parts(source: Source, file: Spooled, rows: int) -> Iterator[Part]:
    """A file's chunks in order. Raises Refusal where the file cannot be read on, behind all that could be read."""
    number = start = began = 0
    held: list[Row] = []
    refused: Refusal | None = None
    reading = iter(source.rows)
    while True:
        try:
            row = next(reading, None)
        except Refusal as error:
            row, refused = None, error
        if row is not None:
            held.append(row)
        if held and (row is None or len(held) >= rows or file.at - began >= CHUNK_BYTES):
            yield Part(number, start, tuple(held), file.at)
            number, start, began = number + 1, start + len(held), file.at
            held = []
        if row is None:
            break
    if refused is not None:
        raise refused


class Chunks:
    """The chunks of one file, interpreted in order."""

    def __init__(
        self,
        interpreter: Interpreter,
        feed: str,
        connection: Connection,
        request: Request,
        source: Source,
        job: str,
        sha256: str,
        seen: Occurrences,
    ) -> None:
        self._interpreter, self._feed, self._connection = interpreter, feed, connection
        self._request, self._source = request, source
        self._sha256, self._seen = sha256, seen
        self.key: IdempotencyKey | None = None
        self.claimant = job
        """Whose id goes into the keys of commands under a payload hash."""

    def begin(self, part: Part) -> Reading:
        """Reads the file's key off its first chunk. Raises Refusal."""
        reading = self._plain(part)
        self.key = self._key_of_file(reading)
        return reading

    def _key_of_file(self, reading: Reading) -> IdempotencyKey | None:
        key = reading.key
        if key is None or key.strategy in ("event_id", "delivery"):
            return key
        # The hash of a payload that is never held whole is that of its bytes.
        c, scope = reading.connection, reading.scope
        owner = (c.tenant, c.provider, c.id, reading.feed, scope.merchant, scope.store)
        return key._replace(text=keys.payload_hash_text(owner, {"file": self._sha256}))

    def _read(self, part: Part, without: frozenset[int] = frozenset()) -> Reading:
        """A chunk has the key of the whole file."""
        return self._plain(part, without)._replace(key=self.key)

    def _plain(self, part: Part, without: frozenset[int] = frozenset()) -> Reading:
        values = [row.value for n, row in enumerate(part.readable) if n not in without]
        document = self._source.document(values, part.number == 0)
        return self._interpreter.read_part(self._feed, document, self._request, self._connection)

    def draft(self, part: Part) -> Draft:
        """Raises Refusal."""
        reading = self._read(part)
        if reading.settled is not None:
            raise Refusal(_settled(reading.settled))
        return self._interpreter.draft(reading)

    def finish(self, part: Part, drafted: Draft, resolved: Mapping[Ref, str], delivery: str) -> Made:
        """Nothing is raised: what cannot be finished is fatal."""
        self._seen.begin()
        outcome = self._finished(drafted, resolved, delivery)
        whole = next((f for f in outcome.failures if f.element is None and not f.warning), None)
        if outcome.verdict == "parked" and whole is None and outcome.failures:
            return self._without_failed(part, outcome, resolved, delivery)
        if whole is not None and whole.code == "nothing_emitted":
            outcome, whole = outcome._replace(verdict="ignored", failures=()), None
        if drafted.refused:
            whole = next(f for f in outcome.failures if not f.warning)
        return self._made(part, drafted.reading, outcome, outcome.failures, whole)

    def _finished(self, drafted: Draft, resolved: Mapping[Ref, str], delivery: str) -> Outcome:
        return self._interpreter.finish(drafted, resolved, delivery, self.claimant, self._seen.of_rule)

    def _without_failed(self, part: Part, parked: Outcome, resolved: Mapping[Ref, str], delivery: str) -> Made:
        """A row that has to wait for a mapping would hold back its whole chunk: the others go on without it."""
        waiting = frozenset(f.element for f in parked.failures if f.element is not None and not f.warning)
        good = [n for n in range(len(part.readable)) if n not in waiting]
        self._seen.begin()
        drafted = self._interpreter.draft(self._read(part, waiting))
        outcome = self._finished(drafted, resolved, delivery) if good else Outcome("rejected")
        again = [f for f in outcome.failures if f.element is not None]
        back = [dataclasses.replace(f, element=good[f.element]) for f in again if f.element is not None]
        # Their counts are right as far as no entity stands in the chunk both with and without a mapping.
        verdict = outcome.verdict if outcome.verdict in ("accepted", "partial") else "rejected"
        verdict = "partial" if outcome.commands else verdict
        return self._made(part, drafted.reading, outcome._replace(verdict=verdict), (*parked.failures, *back), None)

    def _made(
        self,
        part: Part,
        reading: Reading,
        outcome: Outcome,
        failures: tuple[Failure, ...],
        fatal: Failure | None,
    ) -> Made:
        readable = part.readable
        if len(readable) == len(part.rows):
            places = list(range(len(readable)))
        else:
            places = [n for n, row in enumerate(part.rows) if row.failure is None]
        told = [of_file(f, readable, part.start) for f in failures]
        # An unreadable row between readable ones moves those behind it.
        told = [
            _moved(new, part.start + places[old.element])
            if old.element is not None and old.element < len(places)
            else new
            for old, new in zip(failures, told, strict=True)
        ]
        list_name = ".".join(self._source.path)
        told += [of_row(row, part.start + n, list_name) for n, row in enumerate(part.rows) if row.failure is not None]
        told.sort(key=lambda f: -1 if f.element is None else f.element)
        failed = len({f.element for f in told if f.element is not None and not f.warning})
        if failed and outcome.verdict == "accepted":
            outcome = outcome._replace(verdict="partial" if outcome.commands else "rejected")
        if failed and outcome.verdict == "ignored":
            outcome = outcome._replace(verdict="rejected")
        return Made(reading, outcome, tuple(told), failed, fatal)


def _moved(failure: Failure, index: int) -> Failure:
    if failure.element == index:
        return failure
    path = failure.path.replace(f"[{failure.element}]", f"[{index}]", 1)
    return dataclasses.replace(failure, element=index, path=path)


def _settled(outcome: Outcome) -> Failure:
    if outcome.failures:
        return outcome.failures[0]
    return Failure(
        "validation",
        "event_ignored",
        "The file's event is one that the provider file ignores.",
        "Send it with another event, or give the event commands.",
    )


def unreadable_part(part: Part) -> bool:
    """Whether none of its rows can be read: then there is no document."""
    return not part.readable


def documentless(part: Part, path: tuple[str, ...]) -> Made:
    """What a chunk comes to of which no row can be read."""
    name = ".".join(path)
    told = tuple(of_row(row, part.start + n, name) for n, row in enumerate(part.rows))
    return Made(None, Outcome("rejected"), told, len(told))
