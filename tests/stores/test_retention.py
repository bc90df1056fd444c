from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import Connection, func, select, text

from engine.messages import IdempotencyKey
from stores import counters, deliveries, failures, ledger, outbox, retention, tables
from stores.writer import flight_of
from tests.stores.writers import NOW, Writer, conclusion, event_key, group, later, raw

DAY = 86_400.0
CUTOFF = later(1)


@pytest.fixture
def writer(database_url: str) -> Iterator[Writer]:
    writer = Writer(database_url)
    yield writer
    writer.close()


def publish_all(connection: Connection) -> None:
    ids = list(connection.scalars(select(tables.outbox.c.id)))
    outbox.mark_published(connection, ids, NOW)


def accepted(writer: Writer, *ids: str) -> None:
    """Deliveries that are done, their commands on the bus."""
    writer.receive(*ids)
    writer.conclude(*(conclusion(id, event_key(id), group(f"{id}-1", f"{id}-2")) for id in ids))
    writer.write(publish_all)


def removed(writer: Writer, before=CUTOFF, limit: int = 100) -> int:
    return writer.write(lambda c: retention.remove_deliveries(c, before, limit, None))[0].deliveries


def count(writer: Writer, table: str) -> int:
    return writer.read(lambda c: c.scalar(select(func.count()).select_from(tables.metadata.tables[table])))


def failed(cls: str = "mapping") -> tuple:
    return ((cls, "unmapped", orjson.dumps({"code": "unmapped"})),)


def test_a_delivery_goes_with_its_outcome_and_its_key(writer: Writer) -> None:
    accepted(writer, "d1")
    assert removed(writer) == 1
    assert [count(writer, name) for name in ("deliveries", "outcomes", "keys")] == [0, 0, 0]


def test_a_delivery_that_is_not_old_enough_stays(writer: Writer) -> None:
    accepted(writer, "d1")
    assert removed(writer, before=NOW) == 0
    assert count(writer, "deliveries") == 1


def test_the_ledger_balances_whatever_is_removed(writer: Writer) -> None:
    accepted(writer, "d1", "d2")
    assert removed(writer) == 2
    assert writer.read(ledger.ledger).difference == 0
    writer.write(lambda c: retention.remove_published(c, CUTOFF, 1))
    found = writer.read(ledger.ledger)
    assert (found.recorded, found.published, found.difference) == (4, 4, 0)
    assert count(writer, "published") == 1


def test_a_delivery_with_an_open_failure_keeps_its_request_until_it_is_resolved(writer: Writer) -> None:
    writer.receive("d1")
    writer.conclude(conclusion("d1", event_key("1"), state="failed", failures=failed()))
    assert removed(writer) == 0
    assert writer.read(lambda c: deliveries.get(c, "d1")).body == b"{}"
    writer.write(lambda c: failures.resolve_delivery(c, "d1", 2, "support", NOW))
    assert removed(writer) == 1
    assert count(writer, "failures") == 0


def test_a_request_that_did_not_verify_goes_though_nobody_resolves_it(writer: Writer) -> None:
    writer.receive("d1")
    writer.conclude(conclusion("d1", None, state="quarantined", failures=failed("auth")))
    assert removed(writer) == 1


def test_a_delivery_in_flight_stays(writer: Writer) -> None:
    writer.receive("d1")
    assert removed(writer) == 0


def test_a_delivery_whose_commands_wait_for_the_bus_stays(writer: Writer) -> None:
    writer.receive("d1")
    writer.conclude(conclusion("d1", event_key("1"), group("a")))
    assert removed(writer) == 0


def test_a_key_that_another_delivery_claimed_stays_when_a_duplicate_goes(writer: Writer) -> None:
    writer.write(flight_of(raw("d2")._replace(received_at=later(100)), "owner", 60))
    writer.conclude(conclusion("d2", event_key("same"), group("a"), received_at=later(100)))
    writer.receive("d1")
    writer.conclude(conclusion("d1", event_key("same"), group("a")))
    assert removed(writer) == 1
    assert count(writer, "keys") == 1


def test_what_is_kept_is_passed_by_and_the_rest_is_reached(writer: Writer) -> None:
    writer.receive("d1")
    accepted(writer, "d2", "d3")
    place, total, rounds = None, 0, 0
    while True:
        step = writer.write(lambda c, at=place: retention.remove_deliveries(c, CUTOFF, 1, at))[0]
        total, place, rounds = total + step.deliveries, step.next, rounds + 1
        if place is None:
            break
    assert (total, rounds, count(writer, "deliveries")) == (2, 4, 1)


def test_published_rows_go_oldest_first_and_only_old_ones(writer: Writer) -> None:
    accepted(writer, "d1")
    writer.receive("d2")
    writer.conclude(conclusion("d2", event_key("2"), group("b")))
    writer.write(lambda c: outbox.mark_published(c, list(c.scalars(select(tables.outbox.c.id))), later(10)))
    assert writer.write(lambda c: retention.remove_published(c, CUTOFF, 100)) == [1]
    assert writer.read(lambda c: list(c.scalars(select(tables.published.c.delivery)))) == ["d2"]


def test_windows_go_a_day_after_they_have_passed_and_keys_without_one_stay(writer: Writer) -> None:
    writer.receive("d1", "d2")
    writer.conclude(conclusion("d1", IdempotencyKey("payload_hash:h", "payload_hash", window=60), group("a")))
    writer.conclude(conclusion("d2", event_key("e"), group("b")))
    assert writer.write(lambda c: retention.remove_windows(c, later(60 + DAY), 10)) == [0]
    assert writer.write(lambda c: retention.remove_windows(c, later(61 + DAY), 10)) == [1]
    assert writer.read(lambda c: list(c.scalars(select(tables.keys.c.key_text)))) == ["event_id:e"]


def test_the_time_before_which_deliveries_were_removed_never_falls(writer: Writer) -> None:
    accepted(writer, "d1")
    removed(writer, before=later(100))
    accepted(writer, "d2")
    removed(writer, before=later(50))
    assert writer.read(ledger.removed_before) == later(100)
    assert retention.BEFORE not in writer.read(counters.all_counts)


def test_the_bus_is_behind_beyond_so_many_rows(writer: Writer) -> None:
    writer.receive("d1", "d2")
    writer.conclude(*(conclusion(id, event_key(id), group(id)) for id in ("d1", "d2")))
    assert [writer.read(lambda c, n=n: retention.bus_is_behind(c, n)) for n in (1, 2)] == [True, False]


def test_a_deliverys_id_says_when_it_was_received() -> None:
    at = NOW + timedelta(milliseconds=5)
    assert deliveries.received_at(f"{int(at.timestamp() * 1000):012x}{'0' * 32}") == at


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM keys WHERE (tenant, provider, key_text) IN (VALUES ('T', 'P', 'k')) AND delivery IN ('d')",
        "SELECT received_at, id FROM deliveries WHERE received_at < 5 ORDER BY received_at, id LIMIT 5",
        "SELECT tenant FROM keys WHERE until < 5 ORDER BY until LIMIT 5",
    ],
)
def test_no_step_reads_a_whole_table(tmp_path, statement: str) -> None:
    from stores.database import open_database

    database = open_database(f"sqlite:///{tmp_path}/plan.db")
    tables.metadata.create_all(database.engine)
    with database.engine.connect() as connection:
        plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]
    database.close()
    assert not [line for line in plan if line.startswith(("SCAN keys", "SCAN deliveries")) and "INDEX" not in line], (
        plan
    )
