"""Hot reload: changed provider files are checked and swapped in together, or refused while the old ones go on.

Revisions that were promoted over a file are swapped in the same way: see flows.promoting.

A request that was begun goes on with the file that it began with. A file is taken only once it has stayed the same
from one look to the next, so that one that is still being written is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from engine.places import Place
from engine.problems import Problem, ProviderFileError
from flows.journal import StoreUnavailable
from flows.promoting import Revisions
from flows.providers import LoadedProvider
from flows.rounds import Log

Result = Literal["swapped", "refused"]
Marks = Mapping[Path, tuple[int, int]]

_MOST_TOLD = 5


class Swap(NamedTuple):
    """What changes: providers that are new or whose file changed, and the names of those that are gone."""

    changed: Mapping[str, LoadedProvider]
    gone: tuple[str, ...]


def difference(before: Mapping[str, LoadedProvider], after: Mapping[str, LoadedProvider]) -> Swap:
    """By the hashes of the resolved files. Raises ProviderFileError where nothing would be left."""
    if before and not after:
        place = Place(next(iter(before.values())).interpreter.provider.provider, 1, 1)
        raise ProviderFileError((Problem(place, "folder_empty", "no provider file is left in the folder"),))
    changed = {
        name: loaded
        for name, loaded in after.items()
        if name not in before or before[name].spec_hash != loaded.spec_hash
    }
    return Swap(changed, tuple(name for name in before if name not in after))


class Reloading:
    """Looks at a folder of provider files from time to time.

    `load` reads the whole folder and raises ProviderFileError; it runs in a thread. `files` are those of the folder
    as they were loaded, `current` those that serve, `keep` makes a file's text durable before a delivery names it,
    and `swap` puts the new ones in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        load: Callable[[], Mapping[str, LoadedProvider]],
        files: Mapping[str, LoadedProvider],
        revisions: Revisions,
        current: Callable[[], Mapping[str, LoadedProvider]],
        keep: Callable[[LoadedProvider], Awaitable[None]],
        swap: Callable[[Swap], None],
        told: Callable[[Result], None],
        log: Log,
    ) -> None:
        self._folder, self._load, self._current = folder, load, current
        self._files, self._revisions = files, revisions
        self._keep, self._swap, self._told, self._log = keep, swap, told, log
        self._taken = self._seen = marks(folder)

    async def run(self, every: float) -> None:
        """Looks every so many seconds, until cancelled. Outlasts every failure."""
        while True:
            await asyncio.sleep(self._revisions.pause(every))
            try:
                await self.look()
            except Exception as error:
                self._log.warning("reload_failed", reason=str(error) or type(error).__name__)

    async def look(self) -> Result | None:
        """Takes in what has changed and stayed so since the last look; None where there is nothing to do."""
        now = marks(self._folder)
        settled, self._seen = now == self._seen, now
        files = self._files
        if changed := settled and now != self._taken:
            try:
                files = await asyncio.to_thread(self._load)
                difference(self._files, files)
            except ProviderFileError as error:
                self._taken = now
                self._refused(error)
                return "refused"
        with suppress(StoreUnavailable):  # what was promoted before goes on
            await self._revisions.look()
        swap = difference(self._current(), self._revisions.serving(files, self._current()))
        for loaded in swap.changed.values():
            await self._keep(loaded)
        if changed:
            # Only now: a store that was away is asked again at the next look.
            self._taken, self._files = now, files
        if swap.changed or swap.gone:
            self._swapped(swap)
        with suppress(StoreUnavailable):
            await self._revisions.settle(self._files)
        return "swapped" if swap.changed or swap.gone else None

    def _swapped(self, swap: Swap) -> None:
        self._swap(swap)
        self._told("swapped")
        revisions = {name: one.interpreter.provider.revision for name, one in swap.changed.items()}
        self._log.info("providers_swapped", changed=revisions, gone=list(swap.gone))

    def _refused(self, error: ProviderFileError) -> None:
        self._told("refused")
        errors = [problem for problem in error.problems if problem.severity == "error"]
        reasons = [str(problem) for problem in errors[:_MOST_TOLD]]
        self._log.warning("providers_refused", problems=len(errors), reasons=reasons)


def marks(folder: Path) -> Marks:
    """When each provider file was changed, and how large it is."""
    found = {}
    for path in folder.glob("*.yaml"):
        try:
            stat = path.stat()
        except OSError:
            continue
        found[path] = (stat.st_mtime_ns, stat.st_size)
    return found
