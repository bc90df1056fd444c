"""What failures are about, as the writer notes it, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from alembic import command
from sqlalchemy import insert, select

from engine.failures import Failure
from stores import schema
from stores.causes import LONGEST, About, about, about_json
from stores.database import open_database
from stores.tables import failures, metadata
from tests import postgres
from tests.flows.scenery import database, deliver, settings_in, started, stock


def test_facts_without_an_id_are_about_nothing() -> None:
    assert (
        about({"field": "price"}) == about({}) == about(None) == about({"kind": "item", "external_id": ""}) == About()
    )


@pytest.mark.parametrize("id", ["SKU-17", "pão", "a\u0000b", '"', "\\u0000"])
def test_json_and_facts_say_the_same(id: str) -> None:
    failure = Failure("mapping", "unmapped", "m", "n", facts={"kind": "item", "within": "R-1", "external_id": id})
    assert about_json(orjson.dumps(failure.to_json())) == About("item", "R-1", id.replace("\x00", ""))


def test_an_id_longer_than_an_index_holds_names_no_group() -> None:
    assert about({"kind": "item", "external_id": "x" * LONGEST}) == About()
    assert about({"kind": "", "external_id": "é" * (LONGEST // 2)}).external_id


STRICT = "unmapped: {store: create, item: reject}"


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("sku", ["SKU-17", "a\u0000b", "x" * 3000])
def test_the_writer_notes_it_whatever_the_id_holds(tmp_path: Any, sku: str) -> None:
    settings_in(tmp_path)
    file = tmp_path / "providers" / "acme.yaml"
    file.write_text(file.read_text().replace("unmapped: {store: create}", STRICT))
    settings = settings_in(tmp_path)

    async def run() -> None:
        async with started(settings) as service:
            await deliver(service, stock(**{sku: "5"}))

    asyncio.run(run())
    with database(settings) as transaction:
        rows = transaction.execute(select(failures.c.code, failures.c.external_id, failures.c.data)).all()
    assert [row.code for row in rows] != ["internal_error"]
    for row in rows:
        assert row.external_id == about(row.data.get("facts")).external_id


@pytest.mark.parametrize("server", ["sqlite", "postgres"])
def test_a_migration_notes_it_for_failures_that_are_open(
    server: str, tmp_path: Any, request: pytest.FixtureRequest
) -> None:
    def stored(url: str) -> list[tuple[str, str, str]]:
        opened = open_database(url)
        with opened.engine.connect().execution_options(writing=True) as connection, connection.begin():
            config = schema._config(connection)
            command.upgrade(config, "0009")
            old = [c for c in failures.c if c.name not in About._fields]
            fixed = {"attempt": 1, "at": 1, "tenant": "t", "provider": "p", "connection": "c", "feed": "f",
                     "class": "mapping", "code": "unmapped"}  # fmt: skip
            table = failures.to_metadata(metadata.__class__())
            for name in About._fields:
                table._columns.remove(table.c[name])
            for n, id in enumerate(["SKU-1", "a\u0000b", "x" * 3000, ""]):
                facts = {"kind": "item", "within": "R", "external_id": id} if id else {}
                for resolved in (None, 5):
                    row = {**fixed, "delivery": f"d{n}", "data": {"facts": facts}, "resolved_at": resolved}
                    connection.execute(insert(table).values(row))
            assert len(old) == len(table.c)
            command.upgrade(config, "head")
            found = connection.execute(select(failures).order_by(failures.c.id)).all()
        opened.close()
        return [(row.kind, row.within, row.external_id) for row in found]

    nothing = ("", "", "")
    wanted = [("item", "R", "SKU-1"), nothing, ("item", "R", "ab"), *[nothing] * 5]
    if server == "sqlite":
        assert stored(f"sqlite:///{tmp_path}/x.db") == wanted
        return
    with postgres.database(request.getfixturevalue("postgres_url"), migrated=False) as url:
        assert stored(url) == wanted
