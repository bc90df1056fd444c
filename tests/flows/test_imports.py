"""Import jobs: every format row by row, once a row, and every bad file a failure with a class."""

from __future__ import annotations

import asyncio
import csv
import functools
import gzip
import inspect
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from engine.messages import Ref, Request
from flows.importing.failed_rows import report
from flows.importing.intake import Unfit
from flows.service import Service
from flows.settings import Settings
from stores import imports, mappings, tables
from stores.import_chunks import chunk_id
from tests.flows import markets
from tests.flows.markets import admitted, imported, market_settings, told
from tests.flows.scenery import database, ledger_difference, signed, started

ROWS = 37


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return market_settings(tmp_path)


def in_loop(test: Callable[..., Any]) -> Callable[..., None]:
    """A test that runs in an event loop; where it wants a `service`, one is started with its settings."""
    named = [name for name in inspect.signature(test).parameters if name != "service"]
    wanted = [*named, *(["settings"] if "settings" not in named and "tmp_path" not in named else [])]

    async def run(given: dict[str, Any]) -> None:
        own = {name: given[name] for name in named}
        if len(named) == len(inspect.signature(test).parameters):
            await test(**own)
            return
        async with started(given["settings"], serving=False) as service:
            await test(service=service, **own)

    def wrapped(**given: Any) -> None:
        asyncio.run(run(given))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    functools.update_wrapper(wrapped, test)
    wrapped.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in wanted])  # type: ignore[attr-defined]
    return wrapped


def ids(settings: Settings) -> list[str]:
    """The ids of all commands that wait in the outbox, in order."""
    with database(settings) as transaction:
        rows = transaction.execute(select(tables.outbox.c.ids).order_by(tables.outbox.c.id)).all()
    return [id for (one,) in rows for id in (json.loads(one) if isinstance(one, str) else one)]


def problem(job: Any) -> dict[str, Any]:
    assert job.state == "failed", job
    found: dict[str, Any] = orjson.loads(job.problem)
    assert found["class"] in ("validation", "processing")
    assert found["next_step"]
    return found


FILES = {
    "a.csv": markets.table(ROWS),
    "a.tsv": markets.table(ROWS, "\t"),
    "a.csv.gz": gzip.compress(markets.table(ROWS)),
    "a.ndjson": b"\n".join(json.dumps(one).encode() for one in markets.objects(ROWS)),
    "a.json": markets.catalog(ROWS),
    "a.xml": markets.xml(ROWS),
    "a.xlsx": markets.workbook(ROWS),
    "a.parquet": markets.parquet(ROWS),
}


@pytest.mark.parametrize("name", FILES)
@in_loop
async def test_a_file_of_each_format_gives_one_command_a_row(service: Service, settings: Settings, name: str) -> None:
    job = await imported(service, FILES[name], name)
    assert (job.state, job.rows, job.failed, job.commands, job.problem) == ("done", ROWS, 0, ROWS, "")
    assert len(set(ids(settings))) == ROWS
    assert ledger_difference(settings) == 0


def _element(row: dict[str, Any]) -> bytes:
    return f"<row><sku>{row['sku']}</sku><price>{row['price']}</price></row>".encode()


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.xml", "a.ndjson"])
@in_loop
async def test_command_ids_are_those_of_the_file_sent_whole(tmp_path: Path, name: str) -> None:
    # Some entities stand several times, in one chunk and in several.
    kinds = {"a.csv": "text/csv", "a.json": "application/json", "a.xml": "text/xml", "a.ndjson": "application/x-ndjson"}
    again = [*markets.objects(15), *markets.objects(15), {"sku": "s3", "price": "9"}, {"sku": "", "price": "1"}]
    body = {
        "a.csv": "\n".join(["sku,price", *(f"{o['sku']},{o['price']}" for o in again)]).encode(),
        "a.json": json.dumps({"feed": "f1", "catalog": {"products": again}}).encode(),
        "a.xml": b"<prices>%s</prices>" % b"".join(map(_element, again)),
        "a.ndjson": b"\n".join(json.dumps(o).encode() for o in again),
    }[name]
    found = {}
    for way in ("job", "whole"):
        (tmp_path / way).mkdir()
        settings = market_settings(tmp_path / way)
        async with started(settings, serving=False) as service:
            if way == "job":
                await imported(service, body, name)
            else:
                headers = {**signed(body), "content-type": kinds[name], "x-feed-id": "f1"}
                pairs = tuple((k.encode(), v.encode()) for k, v in headers.items())
                path = "/v1/integrations/seller/market/import"
                target = service.receiver.target("seller", "market", "", "POST", "import")
                at = service._clock()
                await service.receiver.receive(target, Request("POST", path, path, (), pairs, body, "", at))
        found[way] = sorted(ids(settings))
    assert len(found["whole"]) == 31
    assert found["job"] == found["whole"]


