"""What one group writer makes of deliveries and conclusions, on either database."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from sqlalchemy import select

from engine.messages import IdempotencyKey
from stores import deliveries, failures, import_keys, imports, ledger, tables
from stores.import_chunks import chunk_id
from stores.writer import GATHER_SECONDS, MUCH
from tests.stores.writers import JOB, Writer, conclusion, created, event_key, group, last_key, later, raw


@pytest.fixture
def writer(database_url: str) -> Iterator[Writer]:
    writer = Writer(database_url)
    yield writer
    writer.close()


def in_flight(writer: Writer) -> list[str]:
    return writer.read(lambda c: list(c.scalars(select(tables.in_flight.c.delivery))))


def rows(writer: Writer, table: str) -> list:
    return writer.read(lambda c: c.execute(select(tables.metadata.tables[table])).all())


def test_a_received_delivery_stands_and_is_in_flight(writer: Writer) -> None:
    writer.receive("d1", "d2")
    assert sorted(in_flight(writer)) == ["d1", "d2"]
    assert writer.read(lambda c: deliveries.get(c, "d1")).body == b"{}"


def test_an_outcome_takes_its_delivery_out_of_flight_with_its_commands(writer: Writer) -> None:
    writer.receive("d1")
    [committed] = writer.conclude(conclusion("d1", event_key("e"), group("a", "b")))
    assert (committed.state, committed.commands) == ("accepted", 2)
    assert in_flight(writer) == []
    assert writer.read(ledger.ledger).difference == 0
    assert writer.read(lambda c: list(ledger.pending_ids(c))) == ["a", "b"]


def test_the_same_key_in_one_batch_is_claimed_by_the_first(writer: Writer) -> None:
    writer.receive("d1", "d2")
    first, second = writer.conclude(
        conclusion("d1", event_key("e"), group("a")), conclusion("d2", event_key("e"), group("a"))
    )
    assert (first.state, second.state, second.holder) == ("accepted", "duplicate", "d1")


def test_a_duplicate_leaves_no_mapping(writer: Writer) -> None:
    writer.receive("d1", "d2")
    writer.conclude(conclusion("d1", event_key("e"), group("a")))
    writer.conclude(conclusion("d2", event_key("e"), group("b"), mappings=created("x", "itm_x")))
    assert rows(writer, "mappings") == []


def test_a_window_that_has_passed_frees_its_key(writer: Writer) -> None:
    key = IdempotencyKey("payload_hash:h", "payload_hash", window=60)
    writer.receive("d1", "d2", "d3")
    states = [
        writer.conclude(conclusion(id, key, group(id), received_at=later(at)))[0].state
        for id, at in (("d1", 0), ("d2", 59), ("d3", 61))
    ]
    assert states == ["accepted", "duplicate", "accepted"]
    [row] = rows(writer, "keys")
    assert row.delivery == "d3"


def test_five_four_five_are_three_facts(writer: Writer) -> None:
    writer.receive("d1", "d2", "d3", "d4")
    states = [
        writer.conclude(conclusion(id, last_key(value), group(id)))[0].state
        for id, value in (("d1", "5"), ("d2", "4"), ("d3", "5"), ("d4", "5"))
    ]
    assert states == ["accepted", "accepted", "accepted", "duplicate"]


def test_five_four_five_in_one_batch_are_three_facts(writer: Writer) -> None:
    writer.receive("d1", "d2", "d3")
    found = writer.conclude(
        *(conclusion(f"d{n}", last_key(v), group(f"d{n}")) for n, v in ((1, "5"), (2, "4"), (3, "5")))
    )
    assert [one.state for one in found] == ["accepted"] * 3


def test_a_parked_message_is_not_the_last_accepted(writer: Writer) -> None:
    writer.receive("d1")
    writer.conclude(conclusion("d1", last_key("5"), state="parked"))
    assert rows(writer, "last_accepted") == []


def test_an_older_version_is_stale_and_an_equal_one_a_duplicate(writer: Writer) -> None:
    writer.receive("d1", "d2", "d3", "d4")
    found = [
        writer.conclude(conclusion(id, event_key(id), group(id, versions=[("item", order)])))[0]
        for id, order in (("d1", "6"), ("d2", "5"), ("d3", "6"), ("d4", "7"))
    ]
    assert [(one.state, one.commands) for one in found] == [
        ("accepted", 1),
        ("stale", 0),
        ("duplicate", 0),
        ("accepted", 1),
    ]


def test_a_version_of_a_batch_counts_for_the_rest_of_it(writer: Writer) -> None:
    writer.receive("d1", "d2")
    found = writer.conclude(
        conclusion("d1", event_key("1"), group("a", "b", versions=[("x", "6"), ("y", "6")])),
        conclusion("d2", event_key("2"), group("c", "d", versions=[("x", "5"), ("y", "7")])),
    )
    assert [(one.state, one.commands, one.stale) for one in found] == [("accepted", 2, 0), ("accepted", 1, 1)]


def begun(writer: Writer) -> None:
    writer.write(
        lambda c: imports.add(c, JOB),
        lambda c: imports.take(c, "owner", later(0), later(60), JOB.id),
        lambda c: import_keys.begin(c, JOB, event_key("e")),
    )


def chunk(group, **changes):
    delivery = chunk_id(JOB.id, 0)
    concluded = conclusion(delivery, None, group, whole=JOB.id, **changes)
    one = imports.Chunk(JOB.id, "owner", 0, raw(delivery), concluded, 1, 0, 0, 0, 0)
    return lambda c: imports.write_chunk(c, one, later(0), later(60))


def test_a_version_that_a_chunk_writes_in_a_batch_counts_for_the_rest_of_it(writer: Writer) -> None:
    writer.receive("d1")
    begun(writer)
    _, late = writer.write(
        chunk(group("new", versions=[("item", "2")])), conclusion("d1", None, group("old", versions=[("item", "1")]))
    )
    assert late.state == "stale"
    assert writer.read(lambda c: list(ledger.pending_ids(c))) == ["new"]


def test_a_mapping_that_a_chunk_makes_in_a_batch_stays_where_a_duplicate_makes_it_too(writer: Writer) -> None:
    writer.receive("d1")
    begun(writer)
    writer.write(
        chunk(group("a"), mappings=created("x", "itm_x")),
        conclusion("d1", event_key("e"), group("a"), mappings=created("x", "itm_x")),
    )
    assert [row.canonical_id for row in rows(writer, "mappings")] == ["itm_x"]


def test_a_key_that_a_job_takes_in_a_batch_is_the_jobs(writer: Writer) -> None:
    writer.receive("d1")
    writer.write(lambda c: imports.add(c, JOB))
    begun, late = writer.write(
        lambda c: import_keys.begin(c, JOB, event_key("e")), conclusion("d1", event_key("e"), group("a"))
    )
    assert (begun.holder, late.state, late.holder) == ("", "duplicate", JOB.id)


def test_an_id_that_has_meanwhile_another_canonical_id_is_to_be_resolved_again(writer: Writer) -> None:
    writer.receive("d1", "d2")
    writer.conclude(conclusion("d1", event_key("1"), group("a"), mappings=created("x", "itm_1")))
    [second] = writer.conclude(conclusion("d2", event_key("2"), group("b"), mappings=created("x", "itm_2")))
    assert (second.state, second.remapped) == ("in_flight", True)
    assert in_flight(writer) == ["d2"]
    assert [row.key_text for row in rows(writer, "keys")] == ["event_id:1"]
    assert [row.canonical_id for row in rows(writer, "mappings")] == ["itm_1"]


def test_a_resend_after_a_partial_outcome_writes_what_was_not_written(writer: Writer) -> None:
    writer.receive("d1", "d2")
    writer.conclude(conclusion("d1", event_key("e"), group("a"), state="partial"))
    [second] = writer.conclude(conclusion("d2", event_key("e"), group("a", "b")))
    assert (second.state, second.commands) == ("accepted", 1)
    assert writer.read(lambda c: list(ledger.pending_ids(c))) == ["a", "b"]
    [key] = rows(writer, "keys")
    assert (key.delivery, key.state) == ("d1", "done")


def test_a_replay_writes_only_what_its_earlier_attempts_did_not(writer: Writer) -> None:
    writer.receive("d1")
    writer.conclude(conclusion("d1", event_key("e"), group("a")))
    [again] = writer.conclude(conclusion("d1", event_key("e"), group("a", "b"), attempt=2, replay=True))
    assert (again.state, again.commands) == ("accepted", 1)
    assert writer.read(ledger.ledger).difference == 0


def test_two_attempts_in_one_batch_write_one_set_of_commands(writer: Writer) -> None:
    writer.receive("d1")
    writer.conclude(
        conclusion("d1", event_key("e"), group("a")),
        conclusion("d1", event_key("e"), group("a"), attempt=2, replay=True),
    )
    assert writer.read(lambda c: list(ledger.pending_ids(c))) == ["a"]
    assert in_flight(writer) == []


def test_an_attempt_that_was_concluded_before_answers_as_it_did_then(writer: Writer) -> None:
    writer.receive("d1")
    first = writer.conclude(conclusion("d1", event_key("e"), group("a")))
    assert writer.conclude(conclusion("d1", event_key("e"), group("a"))) == first
    assert writer.read(ledger.ledger).difference == 0


def test_a_guilty_entry_sinks_no_other(writer: Writer) -> None:
    writer.receive("d1", "d2", "d3")
    answers = writer.send(
        conclusion("d1", event_key("1"), group("a")),
        conclusion("d2", event_key("2"), group("b"), merchant_id=object()),
        conclusion("d3", event_key("3"), group("c")),
    )
    assert [answer.exception(20) is None for answer in answers] == [True, False, True]
    assert in_flight(writer) == ["d2"]


def test_failures_stand_with_the_outcome(writer: Writer) -> None:
    writer.receive("d1")
    data = orjson.dumps({"code": "bad", "facts": {"kind": "item"}})
    writer.conclude(conclusion("d1", event_key("1"), state="partial", failures=(("mapping", "bad", data),)))
    [failure] = writer.read(lambda c: failures.listed(c, {}))
    assert (failure.cls, failure.code, failure.data["facts"]) == ("mapping", "bad", {"kind": "item"})


@pytest.mark.parametrize(("entries", "pauses"), [(MUCH, 0), (MUCH + 1, 1)])
def test_the_writer_lets_a_batch_gather_where_much_comes(database_url: str, entries: int, pauses: int) -> None:
    told: list[float] = []
    writer = Writer(database_url, pause=told.append)
    writer.receive(*[f"d{n}" for n in range(entries)])
    writer.receive("last")
    writer.close()
    assert told == [GATHER_SECONDS] * pauses
