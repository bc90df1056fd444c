"""Suggested mappings: from the catalogue's events to what a person decides, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, func, select

from bus.messages import Stored
from engine.messages import Ref
from flows import suggested_mappings
from flows.consume.alike import Normalizer, Told, told_of
from flows.suggested_mappings import NotOpen
from stores import alike, audit, mappings
from stores.alike import A_SIDE, FormKey, Suggestion
from stores.database import open_database
from stores.tables import alike_blocks, normal_forms
from stores.views import Advance, Moved

T0 = datetime(2026, 3, 1, tzinfo=UTC)


class Pantry:
    """A database with a normalizer whose clock goes on a second with each look."""

    def __init__(self, url: str) -> None:
        self.database = open_database(url)
        self.at, self.offset = T0, 0
        self.normalizer = Normalizer(self.read, self.write, self.now)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def read(self, job: Callable[[Connection], Any]) -> Any:
        with self.database.engine.connect() as connection:
            return job(connection)

    def write(self, job: Callable[[Connection], Any]) -> Any:
        with self.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    def map(self, provider: str, external: str, canonical: str, *, tenant: str = "north", kind: str = "item") -> None:
        ref = Ref(kind, "", external)
        self.write(lambda c: mappings.set_mapping(c, tenant, provider, ref, canonical, T0, "test"))

    def tell(self, *events: dict[str, Any]) -> None:
        """One batch."""
        messages = [Stored(self.offset + n, "", b"", orjson.dumps(event)) for n, event in enumerate(events)]
        self.normalizer.take(messages, [Advance(0, self.offset, self.offset + len(events))])
        self.offset += len(events)

    def told(
        self, provider: str, id: str, name: str, /, owner: str = "mer_1", tenant: str = "north", **state: Any
    ) -> dict[str, Any]:
        """An item that is mapped, and the event that tells of it."""
        self.map(provider, f"x-{id}", id, tenant=tenant)
        return changed(id, name, owner, tenant, **state)

    def suggestions(self, state: str = "open") -> list[Suggestion]:
        return self.read(lambda c: alike.listed(c, {"state": state}))

    def pairs(self, state: str = "open") -> list[tuple[str, str, str]]:
        return [(one.external_id, one.current_id, one.suggested_id) for one in self.suggestions(state)]

    def decide(self, decision: Any, id: int) -> Any:
        return self.write(lambda c: decision(c, id, who="cli:ann", why="looked", at=self.now()))


@pytest.fixture
def pantry(database_url: str) -> Iterator[Pantry]:
    made = Pantry(database_url)
    yield made
    made.database.close()


def changed(id: str, name: str, owner: str = "mer_1", tenant: str = "north", **state: Any) -> dict[str, Any]:
    data = {"merchant_id": "mer_1", "kind": "item", "id": id, "state": {"name": name, **state}}
    place = {"store_id": owner} if owner.startswith("sto") else {"merchant_id": owner}
    return {"type": "tiffin.ItemChanged.v1", "tenant": tenant, "data": {**data, **place}}


def test_the_same_thing_of_another_provider_is_suggested_for_the_later_one(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Basmati Rice 500 g"), pantry.told("till", "itm_2", "Brown Rice 500 g"))
    pantry.tell(pantry.told("shop", "itm_0", "Rice, Basmati 0.5 kg"))
    (one,) = pantry.suggestions()
    assert (one.tenant, one.provider, one.ref) == ("north", "shop", Ref("item", "", "x-itm_0"))
    assert (one.current_id, one.suggested_id, one.state) == ("itm_0", "itm_1", "open")
    assert (one.score, one.because) == (99, "'basmati rice' and 'basmati rice', 500 g")


def test_the_same_thing_in_another_store_is_suggested_and_in_the_same_one_not(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal", "sto_1"), pantry.told("till", "itm_2", "Dal", "sto_1"))
    assert pantry.pairs() == []
    pantry.tell(pantry.told("till", "itm_3", "Dal", "sto_2"))
    ((external, current, suggested),) = pantry.pairs()
    assert (external, current, suggested in ("itm_1", "itm_2")) == ("x-itm_3", "itm_3", True)


def test_two_in_one_batch_are_compared(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"), pantry.told("shop", "itm_2", "DAL"))
    assert pantry.pairs() == [("x-itm_2", "itm_2", "itm_1")]


def test_another_tenants_goods_are_never_suggested(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"), pantry.told("shop", "itm_2", "Dal", tenant="south"))
    assert pantry.pairs() == []


def test_only_the_likeliest_is_suggested_and_a_likelier_one_replaces_it(pantry: Pantry) -> None:
    pantry.tell(
        pantry.told("till", "itm_1", "Paneer Tikka Masala"), pantry.told("till", "itm_2", "Panner Tikka Masale"),
        pantry.told("shop", "itm_3", "Paner Tikka Masala"),
    )  # fmt: skip
    assert [(one.suggested_id, one.score) for one in pantry.suggestions()] == [("itm_1", 97)]
    pantry.tell(changed("itm_2", "Paner Tikka Masala"))
    assert [(one.suggested_id, one.score) for one in pantry.suggestions()] == [("itm_2", 99)]


def test_a_shared_barcode_is_enough(pantry: Pantry) -> None:
    codes = {"barcodes": ["8901234567890"]}
    pantry.tell(pantry.told("till", "itm_1", "Old", **codes), pantry.told("shop", "itm_2", "New", **codes))
    assert [(one.suggested_id, one.score) for one in pantry.suggestions()] == [("itm_1", 100)]


def test_what_is_told_again_unchanged_is_not_compared_again(pantry: Pantry) -> None:
    first, second = pantry.told("till", "itm_1", "Dal"), pantry.told("shop", "itm_2", "Dal")
    pantry.tell(first, second)
    (one,) = pantry.suggestions()
    pantry.write(lambda c: alike.withdraw(c, one.id))
    pantry.tell(first, second)
    assert pantry.pairs() == []


def test_an_accepted_suggestion_maps_the_external_id_and_is_told_in_the_audit(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"), pantry.told("shop", "itm_2", "Dal"))
    (one,) = pantry.suggestions()
    pantry.decide(suggested_mappings.accept, one.id)
    ref = Ref("item", "", "x-itm_2")
    assert pantry.read(lambda c: mappings.resolve(c, "north", "shop", [ref])) == {ref: "itm_1"}
    assert pantry.pairs("accepted") == [("x-itm_2", "itm_2", "itm_1")]
    (entry,) = pantry.read(audit.entries)
    assert (entry.who, entry.what, entry.target, entry.why) == (
        "cli:ann", "mapping.suggestion.accept", "x-itm_2", "looked",
    )  # fmt: skip
    assert pantry.read(lambda c: c.scalar(select(func.count()).select_from(normal_forms))) == 1


def test_a_rejected_suggestion_does_not_return_either_way(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"), pantry.told("shop", "itm_2", "Dal"))
    pantry.decide(suggested_mappings.reject, pantry.suggestions()[0].id)
    pantry.tell(changed("itm_1", "Dal fry"), changed("itm_2", "Dal fry"))
    assert pantry.pairs() == []
    backwards = pantry.suggestions("rejected")[0]
    turned = alike.Suggested("north", "till", Ref("item", "", "x-itm_1"), backwards.suggested_id, "itm_2", 99, "")
    assert pantry.write(lambda c: alike.suggest(c, turned, T0)) is False


@pytest.mark.parametrize("decision", [suggested_mappings.accept, suggested_mappings.reject])
def test_a_suggestion_is_decided_once(pantry: Pantry, decision: Any) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"), pantry.told("shop", "itm_2", "Dal"))
    id = pantry.suggestions()[0].id
    pantry.decide(decision, id)
    with pytest.raises(NotOpen, match="by cli:ann"):
        pantry.decide(decision, id)
    with pytest.raises(NotOpen, match="no such"):
        pantry.decide(decision, 999)


def test_a_suggestion_about_what_was_mapped_otherwise_meanwhile_is_not_accepted(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"), pantry.told("shop", "itm_2", "Dal"))
    pantry.map("shop", "x-itm_2", "itm_9")
    with pytest.raises(NotOpen, match="mapped to itm_9 by now"):
        pantry.decide(suggested_mappings.accept, pantry.suggestions()[0].id)
    assert pantry.pairs() != []


def test_what_was_retired_is_not_suggested(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"))
    retired = {"merchant_id": "mer_1", "kind": "item", "id": "itm_1"}
    pantry.tell({"type": "tiffin.Retired.v1", "tenant": "north", "data": retired})
    pantry.tell(pantry.told("shop", "itm_2", "Dal"))
    assert pantry.pairs() == []
    assert pantry.read(lambda c: c.scalar(select(func.count()).select_from(normal_forms))) == 1


def test_a_large_block_costs_a_bounded_look(pantry: Pantry) -> None:
    pantry.tell(*(pantry.told(f"p{n:03}", f"itm_{n:03}", "Rice") for n in range(3 * A_SIDE)))
    one = pantry.read(lambda c: alike.forms_of(c, [FormKey("north", "mer_1", "item", "itm_015")]))
    (kept,) = one.values()
    assert len(pantry.read(lambda c: alike.near(c, kept, ["w:rice:1x"]))) == 2 * A_SIDE


def test_offsets_that_another_has_moved_leave_no_suggestion(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"))
    pantry.offset = 7
    with pytest.raises(Moved):
        pantry.tell(pantry.told("shop", "itm_2", "Dal"))
    assert pantry.pairs() == []
    assert pantry.normalizer.offsets() == {0: 1}


def test_a_new_name_leaves_no_block_of_the_old_one(pantry: Pantry) -> None:
    pantry.tell(pantry.told("till", "itm_1", "Dal"))
    pantry.tell(changed("itm_1", "Rice"))
    found = pantry.read(lambda c: set(c.scalars(select(alike_blocks.c.block))))
    assert found == {"w:rice:1x", "p:rice:1x"}


def test_what_is_no_event_of_the_catalogue_is_passed_over() -> None:
    values = [b"", b"{}", b"[]", b'{"type": "x", "data": {}}', b'{"type":"t.ItemChanged.v1","tenant":"t","data":[]}']
    assert told_of([Stored(n, "", b"", value) for n, value in enumerate(values)]) == Told({}, [])
