"""Fetches in the store: one for each thing, one worker for each, resumed where they stopped; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from engine.failures import Failure
from stores import fetch_jobs, reader_offsets, tables
from stores.database import open_database
from stores.fetch_jobs import Job, NewFetch
from stores.reader_offsets import Moved

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=1)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def transaction(database_url: str) -> Iterator[Connection]:
    opened = open_database(database_url)
    with opened.engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection
    opened.close()


def new(id: str, what: str = "catalogue", every: int = 0, cause: str = "d-0", due: datetime = NOW) -> NewFetch:
    return NewFetch(id, "north", "square", "teahouse", "events", "catalog", what, "{}", cause, every, due)


def take(transaction: Connection, owner: str = "a", now: datetime = NOW, room: int = 9) -> list[Job]:
    fresh = [f"{owner}-{now:%H%M}-{n}" for n in range(room)]
    return fetch_jobs.take(transaction, owner, now, now + timedelta(minutes=1), fresh)


def begun(transaction: Connection, **keys: Any) -> Job:
    fetch_jobs.add(transaction, [new("j-1", **keys)])
    (job,) = take(transaction)
    return job


def ids(jobs: list[Job]) -> list[str]:
    return [job.id for job in jobs]


def get(transaction: Connection, id: str = "j-1") -> Job:
    found = fetch_jobs.get(transaction, id)
    assert found is not None
    return found


# ---- one for each thing ----


def test_what_waits_already_is_not_added_again(transaction: Connection) -> None:
    assert fetch_jobs.add(transaction, [new("j-1"), new("j-2"), new("j-3", what="stock")]) == 2


def test_a_command_that_is_read_again_adds_nothing(transaction: Connection) -> None:
    begun(transaction)
    assert fetch_jobs.add(transaction, [new("j-1")]) == 0


def test_what_has_begun_is_asked_for_once_more_and_not_at_the_same_time(transaction: Connection) -> None:
    job = begun(transaction)
    assert fetch_jobs.add(transaction, [new("j-2"), new("j-3")]) == 1
    assert take(transaction, "b") == []
    assert fetch_jobs.finish(transaction, job, "a", (1, NOW))
    assert ids(take(transaction, "b")) == ["j-2"]


def test_the_last_complete_fetch_of_a_thing_is_known_to_the_next(transaction: Connection) -> None:
    assert fetch_jobs.covered(transaction, "catalogue") is None
    fetch_jobs.finish(transaction, begun(transaction), "a", (1, LATER))
    assert fetch_jobs.covered(transaction, "catalogue") == NOW
    assert fetch_jobs.covered(transaction, "stock") is None


# ---- one worker for each ----


def test_one_process_takes_a_job(transaction: Connection) -> None:
    begun(transaction)
    assert take(transaction, "b") == []
    assert not fetch_jobs.is_due(transaction, NOW)


def test_no_more_are_taken_than_there_is_room_for(transaction: Connection) -> None:
    fetch_jobs.add(transaction, [new(f"j-{n}", what=str(n)) for n in range(5)])
    assert len(take(transaction, room=2)) == 2


def test_a_job_of_a_silent_process_goes_on_with_another_from_its_page(transaction: Connection) -> None:
    job = begun(transaction)
    assert fetch_jobs.advance(transaction, job, "a", (1, NOW), "page 2", "d-2")
    (resumed,) = take(transaction, "b", LATER)
    assert (resumed.next, resumed.pages, resumed.delivery) == ("page 2", 1, "d-2")
    assert not fetch_jobs.advance(transaction, job, "a", (2, NOW), "page 3", "d-3")
    assert not fetch_jobs.finish(transaction, job, "a", (2, NOW))


def test_a_page_that_was_in_hand_keeps_the_id_that_was_chosen_for_it(transaction: Connection) -> None:
    assert begun(transaction).delivery == take(transaction, "b", LATER)[0].delivery


def test_a_lease_is_prolonged_by_its_owner_alone(transaction: Connection) -> None:
    begun(transaction)
    fetch_jobs.renew(transaction, "b", ["j-1"], LATER)
    assert get(transaction).lease_until == UNTIL
    fetch_jobs.renew(transaction, "a", ["j-1"], LATER)
    assert get(transaction).lease_until == LATER


def test_what_is_let_go_of_can_be_taken_at_once(transaction: Connection) -> None:
    begun(transaction)
    assert fetch_jobs.release(transaction, "b") == 0
    assert fetch_jobs.release(transaction, "a") == 1
    assert ids(take(transaction, "b")) == ["j-1"]


def test_all_can_be_let_go_of_where_nobody_else_lives(transaction: Connection) -> None:
    begun(transaction)
    assert fetch_jobs.release(transaction) == 1


# ---- polls ----


def test_a_poll_comes_again_in_its_turn_and_never_twice(transaction: Connection) -> None:
    job = begun(transaction, every=900, cause="")
    assert fetch_jobs.add(transaction, [new("j-2", every=900)]) == 0
    assert fetch_jobs.finish(transaction, job, "a", (2, NOW))
    assert take(transaction, now=NOW + timedelta(seconds=899)) == []
    (again,) = take(transaction, now=NOW + timedelta(seconds=900))
    assert (again.id, again.pages, again.next, again.began_at) == ("j-1", 2, "", NOW + timedelta(seconds=900))


def test_a_poll_that_fails_comes_again_in_its_turn_from_its_first_page(transaction: Connection) -> None:
    job = begun(transaction, every=900, cause="")
    fetch_jobs.advance(transaction, job, "a", (1, NOW), "page 2", "d-2")
    fetch_jobs.give_up(transaction, job, "a", NOW, "401", {})
    found = get(transaction)
    assert (found.state, found.next, found.delivery, found.last_error) == ("open", "", "", "401")
    assert found.due == NOW + timedelta(seconds=900)


def test_the_pages_of_a_poll_are_those_of_its_latest_turn(transaction: Connection) -> None:
    job = begun(transaction, every=900, cause="")
    fetch_jobs.advance(transaction, job, "a", (1, NOW), "page 2", "d-2")
    fetch_jobs.finish(transaction, job._replace(delivery="d-2"), "a", (2, NOW))
    assert [(n, d) for n, d, _ in fetch_jobs.pages_of(transaction, "j-1")] == [(1, job.delivery), (2, "d-2")]
    (again,) = take(transaction, now=LATER)
    fetch_jobs.finish(transaction, again, "a", (1, LATER))
    assert [(n, d) for n, d, _ in fetch_jobs.pages_of(transaction, "j-1")] == [(1, again.delivery)]


def test_a_cancelled_poll_rests_until_it_is_to_go_on(transaction: Connection) -> None:
    begun(transaction, every=900, cause="")
    assert fetch_jobs.cancel(transaction, "j-1", NOW)
    assert fetch_jobs.add(transaction, [new("j-2", every=900)]) == 0
    assert take(transaction, now=LATER) == []
    assert fetch_jobs.again(transaction, "j-1", LATER)
    assert ids(take(transaction, now=LATER)) == ["j-1"]


# ---- what ends badly ----


def fail(transaction: Connection, job: Job) -> None:
    failure = Failure("processing", "fetch_refused", "It said 404.", "Look.", facts={"job": job.id}).to_json()
    fetch_jobs.give_up(transaction, job, "a", NOW, "the provider answered 404", failure)


def told(transaction: Connection) -> list[tuple[str, str, bool]]:
    c = tables.failures.c
    rows = transaction.execute(select(c.delivery, c.code, c.resolved_at))
    return [(row[0], row[1], row[2] is not None) for row in rows]


def test_a_job_that_failed_is_a_failure_of_the_delivery_that_asked(transaction: Connection) -> None:
    fail(transaction, begun(transaction))
    assert get(transaction).state == "failed"
    assert told(transaction) == [("d-0", "fetch_refused", False)]


def test_a_job_that_another_has_by_now_fails_nobody(transaction: Connection) -> None:
    job = begun(transaction)
    take(transaction, "b", LATER)
    fail(transaction, job)
    assert told(transaction) == []
    assert get(transaction).state == "open"


def test_a_failed_job_does_not_hold_up_the_next(transaction: Connection) -> None:
    fail(transaction, begun(transaction))
    assert fetch_jobs.add(transaction, [new("j-2")]) == 1
    assert ids(take(transaction)) == ["j-2"]


def test_a_failed_job_goes_on_from_its_page_with_a_fresh_delivery(transaction: Connection) -> None:
    job = begun(transaction)
    fetch_jobs.advance(transaction, job, "a", (1, NOW), "page 2", "d-2")
    fail(transaction, job)
    assert fetch_jobs.again(transaction, "j-1", LATER)
    (resumed,) = take(transaction, "b", LATER)
    assert (resumed.next, resumed.pages, resumed.delivery) == ("page 2", 1, "b-1300-0")


def test_what_is_fetched_in_the_end_resolves_its_own_failure_alone(transaction: Connection) -> None:
    job = begun(transaction)
    fail(transaction, job)
    other = Failure("processing", "fetch_refused", "Another.", "Look.", facts={"job": "j-9"}).to_json()
    row = {"delivery": "d-0", "attempt": 1, "at": NOW, "class": "processing", "code": "fetch_refused", "data": other}
    owner = {"tenant": "north", "provider": "square", "connection": "teahouse", "feed": "events"}
    transaction.execute(insert(tables.failures).values({**row, **owner}))
    fetch_jobs.again(transaction, "j-1", LATER)
    fetch_jobs.finish(transaction, take(transaction, now=LATER)[0], "a", (1, LATER))
    assert sorted(told(transaction)) == [("d-0", "fetch_refused", False), ("d-0", "fetch_refused", True)]


def test_a_job_that_is_to_be_tried_again_waits(transaction: Connection) -> None:
    begun(transaction)
    fetch_jobs.postpone(transaction, "j-1", "a", LATER, "503")
    assert take(transaction, "b", UNTIL) == []
    (job,) = take(transaction, "b", LATER)
    assert (job.attempts, job.last_error) == (1, "503")


def test_a_page_that_came_forgets_the_attempts_before_it(transaction: Connection) -> None:
    job = begun(transaction)
    transaction.execute(update(tables.fetch_jobs).values(attempts=7))
    fetch_jobs.advance(transaction, job, "a", (1, NOW), "page 2", "d-2")
    assert get(transaction).attempts == 0


def test_a_cancelled_job_is_taken_by_nobody_and_makes_room_for_the_next(transaction: Connection) -> None:
    fetch_jobs.add(transaction, [new("j-1")])
    assert fetch_jobs.cancel(transaction, "j-1", NOW)
    assert not fetch_jobs.cancel(transaction, "j-1", NOW)
    assert take(transaction) == []
    assert fetch_jobs.add(transaction, [new("j-2")]) == 1


def test_a_job_that_is_cancelled_while_it_is_worked_on_is_lost_to_its_worker(transaction: Connection) -> None:
    job = begun(transaction)
    fetch_jobs.cancel(transaction, "j-1", NOW)
    assert not fetch_jobs.advance(transaction, job, "a", (1, NOW), "page 2", "d-2")


def test_a_job_that_is_done_or_worked_on_is_not_tried_again(transaction: Connection) -> None:
    job = begun(transaction)
    assert not fetch_jobs.again(transaction, "j-1", NOW)
    fetch_jobs.finish(transaction, job, "a", (1, NOW))
    assert not fetch_jobs.again(transaction, "j-1", NOW)


def test_old_jobs_that_ended_are_forgotten_with_their_pages_and_failed_ones_stay(transaction: Connection) -> None:
    fetch_jobs.finish(transaction, begun(transaction), "a", (1, NOW))
    fetch_jobs.add(transaction, [new("j-2", what="x")])
    fail(transaction, take(transaction)[0])
    assert fetch_jobs.prune(transaction, LATER) == 1
    assert ids(fetch_jobs.listed(transaction)) == ["j-2"]
    assert fetch_jobs.pages_of(transaction, "j-1") == []


def test_jobs_are_listed_by_state_and_provider(transaction: Connection) -> None:
    begun(transaction)
    assert ids(fetch_jobs.listed(transaction, state="open", provider="square")) == ["j-1"]
    assert fetch_jobs.listed(transaction, state="done") == []
    assert fetch_jobs.listed(transaction, provider="other") == []


# ---- how far the topic was read ----


def test_offsets_move_from_where_they_are_believed_to_stand_alone(transaction: Connection) -> None:
    reader_offsets.advance(transaction, "fetch", {0: (0, 5), 1: (0, 2)})
    reader_offsets.advance(transaction, "fetch", {0: (5, 9)})
    assert reader_offsets.offsets(transaction, "fetch") == {0: 9, 1: 2}
    assert reader_offsets.offsets(transaction, "other") == {}
    for stale in ({0: (5, 10)}, {1: (0, 3)}, {2: (4, 5)}):
        with pytest.raises(Moved):
            reader_offsets.advance(transaction, "fetch", stale)
