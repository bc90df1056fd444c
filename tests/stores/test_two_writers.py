"""Two processes that write to one PostgreSQL at the same moment: one stops before COMMIT, the other runs into it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import Connection, select

from engine.messages import IdempotencyKey, Ref
from stores import audit, counters, deliveries, import_keys, imports, ledger, mappings, shards, specs, tables
from stores.writer import flight_of
from tests.stores.writers import (
    JOB,
    PATIENCE,
    Writer,
    conclusion,
    created,
    event_key,
    group,
    last_key,
    later,
    raw,
    wait_until_blocked,
)


@pytest.fixture
def one(postgres_database: str) -> Iterator[Writer]:
    writer = Writer(postgres_database)
    yield writer
    writer.close()


@pytest.fixture
def two(postgres_database: str) -> Iterator[Writer]:
    writer = Writer(postgres_database)
    yield writer
    writer.close()


def collided(one: Writer, two: Writer, first, second) -> tuple:
    """What both come to when `second` is written while `first` is decided and not committed."""
    with one.held():
        [early] = one.send(first)
        assert one.reached.wait(PATIENCE)
        [late] = two.send(second)
        wait_until_blocked(one)
        assert not late.done()
    return early.result(PATIENCE), late.result(PATIENCE)


def test_two_identical_requests_at_once_give_one_set_of_commands(one: Writer, two: Writer) -> None:
    one.receive("d1", "d2")
    early, late = collided(
        one, two, conclusion("d1", event_key("e"), group("a")), conclusion("d2", event_key("e"), group("a"))
    )
    assert (early.state, late.state, late.holder) == ("accepted", "duplicate", "d1")
    assert one.read(lambda c: list(ledger.pending_ids(c))) == ["a"]


def test_the_second_of_two_partial_ones_at_once_writes_what_is_missing(one: Writer, two: Writer) -> None:
    one.receive("d1", "d2")
    early, late = collided(
        one,
        two,
        conclusion("d1", event_key("e"), group("a"), state="partial"),
        conclusion("d2", event_key("e"), group("a", "b")),
    )
    assert (early.commands, late.commands) == (1, 1)
    assert sorted(one.read(lambda c: list(ledger.pending_ids(c)))) == ["a", "b"]


def test_a_webhook_that_meets_a_job_just_taking_its_key_is_its_duplicate(one: Writer, two: Writer) -> None:
    two.receive("d1")
    one.write(lambda c: imports.add(c, JOB))
    begun, late = collided(
        one, two, lambda c: import_keys.begin(c, JOB, event_key("e")), conclusion("d1", event_key("e"), group("a"))
    )
    assert (begun.holder, late.state, late.holder) == ("", "duplicate", JOB.id)


def test_a_job_that_meets_a_webhook_just_claiming_its_key_is_its_duplicate(one: Writer, two: Writer) -> None:
    one.receive("d1")
    two.write(lambda c: imports.add(c, JOB))
    early, begun = collided(
        one, two, conclusion("d1", event_key("e"), group("a")), lambda c: import_keys.begin(c, JOB, event_key("e"))
    )
    assert (early.state, begun.holder) == ("accepted", "d1")


@pytest.mark.parametrize("key", [event_key("e"), last_key("h"), IdempotencyKey("payload_hash:h", "payload_hash", 60)])
def test_one_of_two_jobs_with_one_key_at_once_runs(one: Writer, two: Writer, key: IdempotencyKey) -> None:
    other = JOB._replace(id="2")
    one.write(lambda c: imports.add(c, JOB), lambda c: imports.add(c, other))
    early, late = collided(
        one, two, lambda c: import_keys.begin(c, JOB, key), lambda c: import_keys.begin(c, other, key)
    )
    assert (early.holder, late.holder) == ("", JOB.id)


def test_a_payload_hash_that_another_has_just_claimed_is_made_anew_under_its_claim(one: Writer, two: Writer) -> None:
    key = IdempotencyKey("payload_hash:h", "payload_hash", window=600)
    one.receive("d1", "d2")
    _, late = collided(one, two, conclusion("d1", key, group("a"), state="partial"), conclusion("d2", key, group("b")))
    assert late.remapped
    assert one.read(lambda c: list(c.scalars(select(tables.in_flight.c.delivery)))) == ["d2"]


def test_version_five_that_meets_an_uncommitted_six_is_stale(one: Writer, two: Writer) -> None:
    one.receive("d1", "d2")
    early, late = collided(
        one,
        two,
        conclusion("d1", event_key("1"), group("a", versions=[("item", "6")])),
        conclusion("d2", event_key("2"), group("b", versions=[("item", "5")])),
    )
    assert (early.state, late.state) == ("accepted", "stale")


def test_version_six_that_meets_an_uncommitted_five_follows_it(one: Writer, two: Writer) -> None:
    one.receive("d0", "d1", "d2")
    one.conclude(conclusion("d0", event_key("0"), group("z", versions=[("item", "4")])))
    early, late = collided(
        one,
        two,
        conclusion("d1", event_key("1"), group("a", versions=[("item", "5")])),
        conclusion("d2", event_key("2"), group("b", versions=[("item", "6")])),
    )
    assert (early.state, late.state) == ("accepted", "accepted")
    # Outbox ids follow the order of the commits, so the relay sends 5 before 6.
    assert one.read(lambda c: list(ledger.pending_ids(c))) == ["z", "a", "b"]


def test_two_first_mentions_of_one_id_at_once_get_one_canonical_id(one: Writer, two: Writer) -> None:
    one.receive("d1", "d2")
    _, late = collided(
        one,
        two,
        conclusion("d1", event_key("1"), group("a"), mappings=created("sku", "itm_1")),
        conclusion("d2", event_key("2"), group("b"), mappings=created("sku", "itm_2")),
    )
    assert late.remapped
    [row] = one.read(lambda c: c.execute(select(tables.mappings)).all())
    assert row.canonical_id == "itm_1"


def test_two_first_mentions_of_one_id_with_the_same_canonical_id_both_stand(one: Writer, two: Writer) -> None:
    one.receive("d1", "d2")
    _, late = collided(
        one,
        two,
        conclusion("d1", event_key("1"), group("a"), mappings=created("sku", "itm_1")),
        conclusion("d2", event_key("2"), group("b"), mappings=created("sku", "itm_1")),
    )
    assert late.state == "accepted"
    assert len(one.read(lambda c: c.execute(select(tables.mappings)).all())) == 1


def test_the_message_before_last_sent_again_at_once_is_a_fact_of_its_own(one: Writer, two: Writer) -> None:
    one.receive("d1", "d2", "d3")
    one.conclude(conclusion("d1", last_key("5"), group("a")))
    early, late = collided(
        one, two, conclusion("d2", last_key("4"), group("b")), conclusion("d3", last_key("5"), group("c"))
    )
    assert (early.state, late.state) == ("accepted", "accepted")


def test_the_same_absolute_state_sent_twice_at_once_is_one_fact(one: Writer, two: Writer) -> None:
    one.receive("d1", "d2")
    early, late = collided(
        one, two, conclusion("d1", last_key("5"), group("a")), conclusion("d2", last_key("5"), group("b"))
    )
    assert (early.state, late.state, late.holder) == ("accepted", "duplicate", "d1")


def test_one_attempt_concluded_by_two_processes_at_once_stands_as_the_first_has_it(one: Writer, two: Writer) -> None:
    one.receive("d1")
    early, late = collided(
        one, two, conclusion("d1", event_key("e"), group("a")), conclusion("d1", event_key("e"), group("a"))
    )
    assert early == late
    assert one.read(lambda c: list(ledger.pending_ids(c))) == ["a"]


def test_a_slow_first_attempt_and_the_one_that_took_it_over_write_one_set(one: Writer, two: Writer) -> None:
    one.receive("d1")
    one.write(lambda c: deliveries.take_over(c, "two", later(100), later(200), 10))
    early, late = collided(
        one, two, conclusion("d1", event_key("e"), group("a"), attempt=2), conclusion("d1", event_key("e"), group("a"))
    )
    assert (early.commands, late.commands) == (1, 0)
    assert one.read(ledger.ledger).difference == 0


def test_a_delivery_is_taken_over_by_one_of_two_recoveries_at_once(one: Writer, two: Writer) -> None:
    one.receive("d1", "d2")
    with one.held():
        [early] = one.send(lambda c: deliveries.take_over(c, "one", later(100), later(200), 1))
        assert one.reached.wait(PATIENCE)
        [late] = two.write(lambda c: deliveries.take_over(c, "two", later(100), later(200), 10))
    assert [taken.delivery for taken in early.result(PATIENCE)] == ["d1"]
    assert [taken.delivery for taken in late] == ["d2"]


def test_batches_that_want_the_same_rows_in_opposite_order_are_both_written(one: Writer, two: Writer) -> None:
    numbers = range(40)
    one.receive(*(f"{side}{n}" for side in "ab" for n in numbers))
    forth = [conclusion(f"a{n}", event_key(str(n)), group(f"a{n}", versions=[(f"v{n}", "1")])) for n in numbers]
    back = [
        conclusion(f"b{n}", event_key(f"x{n}"), group(f"b{n}", versions=[(f"v{n}", "2")])) for n in reversed(numbers)
    ]
    answers = one.send(*forth) + two.send(*back)
    assert all(answer.exception(PATIENCE) is None for answer in answers)
    assert one.read(ledger.ledger).difference == 0


def test_many_messages_through_two_writers_leave_no_difference_and_no_double(one: Writer, two: Writer) -> None:
    chance, number = random.Random(7), 0
    answers = []
    for _ in range(40):
        for writer in (one, two):
            batch = []
            for _ in range(chance.randint(1, 8)):
                number += 1
                writer.receive(f"d{number}")
                event, entity, version = chance.randint(1, 60), chance.randint(1, 5), chance.randint(1, 9)
                batch.append(
                    conclusion(
                        f"d{number}",
                        event_key(str(event)),
                        group(f"c{event}", versions=[(f"v{entity}", str(version))]),
                        mappings=created(f"sku{event % 7}", f"itm{event % 7}"),
                        state=chance.choice(["accepted", "accepted", "partial"]),
                    )
                )
            answers += writer.send(*batch)
    assert {answer.result(PATIENCE).state for answer in answers} <= {"accepted", "partial", "duplicate", "stale"}
    ids = one.read(lambda c: list(ledger.pending_ids(c)))
    assert len(ids) == len(set(ids))
    assert one.read(ledger.ledger).difference == 0
    assert one.read(lambda c: c.execute(select(tables.in_flight)).all()) == []


def test_a_mapping_that_a_delivery_creates_while_an_operator_sets_it_ends_as_the_operator_has_it(
    one: Writer, two: Writer
) -> None:
    one.receive("d1")

    def set_by_hand(connection: Connection) -> bool:
        return mappings.set_mapping(connection, "T", "P", Ref("item", "", "sku"), "itm_2", later(1), "set")

    with one.held():
        [early] = one.send(conclusion("d1", event_key("1"), group("a"), mappings=created("sku", "itm_1")))
        assert one.reached.wait(PATIENCE)
        [late] = two.send(set_by_hand)
        wait_until_blocked(one)
    assert (early.result(PATIENCE).state, late.result(PATIENCE)) == ("accepted", True)
    rows = one.read(lambda c: c.execute(select(tables.mappings).order_by(tables.mappings.c.id)).all())
    assert [(row.canonical_id, row.valid_to) for row in rows] == [("itm_1", later(1)), ("itm_2", None)]


@pytest.mark.parametrize(
    "job",
    [
        lambda c: counters.add(c, "busy"),
        lambda c: specs.save(c, "hash", "P", 1, "text", later(0)),
        lambda c: shards.ensure(c, later(0)),
        lambda c: audit.append(c, later(0), "who", "did", "what"),
    ],
    ids=["a counter", "a provider file", "the shards", "an audit entry"],
)
def test_what_two_processes_write_first_at_once_is_written_by_both(one: Writer, two: Writer, job) -> None:
    with one.held():
        [early] = one.send(job)
        assert one.reached.wait(PATIENCE)
        [late] = two.send(job)
        wait_until_blocked(one)
    assert early.exception(PATIENCE) is late.exception(PATIENCE) is None


def test_the_chain_of_the_audit_has_one_end_when_two_processes_append(one: Writer, two: Writer) -> None:
    answers = [writer.send(lambda c: audit.append(c, later(0), "who", "did", "what"))[0] for writer in (one, two) * 20]
    assert all(answer.exception(PATIENCE) is None for answer in answers)
    assert one.read(audit.first_broken) == (40, None)


# ---- the server goes away ----


def backend_of(writer: Writer) -> int:
    return writer.group._connection.connection.dbapi_connection.info.backend_pid


def terminated(url: str, backend: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))


def test_a_commit_whose_answer_is_lost_is_read_back(one: Writer, postgres_database: str, monkeypatch) -> None:
    one.receive("d1")
    connection = one.group._connection.connection.dbapi_connection
    commit = type(connection).commit

    def lost(self) -> None:
        commit(self)
        if self is connection:
            terminated(postgres_database, self.info.backend_pid)
            raise psycopg.OperationalError("the answer to COMMIT was lost")

    monkeypatch.setattr(type(connection), "commit", lost)
    [committed] = one.conclude(conclusion("d1", event_key("e"), group("a")))
    assert committed.state == "accepted"
    assert one.read(ledger.ledger).difference == 0


def test_a_backend_that_is_killed_before_commit_leaves_nothing_and_the_next_batch_is_written(
    one: Writer, postgres_database: str
) -> None:
    one.receive("d1")
    with one.held():
        [answer] = one.send(conclusion("d1", event_key("e"), group("a")))
        assert one.reached.wait(PATIENCE)
        terminated(postgres_database, backend_of(one))
    assert isinstance(answer.exception(PATIENCE), Exception)
    assert one.read(lambda c: list(ledger.pending_ids(c))) == []
    [committed] = one.conclude(conclusion("d1", event_key("e"), group("a")))
    assert committed.commands == 1


def test_a_commit_that_still_runs_when_its_client_has_lost_it_is_waited_for(one: Writer, two: Writer) -> None:
    ending = threading.Event()

    def waited(backend: int) -> bool:
        with two.database.engine.connect() as connection:
            batch = two.group._batch(connection, two.group._statements)
            return batch.wait_for_end(backend) and ending.is_set()

    with ThreadPoolExecutor() as pool, one.database.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("SELECT pg_current_xact_id()")
        answer = pool.submit(waited, connection.connection.dbapi_connection.info.backend_pid)
        wait_until_asked(two)
        ending.set()
        connection.rollback()
        assert answer.result(PATIENCE)


def wait_until_asked(writer: Writer) -> None:
    """Returns when a session has asked for the activity of another."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()"
    give_up = time.monotonic() + PATIENCE
    while not writer.read(lambda c: c.exec_driver_sql(asked, ("%backend_xid IS NOT NULL%",)).scalar_one()):
        assert time.monotonic() < give_up


def test_a_received_delivery_that_two_processes_hand_over_is_stored_once(one: Writer, two: Writer) -> None:
    flight = flight_of(raw("d1"), "owner", 60)
    one.write(flight)
    assert two.send(flight)[0].exception(PATIENCE) is not None
    assert len(one.read(lambda c: c.execute(select(tables.deliveries.c.id)).all())) == 1
