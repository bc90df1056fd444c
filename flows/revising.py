"""What a person is told before a revision of a provider file is promoted, and what serves after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.problems import ProviderFileError
from flows.observing.counting import Tally
from flows.promoting import live
from flows.providers import LoadedProvider, with_overrides
from stores import promotions
from stores.promotions import Promotion

UNSEEN, REVISION, OVERRIDES = "unseen", "revision", "overrides"
ACCEPTABLE: Final = (
    "idempotency_key", "canonical_id", "command_key", "failure_class", UNSEEN, REVISION, OVERRIDES,
)  # fmt: skip
"""What is promoted only when it is said so, by kind."""

_SAYS = {
    "idempotency_key": "idempotency keys changed: what was received before would not be known as a duplicate",
    "canonical_id": "canonical ids changed: commands would speak of other entities",
    "command_key": "command keys changed: readers would not know repeated commands",
    "failure_class": "failure classes changed: alerts and replies hang on them",
}


class Objection(NamedTuple):
    """Why a revision is not promoted unless `kind` is accepted."""

    kind: str
    says: str


def objections(
    tally: Tally | None, current: LoadedProvider, new: LoadedProvider, overrides: Iterable[tuple[str, str]]
) -> list[Objection]:
    """`tally` None: the shadow ran beside another revision than `current`. `overrides`: connections and their YAML."""
    found = []
    if tally is None or not tally.report.deliveries:
        found.append(Objection(UNSEEN, "the shadow has compared no delivery with the revision that serves"))
    else:
        found += [Objection(kind, f"{_SAYS[kind]} ({count} times)") for kind, count in tally.alarms.items()]
        revisions = [one.interpreter.provider.revision for one in (current, new)]
        if tally.report.differing and revisions[1] <= revisions[0]:
            said = f"it emits otherwise, but its revision ({revisions[1]}) was not raised above {revisions[0]}"
            found.append(Objection(REVISION, said))
    for connection, text in overrides:
        try:
            with_overrides(new, text)
        except ProviderFileError as error:
            said = f"the overrides of {connection} do not fit it: {error.problems[0].message}"
            found.append(Objection(OVERRIDES, said))
    return found


@dataclass(frozen=True)
class Standing:
    """What stands of a provider: its promotions (the oldest first) and the hash of the folder's file."""

    file_hash: str
    rows: tuple[Promotion, ...]
    at: datetime

    @property
    def live(self) -> Promotion | None:
        """What serves in the place of the file, to a process that starts now."""
        return live(self.file_hash, "", self.rows, self.at)

    @property
    def hash(self) -> str:
        return self.live.hash if self.live else self.file_hash

    @property
    def coming(self) -> Promotion | None:
        """What was decided and has not come about everywhere yet."""
        return next((row for row in self.rows if row.begins_at > self.at or row.ends_at is not None), None)


def standing_of(transaction: Connection, provider: str, file_hash: str, at: datetime) -> Standing:
    rows = (row for row in promotions.standing(transaction, at) if row.provider == provider)
    return Standing(file_hash, tuple(rows), at)


def switching_at(now: datetime, reload: float) -> datetime:
    """When all processes switch at once: once each has looked twice and compiled what comes."""
    return now + timedelta(seconds=2 * reload + 1)
