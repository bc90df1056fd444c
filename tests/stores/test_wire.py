"""What crosses to the writer process comes out as it went in."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.messages import IdempotencyKey
from engine.presences import Member, Presence
from stores import wire
from stores.records import Conclusion

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)
OWNER = ("north", "shelf", "menu", 1, "d1", "claim")
PRESENCE = Presence(
    "items", "scope", "s1", True, "", "2026-03-01T10:00:00Z", 30, True, ("a", "b"),
    (Member("a", "c1", "told", b'["k","e",{}]'),), ("c1",), OWNER,
)  # fmt: skip


def conclusion(presences: tuple[Presence, ...], accepted: bool) -> Conclusion:
    key = IdempotencyKey("event_id:1", "event_id")
    return Conclusion(
        "d1", 1, "north", "shelf", "c", "menu", "", "accepted", AT, AT, key, (), (), (), b"[]", "[]", "", "s1", "m",
        "s", "hash", presences=presences, accepted=accepted,
    )  # fmt: skip


def test_presences_and_an_acceptance_cross_to_the_writer_process() -> None:
    told = conclusion((PRESENCE,), True)
    ((number, packed),) = wire.loads(wire.dumps([(7, wire.pack(told))]))
    assert (number, wire.unpack(packed)) == (7, told)


def test_a_conclusion_without_presences_crosses_as_it_is() -> None:
    told = conclusion((), False)
    ((_, packed),) = wire.loads(wire.dumps([(1, wire.pack(told))]))
    assert wire.unpack(packed) == told