@in_loop
async def test_other_lists_of_a_document_are_read_once(service: Service) -> None:
    shops = [{"id": "k1", "name": "Corner"}, {"id": "k2", "name": "Square"}]
    job = await imported(service, markets.catalog(ROWS, shops=shops), "a.json")
    assert (job.state, job.commands) == ("done", ROWS + 2)


@in_loop
async def test_bad_rows_are_failures_with_row_column_reason_and_fix(service: Service, settings: Settings) -> None:
    lines = markets.table(25).decode().splitlines()
    lines[13] = "s12,dear"
    lines[20] = "s19"
    lines[24] = "=s23,1.234"
    job = await imported(service, "\n".join(lines).encode(), "a.csv")
    assert (job.state, job.rows, job.failed, job.commands) == ("partial", 25, 3, 22)
    found = await told(service, job)
    assert [(f["class"], f["element"], f["path"]) for f in found] == [
        ("validation", 12, "rows[12].price"),
        ("validation", 19, "rows[19]"),
        ("validation", 23, "rows[23].price"),
    ]
    assert found[0]["place"].endswith(":17:78")
    rows = list(csv.DictReader(io.StringIO("".join(report(found)))))
    assert [(row["row"], row["column"], row["code"]) for row in rows] == [
        ("14", "price", "not_money"),
        ("21", "", "body_ragged_row"),
        ("25", "price", "too_many_decimals"),
    ]
    assert all(row["reason"] and row["fix"] for row in rows)


def test_cells_of_the_report_that_begin_like_formulas_are_defused() -> None:
    failure = {
        "message": "=HYPERLINK(1)", "next_step": "x", "class": "validation", "code": "c",
        "facts": {"row": 2, "column": "@sku"},
    }  # fmt: skip
    (row,) = csv.DictReader(io.StringIO("".join(report([failure]))))
    assert (row["column"], row["reason"]) == ("'@sku", "'=HYPERLINK(1)")


@in_loop
async def test_a_job_that_is_stopped_goes_on_where_it_ended_without_doubling(settings: Settings) -> None:
    async with started(settings, serving=False) as service:
        job = await admitted(service, markets.table(200), "a.csv")
        write = service.importer._write
        chunks = 0

        async def counted(chunk: imports.Chunk) -> imports.Written:
            nonlocal chunks
            chunks += 1
            if chunks == 7:
                service.importer.stop()
            return await write(chunk)

        service.importer._write = counted  # type: ignore[method-assign]
        left = await service.importer.run_one(job.id)
        assert left is not None
        assert (left.state, left.rows) == ("running", 70)
    async with started(settings, serving=False) as service:
        ended = await service.importer.run_next()
    assert ended is not None
    assert (ended.state, ended.rows, ended.commands) == ("done", 200, 200)
    assert len(ids(settings)) == len(set(ids(settings))) == 200
    assert ledger_difference(settings) == 0


@in_loop
async def test_a_chunk_of_a_process_that_lost_its_job_is_not_written(service: Service, settings: Settings) -> None:
    job = await admitted(service, markets.table(50), "a.csv")
    write = service.importer._write

    async def robbed(chunk: imports.Chunk) -> imports.Written:
        with database(settings, writing=True) as transaction:
            transaction.execute(tables.imports.update().values(owner="1:another"))
        return await write(chunk)

    service.importer._write = robbed  # type: ignore[method-assign]
    left = await service.importer.run_one(job.id)
    assert left is not None
    assert (left.state, left.rows) == ("running", 0)
    assert ids(settings) == []


