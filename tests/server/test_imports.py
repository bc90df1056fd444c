"""Files over HTTP: above the feed's limit a body becomes a job, once its signature holds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from stores import tables
from tests.flows import markets
from tests.flows.scenery import database, signed

PATH = "/v1/integrations/seller/market/import"
ROWS = 400


@pytest.fixture
def running(tmp_path, monkeypatch, start):
    monkeypatch.chdir(tmp_path)
    return start(markets.market_settings(tmp_path))


def send(running, body, kind="text/csv", secret=None, chunked=False, **more):
    options = {} if secret is None else {"secret": secret}
    headers = {**signed(body, **options), "content-type": kind, "x-feed-id": "f1", **more}
    return running.client.post(PATH, content=iter((body[:999], body[999:])) if chunked else body, headers=headers)


def followed(running, job) -> Iterator[tuple[str, dict]]:
    """The events of a job, until it ends."""
    with running.client.stream("GET", f"/v1/imports/{job}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        event = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield event, json.loads(line.removeprefix("data: "))


def jobs_of(running) -> int:
    with database(running.settings) as transaction:
        return transaction.scalar(select(func.count()).select_from(tables.imports))


def spooled(running) -> list[str]:
    return [file.name for file in (running.settings.data / "imports").glob("*")]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_above_the_feeds_limit_becomes_a_job_that_can_be_followed_to_its_end(running, chunked) -> None:
    answer = send(running, markets.table(ROWS), chunked=chunked)
    assert answer.status_code == 202
    told = answer.json()
    assert answer.headers["location"] == told["links"]["self"]
    *_, (event, last) = followed(running, told["id"])
    assert event == "ended"
    assert (last["state"], last["rows"], last["commands"], last["failed"]) == ("done", ROWS, ROWS, 0)
    assert running.client.get(f"/v1/imports/{told['id']}").json() == last


def test_a_body_within_the_limit_stays_a_webhook(running) -> None:
    for chunked in (False, True):
        assert send(running, markets.table(5), chunked=chunked).status_code == 200
    assert jobs_of(running) == 0


def test_a_small_body_becomes_a_job_where_its_sender_asks_for_it(running) -> None:
    assert send(running, markets.table(5), prefer="respond-async").status_code == 202


@pytest.mark.parametrize("chunked", [False, True])
def test_a_wrong_signature_makes_no_job_and_leaves_no_file(running, chunked) -> None:
    answer = send(running, markets.table(ROWS), secret="another-secret-of-the-tests", chunked=chunked)
    assert answer.status_code == 401
    assert jobs_of(running) == 0
    assert spooled(running) == []


def test_a_file_changed_by_one_byte_makes_no_job(running) -> None:
    body = markets.table(ROWS)
    headers = {**signed(body), "content-type": "text/csv", "x-feed-id": "f1"}
    assert running.client.post(PATH, content=body[:-2] + b"1\n", headers=headers).status_code == 401
    assert jobs_of(running) == 0


def test_failed_rows_come_as_csv(running) -> None:
    job = send(running, markets.table(ROWS).replace(b"s7,8.50", b"s7,dear")).json()["id"]
    *_, (_, last) = followed(running, job)
    assert (last["state"], last["failed"]) == ("partial", 1)
    answer = running.client.get(f"/v1/imports/{job}/failures.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["row"], row["column"], row["class"]) == ("9", "price", "validation")


def test_a_format_that_the_feed_does_not_take_is_refused_with_what_it_takes(running) -> None:
    answer = send(running, markets.table(ROWS), kind="application/edi-x12")
    assert answer.status_code == 415
    assert answer.json()["code"] == "content_type_unsupported"
    assert "csv" in answer.json()["facts"].get("accepted", answer.json()["detail"])
    assert spooled(running) == []


def test_a_file_beyond_the_largest_is_refused(tmp_path, monkeypatch, start) -> None:
    monkeypatch.chdir(tmp_path)
    running = start(markets.market_settings(tmp_path, import_bytes=3000))
    assert send(running, markets.table(ROWS)).status_code == 413
    assert jobs_of(running) == 0


def test_an_ended_job_cannot_be_cancelled(running) -> None:
    job = send(running, markets.table(ROWS)).json()["id"]
    list(followed(running, job))
    answer = running.client.post(f"/v1/imports/{job}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_ended")


def test_an_unknown_job_is_not_found(running) -> None:
    for path in ("", "/events", "/failures.csv"):
        assert running.client.get(f"/v1/imports/{'0' * 44}{path}").status_code == 404


def test_who_holds_the_id_reads_a_job_and_only_the_admin_lists_and_cancels(tmp_path, monkeypatch, start) -> None:
    monkeypatch.chdir(tmp_path)
    from pydantic import SecretStr

    running = start(markets.market_settings(tmp_path, admin_key=SecretStr("an-admin-key-of-the-tests")))
    job = send(running, markets.table(ROWS)).json()["id"]
    assert running.client.get(f"/v1/imports/{job}").status_code == 200
    assert running.client.get("/v1/imports").status_code == 401
    assert running.client.post(f"/v1/imports/{job}/cancel").status_code == 401


def test_jobs_and_rows_are_counted(running) -> None:
    list(followed(running, send(running, markets.table(ROWS)).json()["id"]))
    told = running.client.get("/metrics").text
    assert f'tiffin_import_rows_total{{feed="import",provider="market",result="read"}} {ROWS}.0' in told
    assert 'tiffin_imports_total{feed="import",provider="market",state="done"} 1.0' in told
