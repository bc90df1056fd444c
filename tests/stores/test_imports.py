"""Import jobs in the store: taken by one, written in order, ended once; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from engine.messages import IdempotencyKey, NewMapping, Ref
from stores import import_keys, imports, mappings, tables
from stores.database import Database, open_database
from stores.import_chunks import chunk_id
from stores.imports import Chunk, Job
from stores.records import Conclusion, RawDelivery
from stores.schema import migrate
from tests import postgres

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
JOB = Job("0" * 43 + "1", NOW, "north", "market", "stall", "import", "POST", "/x", b"[]", b"", "", "csv", "a.csv", 9,
          "00", 10)  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        found = open_database(f"sqlite:///{tmp_path}/jobs.db")
        migrate(found)
        yield found
        found.close()
        return
    with postgres.database(request.getfixturevalue("postgres_url")) as url:
        found = open_database(url)
        yield found
        found.close()


def writing(database: Database, job: Any) -> Any:
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        return job(connection)


def raw(delivery: str) -> RawDelivery:
    return RawDelivery(
        delivery, NOW, "north", "market", "stall", "import", "IMPORT", "x", b"[]", b"", b"", False, "", ""
    )


def conclusion(delivery: str, **changes: Any) -> Conclusion:
    made = Conclusion(
        delivery, 1, "north", "market", "stall", "import", "", "accepted", NOW, NOW, None, (), (), (), b"[]", "[]",
        "", "", "", "", "", whole=JOB.id,
    )  # fmt: skip
    return made._replace(**changes)


def chunk(number: int, owner: str = "a", **changes: Any) -> Chunk:
    delivery = chunk_id(JOB.id, number)
    return Chunk(JOB.id, owner, number, raw(delivery), conclusion(delivery, **changes), 10, 1, 5, 8, 100)


def begun(database: Database, owner: str = "a") -> None:
    writing(database, lambda c: imports.add(c, JOB))
    assert writing(database, lambda c: imports.take(c, owner, NOW, LATER, JOB.id)) is not None


def written(database: Database, one: Chunk) -> imports.Written:
    found: imports.Written = writing(database, lambda c: imports.write_chunk(c, one, NOW, LATER))
    return found


def job_of(database: Database) -> Job:
    with database.engine.connect() as connection:
        found = imports.get(connection, JOB.id)
    assert found is not None
    return found


def count(connection: Connection, table: Any) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def test_a_job_is_taken_by_one_until_its_lease_has_expired(database: Database) -> None:
    begun(database)
    assert writing(database, lambda c: imports.take(c, "b", NOW, LATER, JOB.id)) is None
    assert writing(database, lambda c: imports.take(c, "b", LATER, LATER, JOB.id)) is not None
    assert not writing(database, lambda c: imports.renew(c, JOB.id, "a", LATER))


def test_a_chunk_and_the_progress_stand_together_and_once(database: Database) -> None:
    begun(database)
    assert written(database, chunk(0)).stopped == ""
    assert written(database, chunk(0)).stopped == "lost"
    assert written(database, chunk(2)).stopped == "lost"
    assert written(database, chunk(1, "b")).stopped == "lost"
    job = job_of(database)
    assert (job.chunks, job.rows, job.failed, job.at_byte, job.seen_bytes) == (1, 10, 1, 5, 8)
    with database.engine.connect() as connection:
        assert count(connection, tables.outcomes) == count(connection, tables.deliveries) == 1
        assert count(connection, tables.in_flight) == 0


def test_nothing_of_a_chunk_is_written_where_an_id_was_mapped_meanwhile(database: Database) -> None:
    begun(database)
    ref = Ref("item", "", "s1")
    writing(database, lambda c: mappings.set_mapping(c, "north", "market", ref, "itm_set", NOW, "cli"))
    found = written(database, chunk(0, mappings=(NewMapping(ref, "itm_made"),)))
    assert found.committed is not None
    assert found.committed.remapped
    assert job_of(database).chunks == 0


def test_a_job_that_is_to_end_writes_no_more(database: Database) -> None:
    begun(database)
    assert writing(database, lambda c: imports.ask_to_cancel(c, JOB.id, NOW))
    assert written(database, chunk(0)).stopped == "cancelled"


def test_the_key_is_burned_with_the_end_of_the_job(database: Database) -> None:
    key = IdempotencyKey("event_id:1", "event_id")
    begun(database)
    assert writing(database, lambda c: import_keys.begin(c, JOB, key)).holder == ""
    end = conclusion(JOB.id, key=key)
    finish = (JOB.id, "a", "done", NOW, "", raw(JOB.id), end)
    assert writing(database, lambda c: imports.finish(c, *finish))  # type: ignore[arg-type]
    assert not writing(database, lambda c: imports.finish(c, *finish))  # type: ignore[arg-type]
    other = JOB._replace(id="2")
    writing(database, lambda c: imports.add(c, other))
    assert writing(database, lambda c: import_keys.begin(c, other, key)).holder == JOB.id


def test_the_same_file_twice_at_once_has_one_holder(database: Database) -> None:
    key = IdempotencyKey("event_id:1", "event_id")
    begun(database)
    writing(database, lambda c: import_keys.begin(c, JOB, key))
    other = JOB._replace(id="2")
    writing(database, lambda c: imports.add(c, other))
    assert writing(database, lambda c: import_keys.begin(c, other, key)).holder == JOB.id