@in_loop
async def test_a_cancelled_job_ends_at_its_next_chunk_and_the_file_sent_again_goes_on(
    service: Service, settings: Settings
) -> None:
    job = await admitted(service, markets.table(50), "a.csv")
    write = service.importer._write
    chunks = 0

    async def counted(chunk: imports.Chunk) -> imports.Written:
        nonlocal chunks
        chunks += 1
        if chunks == 3:
            with database(settings, writing=True) as transaction:
                assert imports.ask_to_cancel(transaction, job.id, service._clock())
        return await write(chunk)

    service.importer._write = counted  # type: ignore[method-assign]
    ended = await service.importer.run_one(job.id)
    assert ended is not None
    assert (ended.state, ended.rows) == ("cancelled", 20)
    chunks = 100
    again = await imported(service, markets.table(50), "a.csv")
    assert (again.state, again.commands) == ("done", 30)
    assert len(ids(settings)) == len(set(ids(settings))) == 50


@in_loop
async def test_a_file_whose_work_is_done_is_a_duplicate(service: Service, settings: Settings) -> None:
    first = await imported(service, markets.table(5), "a.csv")
    second = await imported(service, markets.table(5), "a.csv")
    assert (second.state, second.commands) == ("duplicate", 0)
    assert orjson.loads(second.problem)["facts"] == {"duplicate_of": first.id}
    assert len(ids(settings)) == 5


@in_loop
async def test_a_part_of_a_file_is_not_replayed(service: Service, settings: Settings) -> None:
    job = await imported(service, markets.table(5).replace(b"s3,", b"s3,oops"), "a.csv")
    for delivery in (job.id, chunk_id(job.id, 0)):
        told = await service.replay.one(delivery)
        assert [failure.code for failure in told.failures] == ["part_of_a_file"]
    assert len(ids(settings)) == job.commands


@in_loop
async def test_a_corrected_file_writes_only_what_was_not_written(service: Service, settings: Settings) -> None:
    first = await imported(service, markets.table(30).replace(b"s7,8.50", b"s7,oops"), "a.csv")
    assert (first.state, first.commands) == ("partial", 29)
    second = await imported(service, markets.table(30), "a.csv")
    assert (second.state, second.commands) == ("done", 1)
    assert len(ids(settings)) == len(set(ids(settings))) == 30


@in_loop
async def test_a_row_that_waits_for_a_mapping_does_not_hold_back_the_others(tmp_path: Path) -> None:
    settings = market_settings(tmp_path)
    file = settings.providers / "market.yaml"
    file.write_text(file.read_text().replace("{item: create, store: create}", "{item: park, store: create}"))
    with database(settings, writing=True) as transaction:
        now = Service(settings)._clock()
        for n in (0, 2):
            mappings.set_mapping(transaction, "north", "market", Ref("item", "", f"s{n}"), f"itm_{n}", now, "cli")
    async with started(settings, serving=False) as service:
        job = await imported(service, markets.table(3), "a.csv")
        assert (job.state, job.failed, job.commands) == ("partial", 1, 2)
        assert [(f["class"], f["element"]) for f in await told(service, job)] == [("mapping", 1)]


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 30_000_000)
    return out.getvalue()


LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><prices><row><sku>&b;</sku></row></prices>'
)
HOSTILE = {
    "a zip bomb": ("a.xlsx", bomb(), "xlsx_too_large"),
    "an entity bomb": ("a.xml", LAUGHS, "xml_doctype"),
    "an endless line": ("a.csv", b"sku,price\n" + b"x" * 3_000_000, "body_line_too_long"),
    "an endless JSON text": ("a.json", b'{"catalog": {"products": [{"sku": "' + b"x" * 3_000_000, "body_not_json"),
    "an endless element": (
        "a.json", b'{"catalog": {"products": [[' + b"1," * 900_000 + b"1]]}}", "body_element_too_long",
    ),
    "Latin-1 said to be UTF-8": ("a.csv", b"sku,price\ncaf\xe9,1\n", "body_wrong_charset"),
    "UTF-16 said to be UTF-8": ("a.csv", "sku,price\na,1\n".encode("utf-16"), "body_wrong_charset"),
    "XML in another charset than it says": ("a.xml", b"<prices><row><sku>caf\xe9</sku></row></prices>",
                                            "body_wrong_charset"),
    "a table that ends within quotes": ("a.csv", b'sku,price\n"a,1\n', "body_not_table"),
    "JSON that ends early": ("a.json", markets.catalog(30)[:-40], "body_not_json"),
    "XML that ends early": ("a.xml", markets.xml(30)[:-40], "body_not_xml"),
    "gzip that ends early": ("a.csv.gz", gzip.compress(markets.table(3000))[:-200], "body_not_gzip"),
    "a workbook that ends early": ("a.xlsx", markets.workbook(30)[:-400], "xlsx_malformed"),
    "Parquet that ends early": ("a.parquet", markets.parquet(30)[:-40], "parquet_malformed"),
    "brackets without end": ("a.json", b"[" * 100_000, "body_too_deep"),
    "a file without rows": ("a.csv", b"sku,price\n", "body_empty"),
    "an empty file": ("a.csv", b"", "body_empty"),
    "two columns of one name": ("a.csv", b"sku,sku\n1,2\n", "body_duplicate_column"),
    "JSON without the list": ("a.json", b'{"feed": "f1", "other": []}', "body_no_rows"),
    "NUL in a table": ("a.csv", b"sku,price\na\0,1\n", "body_nul"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
@in_loop
async def test_a_hostile_file_ends_in_a_classified_failure(service: Service, what: str) -> None:
    name, body, code = HOSTILE[what]
    job = await imported(service, body, name)
    assert problem(job)["code"] == code


@in_loop
async def test_what_stood_before_the_fault_of_a_file_stays_written(service: Service, settings: Settings) -> None:
    job = await imported(service, markets.table(24) + b'"open,1\n', "a.csv")
    assert problem(job)["code"] == "body_not_table"
    assert (job.rows, job.commands) == (24, 24)
    assert len(ids(settings)) == 24


@in_loop
async def test_a_file_that_expands_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    settings = market_settings(tmp_path, import_bytes=20_000)
    async with started(settings, serving=False) as service:
        job = await imported(service, gzip.compress(markets.table(40_000)), "a.csv.gz")
    assert problem(job)["code"] == "body_too_large"


@in_loop
async def test_a_file_with_too_many_bad_rows_ends(tmp_path: Path) -> None:
    settings = market_settings(tmp_path, import_failures=15)
    async with started(settings, serving=False) as service:
        job = await imported(service, markets.table(50).replace(b".50", b".x"), "a.csv")
    assert problem(job)["code"] == "too_many_failures"
    assert job.failed == 10


@in_loop
async def test_a_file_of_a_format_that_the_feed_does_not_take_is_no_job(service: Service) -> None:
    with pytest.raises(Unfit) as refused:
        await admitted(service, b"x", "a.edi", content_type="application/edi-x12")
    assert refused.value.failure.code == "content_type_unsupported"


@in_loop
async def test_bytes_that_are_no_workbook_are_no_job(service: Service) -> None:
    with pytest.raises(Unfit) as refused:
        await admitted(service, b"sku,price\n", "a.xlsx")
    assert refused.value.failure.code == "xlsx_malformed"


@in_loop
async def test_a_message_without_its_key_fails_before_any_row(service: Service, settings: Settings) -> None:
    job = await imported(service, markets.table(5), "a.csv", x_feed_id="")
    assert problem(job)["code"] == "key_part_missing"
    assert ids(settings) == []


@in_loop
async def test_a_feed_that_compares_whole_messages_takes_no_files(tmp_path: Path) -> None:
    settings = market_settings(tmp_path)
    file = settings.providers / "market.yaml"
    rule = "{command: UpsertStore, each: catalog.shops, fields"
    file.write_text(file.read_text().replace(rule, rule.replace(", fields", ", emit: changed, fields"), 1))
    async with started(settings, serving=False) as service:
        with pytest.raises(Unfit) as refused:
            await admitted(service, markets.table(5), "a.csv")
    assert refused.value.failure.code == "import_impossible"


@in_loop
async def test_a_serving_process_runs_jobs_that_another_left(settings: Settings) -> None:
    async with started(settings, serving=False) as service:
        job = await admitted(service, markets.table(50), "a.csv")
    with database(settings, writing=True) as transaction:
        # No process has this id: the largest that there may be is 4,194,304.
        transaction.execute(tables.imports.update().values(owner="4999999:gone", state="running"))
    async with started(settings) as service, asyncio.timeout(30):
        found = None
        while found is None or found.state == "running":
            found = await service.journal.read(lambda t: imports.get(t, job.id))
    assert (found.state, found.commands) == ("done", 50)
