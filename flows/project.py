"""Turns commands into views and events.

A round takes commands off the bus, works out what they change, and writes entities, applied marks, offsets and
events in one transaction. The offset is moved only from where it was believed to stand: another projector, a
rewind or a rebuild in between voids the round, and what was taken is taken again.

Commands that were applied before, by CloudEvents id, change nothing. Whatever fails is tried again, for ever.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from bus.consumers import Consumer, Start
from bus.messages import Stored
from engine.views import Entity, EntityKey, Event, Received, Unprojectable, events_of, fold, keys_of, read_command
from flows import tracing
from flows.relay import Runs
from flows.rounds import Backoff, Log, Rest, Rounds
from flows.turns import Turn
from stores import views
from stores.views import Advance, Mark, Moved

GROUP = "tiffin-views"
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class ProjectionPace:
    """How many commands a round takes and how long the projector waits, in seconds.

    `rest` is how much longer than a round the projector leaves the processor to others before the next one,
    while there is more; `busy_rest` the same while many webhooks are written, which come first. `poll` is the
    longest sleep without a wake-up.
    """

    commands: int = 500
    rest: float = 1.0
    busy_rest: float = 9.0
    gather: float = 0.1
    poll: float = 1.0
    first_backoff: float = 0.5
    longest_backoff: float = 30.0


@dataclass(frozen=True, slots=True)
class ProjectionHealth:
    """How the projection does. `behind` is how many commands were not yet taken when that was last asked.

    `results` counts commands by what came of them: applied, unchanged, stale, unused, repeated, unreadable.
    """

    state: Literal["starting", "running", "backing_off", "stopped"] = "starting"
    last_error: str = ""
    behind: int = 0
    events: int = 0
    results: Mapping[str, int] = field(default_factory=dict)


class Standing(NamedTuple):
    """What the store knows of a batch's commands and entities."""

    marks: dict[str, tuple[int, set[str]]]
    entities: dict[EntityKey, Entity]


class Batch(NamedTuple):
    """What a batch of messages comes to."""

    moves: list[Advance]
    entities: list[Entity]
    marks: list[Mark]
    events: list[tuple[str, Event]]
    results: Counter[str]


