"""What one transaction of the group writer makes of conclusions that meet in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, select

from engine.messages import IdempotencyKey, NewMapping, Ref
from stores import ledger, outbox, tables
from stores.batches import Batch
from stores.database import open_database
from stores.records import Committed, Conclusion, Group, RawDelivery
from stores.schema import migrate
from stores.statements import statements
from stores.writer import flight_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = IdempotencyKey("event_id:e", "event_id")
X = (NewMapping(Ref("item", "", "x"), "itm_x"),)


@pytest.fixture
def transaction(tmp_path: Path) -> Iterator[Connection]:
    database = open_database(f"sqlite:///{tmp_path / 'tiffin.db'}")
    migrate(database)
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection
    database.close()


def group(*ids: str) -> Group:
    events = [orjson.dumps({"id": id}) for id in ids]
    return Group("store", len(ids), orjson.dumps(list(ids)).decode(), outbox.pack(events))


def conclusion(delivery: str, *groups: Group, **changes: Any) -> Conclusion:
    return Conclusion(
        delivery=delivery, attempt=1, tenant="T", provider="P", connection="C", feed="F", event="", state="accepted",
        at=NOW, received_at=NOW, key=KEY, groups=groups, mappings=(), failures=(), results=b"[]", entities="[]",
        external_merchant="", external_store="", merchant_id="m", store_id="s", spec_hash="spec",
    )._replace(**changes)  # fmt: skip


def concluded(transaction: Connection, *conclusions: Conclusion) -> list[Committed]:
    """Everything in one batch, the raw deliveries first."""
    batch = Batch(transaction, statements(transaction.dialect))
    for id in sorted({one.delivery for one in conclusions}):
        raw = RawDelivery(
            id, NOW, "T", "P", "C", "F", "POST", "http://localhost/", b"[]", b"", b"{}", False, "192.0.2.1", "spec"
        )
        batch.receive(flight_of(raw, "owner", 60))
    found = [batch.conclude(one) for one in conclusions]
    batch.flush()
    return found


def test_a_replay_in_one_batch_with_its_first_attempt_writes_one_set_of_commands(transaction: Connection) -> None:
    concluded(transaction, conclusion("d1", group("a")), conclusion("d1", group("a"), attempt=2, replay=True))
    assert list(ledger.pending_ids(transaction)) == ["a"]


def test_the_same_key_in_one_batch_is_claimed_by_the_first(transaction: Connection) -> None:
    first, second = concluded(transaction, conclusion("d1", group("a")), conclusion("d2", group("a")))
    assert (first.state, second.state, second.holder) == ("accepted", "duplicate", "d1")


def test_a_duplicate_leaves_no_mapping(transaction: Connection) -> None:
    concluded(transaction, conclusion("d1", group("a")), conclusion("d2", group("b"), mappings=X))
    assert transaction.execute(select(tables.mappings.c.external_id)).all() == []
