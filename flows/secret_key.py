"""Rotation of the secret key: what an older key sealed is sealed anew with the present one.

It goes on beside a running service, in short transactions, and may be stopped at any moment: what is sealed says
itself with which key, so the next run takes what is left. Objects and the archive's segments stay as they are: the
older key opens them as long as it is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from flows.relay import Runs
from stores import resealing
from stores.resealing import PLACES, Place
from stores.secrets import SecretBox

AT_ONCE: Final = 200
"""Rows in one transaction."""


class Resealed(NamedTuple):
    """One batch: how many values of a place were sealed anew."""

    place: str
    values: int


class SecretKeyRotation:
    """What is left to seal anew, and the work. `read`, `write` as for Relay."""

    def __init__(self, read: Runs, write: Runs, box: SecretBox, at_once: int = AT_ONCE) -> None:
        self._read, self._write, self._box, self._at_once = read, write, box, at_once

    def left(self) -> dict[str, int]:
        """How many values another key sealed, by the name of the place."""
        return {place.name: self._count(place) for place in PLACES}

    def elsewhere(self) -> int:
        """Deliveries in objects and segments, which may need an older key."""
        return self._read(resealing.elsewhere)

    def run(self) -> Iterator[Resealed]:
        """Seals everything anew, batch by batch. Raises SecretKeyError where a value's key is not at hand."""
        for place in PLACES:
            yield from self._through(place)

    def _count(self, place: Place) -> int:
        return self._read(lambda connection: resealing.count(connection, place, self._box.head))

    def _through(self, place: Place) -> Iterator[Resealed]:
        after = None
        while found := self._read(
            partial(resealing.batch, place=place, head=self._box.head, after=after, limit=self._at_once)
        ):
            after = found[-1][0]
            done = self._write(partial(resealing.reseal, place=place, values=found, again=self._again))
            yield Resealed(place.name, done)

    def _again(self, sealed: bytes) -> bytes:
        return self._box.seal(self._box.unseal(sealed))