class Projector(Rounds):
    """The projection of one process, on a thread of its own.

    `open_consumer` makes the consumer from what says where a partition begins. `read` runs a job on a
    connection of the projector's own; `write` in a transaction, and returns after the commit.
    """

    def __init__(
        self,
        *,
        open_consumer: Callable[[Start], Consumer],
        read: Runs,
        write: Runs,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        log: Log,
        busy: Callable[[], bool] = lambda: False,
        turn: Turn | None = None,
        pace: ProjectionPace | None = None,
    ) -> None:
        """`busy` says whether others have much to write just now. `turn` is for a bus that does not share its
        partitions out among the readers of a group."""
        self._pace = pace or ProjectionPace()
        super().__init__("projection", Backoff(self._pace.first_backoff, self._pace.longest_backoff, jitter))
        self._busy, self._turn, self._ours = busy, turn, turn is None
        self._open_consumer, self._read, self._write = open_consumer, read, write
        self._clock, self._log = clock, log
        self._consumer: Consumer | None = None
        self._next: dict[int, int] = {}
        self.on_written: Callable[[Sequence[Advance], Sequence[Entity]], None] = lambda _moves, _entities: None
        self._health = ProjectionHealth()

    @property
    def health(self) -> ProjectionHealth:
        """How it does now. May be asked from any thread."""
        return self._health

    def step(self) -> int:
        """One round; returns how many messages it took. Raises what the bus or the database raise."""
        if self._consumer is None:
            self._consumer = self._open_consumer(self._starting)
        if self._turn is not None and not self._has_turn(self._turn, self._consumer):
            return 0
        try:
            messages = self._consumer.take(self._pace.commands)
            if messages:
                self._project(messages)
            elif self._has_moved():
                self._consumer.restart()
            behind = self._consumer.behind()
        except Exception:
            # What was taken is not known to be written.
            self._consumer.restart()
            raise
        self._health = dataclasses.replace(self._health, state="running", last_error="", behind=behind)
        return len(messages)

    def _has_turn(self, turn: Turn, consumer: Consumer) -> bool:
        before, self._ours = self._ours, turn.mine()
        if self._ours and not before:
            consumer.restart()  # another has read on meanwhile
        return self._ours

    def close(self) -> None:
        """Leaves the group of readers."""
        if self._turn is not None:
            self._turn.give_back()
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _starting(self, partition: int) -> int:
        self._next[partition] = self._read(views.offsets).get(partition, 0)
        return self._next[partition]

    def _has_moved(self) -> bool:
        """Whether someone has moved an offset, to rewind or after a rebuild."""
        stored = self._read(views.offsets)
        moved = [partition for partition, offset in self._next.items() if stored.get(partition, 0) != offset]
        for partition in moved:
            del self._next[partition]
        return bool(moved)

    def _project(self, messages: Sequence[Stored]) -> None:
        began = tracing.now()
        commands = [as_command(message) for message in messages]
        known = self._read(lambda connection: standing(connection, [c for c in commands if c is not None]))
        batch = project(list(zip(messages, commands, strict=True)), known, self._next)
        if not self._write(lambda connection: self._record(connection, batch)):
            raise Moved("another projector, a rewind or a rebuild has moved the offsets")
        self._next.update({move.partition: move.after for move in batch.moves})
        tracing.passed("project", (message.value for message in messages), began)
        self.on_written(batch.moves, batch.entities)
        if batch.results[UNREADABLE]:
            self._log.warning("commands_unreadable", count=batch.results[UNREADABLE])
        self._health = dataclasses.replace(
            self._health,
            events=self._health.events + len(batch.events),
            results=dict(Counter(self._health.results) + batch.results),
        )

    def _record(self, connection: Connection, batch: Batch) -> bool:
        """False, and nothing written, where the offsets have been moved meanwhile."""
        try:
            # On SQLite the transaction is also others' of the group writer: a refusal undoes this part alone.
            with connection.begin_nested():
                views.advance(connection, batch.moves)
                views.save(connection, batch.entities, batch.marks)
                views.put_events(connection, batch.events, self._clock())
        except Moved:
            return False
        return True

    def _round(self) -> Rest:
        started = perf_counter()
        if not self.step():
            return Rest(self._pace.poll, until_woken=True)
        rest = self._pace.busy_rest if self._busy() else self._pace.rest
        return Rest(max(self._pace.gather, rest * (perf_counter() - started)))

    def _failed(self, error: Exception, times: int, wait: float) -> None:
        said = f"{type(error).__name__}: {error}"
        self._health = dataclasses.replace(self._health, state="backing_off", last_error=said)
        self._log.warning("projection_failed", reason=repr(error), failures=times, retry_in=wait)

    def _recovered(self, times: int) -> None:
        self._log.info("projection_recovered", failures=times)

    def _ended(self) -> None:
        self._health = dataclasses.replace(self._health, state="stopped")
        try:
            self.close()
        except Exception as error:
            self._log.warning("projection_not_closed", reason=repr(error))


def as_command(message: Stored) -> Received | None:
    """The command of a message; None where it is none that can be read."""
    try:
        command = read_command(message.value)
        keys_of(command)
    except (Unprojectable, KeyError, StopIteration, TypeError, ValueError, AttributeError):
        return None
    return command


def standing(connection: Connection, commands: Sequence[Received]) -> Standing:
    """What is known of these commands and of the entities that they may change."""
    marks = views.marks_of(connection, [command.commandkey for command in commands])
    keys = {key for command in commands for key in keys_of(command)}
    return Standing(marks, views.load(connection, keys))


def project(messages: Sequence[tuple[Stored, Received | None]], known: Standing, offsets: Mapping[int, int]) -> Batch:
    """What the messages change about what is known. `offsets` is where each partition stood before."""
    entities = dict(known.entities)
    changed: set[EntityKey] = set()
    marks: list[Mark] = []
    seen = {key: (position, set(ids)) for key, (position, ids) in known.marks.items()}
    events: list[tuple[str, Event]] = []
    results: Counter[str] = Counter()
    ends: dict[int, int] = {}
    for message, command in messages:
        ends[message.partition] = message.offset + 1
        if command is None:
            results[UNREADABLE] += 1
            continue
        position, ids = seen.setdefault(command.commandkey, (message.offset, set()))
        if command.id in ids:
            results["repeated"] += 1
            continue
        try:
            folded = fold(command, position, entities)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
            results[UNREADABLE] += 1
            continue
        ids.add(command.id)
        entities.update({entity.key: entity for entity in folded.entities})
        changed.update(entity.key for entity in folded.entities)
        marks.append(Mark(command.commandkey, command.id, position, folded.result))
        events += [(command.delivery, event) for event in events_of(command, folded.changes)]
        results[folded.result] += 1
    moves = [Advance(partition, offsets.get(partition, 0), after) for partition, after in sorted(ends.items())]
    return Batch(moves, [entities[key] for key in sorted(changed)], marks, events, results)
