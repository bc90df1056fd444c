"""Promoted revisions: which text of a provider serves, that of the folder's file or one that was promoted over it.

Files stay the source of truth. A promotion holds over the exact text that it was promoted over: where the folder has
another one, that serves, and the promotion is settled: a process that serves it goes on until its own folder changes,
one that starts anew serves the file. So a folder can be rolled out host by host, and a file that is brought back holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from engine.places import Place
from engine.problems import Problem, ProviderFileError
from flows.providers import LoadedProvider
from flows.rounds import Log
from stores import promotions, specs
from stores.promotions import Promotion
from stores.writer import Work

Runs = Callable[[Callable[[Connection], Any]], Awaitable[Any]]


def live(file: str, serving: str, rows: Iterable[Promotion], at: datetime) -> Promotion | None:
    """The promotion of one provider that holds over the folder's file with this hash; None: the file serves.

    `serving` is the hash of what the process serves so far, "" for one that starts.
    """
    held = [row for row in rows if _holds(row, file, serving, at)]
    return max(held, key=lambda row: row.id, default=None)


def _holds(row: Promotion, file: str, serving: str, at: datetime) -> bool:
    begun = row.begins_at <= at and (row.ends_at is None or row.ends_at > at)
    return begun and row.file_hash == file and (row.settled_at is None or row.hash == serving)


def next_moment(rows: Iterable[Promotion], at: datetime) -> datetime | None:
    """When something begins or ends to serve next."""
    moments = (moment for row in rows for moment in (row.begins_at, row.ends_at) if moment is not None and moment > at)
    return min(moments, default=None)


def met_others(rows: Iterable[Promotion], files: Mapping[str, str], at: datetime) -> list[int]:
    """The ids of promotions that serve over a text which the folder (hashes by provider) does not have any more."""
    return [
        row.id
        for row in rows
        if row.settled_at is None and row.begins_at <= at and files.get(row.provider, row.file_hash) != row.file_hash
    ]


class Revisions:
    """The promoted revisions of one process. `read` and `write` are the journal's, `load` makes one of a stored text.

    A text is compiled once, before the moment from which it serves.
    """

    def __init__(
        self,
        read: Runs,
        write: Runs,
        load: Callable[[str], LoadedProvider],
        clock: Callable[[], datetime],
        log: Log,
    ) -> None:
        self._read, self._write, self._load, self._clock, self._log = read, write, load, clock, log
        self._rows: Sequence[Promotion] = ()
        self._made: dict[str, LoadedProvider] = {}
        self._refused: set[str] = set()

    async def look(self, *, strict: bool = False) -> None:
        """Reads what was promoted and loads what is new of it; one that does not load is told and left out.

        `strict` raises ProviderFileError instead: a process must not start with an older revision in silence.
        """
        self._rows = await self._read(partial(promotions.standing, now=self._clock()))
        wanted = {row.hash: row for row in self._rows}
        self._made = {hash: made for hash, made in self._made.items() if hash in wanted}
        for hash, row in wanted.items():
            if hash not in self._made and hash not in self._refused:
                try:
                    self._made[hash] = self._load(await self._text(row))
                except ProviderFileError as error:
                    if strict:
                        raise ProviderFileError((*error.problems, _not_loaded(row))) from None
                    self._refused.add(hash)
                    self._log.warning("promotion_refused", provider=row.provider, reason=str(error))

    async def _text(self, row: Promotion) -> str:
        text: str | None = await self._read(partial(specs.text, hash=row.hash))
        if text is None:
            place = Place(f"{row.provider}, promotion {row.id}", 1, 1)
            raise ProviderFileError((Problem(place, "spec_missing", "its text is not in the database"),))
        return text

    def serving(
        self, files: Mapping[str, LoadedProvider], current: Mapping[str, LoadedProvider]
    ) -> dict[str, LoadedProvider]:
        """What serves now: the folder's files, and what was promoted over them. `current` serves so far."""
        now, found = self._clock(), dict(files)
        for name, file in files.items():
            rows = [row for row in self._rows if row.provider == name and row.hash in self._made]
            before = current[name].spec_hash if name in current else ""
            if (row := live(file.spec_hash, before, rows, now)) is not None:
                found[name] = self._made[row.hash]
        return found

    def pause(self, every: float) -> float:
        """Seconds until the next look, which is sooner than `every` where something begins or ends to serve then."""
        moment = next_moment(self._rows, now := self._clock())
        return every if moment is None else max(0.0, min(every, (moment - now).total_seconds()))

    async def settle(self, files: Mapping[str, LoadedProvider]) -> None:
        """Notes which promotions met another file in the folder."""
        hashes = {name: file.spec_hash for name, file in files.items()}
        if ids := met_others(self._rows, hashes, self._clock()):
            await self._write(Work(promotions.settle, ids, self._clock()))
            self._log.info("promotions_settled", providers=sorted({r.provider for r in self._rows if r.id in ids}))
            await self.look()


def _not_loaded(row: Promotion) -> Problem:
    message = f"the promoted revision {row.revision} of {row.provider} does not load"
    place = Place(f"spec {row.hash[:12]}", 1, 1)
    return Problem(
        place, "promotion_refused", message, f"return to the former: tiffin provider rollback {row.provider}"
    )


__all__ = ["Revisions", "live", "met_others", "next_moment"]
