"""What is done at the desk over HTTP: jobs, mappings, secrets."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete

from engine.messages import Ref
from flows.desk_mappings import suggestions
from stores import audit, desk_jobs, mappings, tables
from tests.flows.scenery import TOKEN, database, deliveries_of, stock
from tests.server.desk_visits import Visitor

pytestmark = pytest.mark.usefixtures("everywhere")

HEAD = "tenant,provider,kind,external_id,canonical_id,store\r\n"


def ended(running, job: str, state: str = "done") -> desk_jobs.Job:
    give_up = time.monotonic() + 60
    while True:
        with database(running.settings) as transaction:
            found = desk_jobs.get(transaction, job)
        assert found is not None
        if found.state == state:
            return found
        assert time.monotonic() < give_up, found
        time.sleep(0.02)


def begun(answer) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]


def mapped(running, external: str) -> list[str]:
    with database(running.settings) as transaction:
        return [m.canonical_id for m in mappings.list_mappings(transaction) if m.external_id == external]


def test_a_job_replays_what_a_filter_chooses_and_says_who_and_why(running) -> None:
    for n in range(3):
        running.post(stock(f"e-{n}", a="x"))
    running.post(stock("e-4", a="1"))
    visitor = Visitor(running, "support")
    assert "Replay 3 deliveries" in visitor.get("/desk/replay?state=failed").text
    job = ended(running, begun(visitor.post("/desk/replay", state="failed", why="try again")))
    assert (job.total, dict(job.verdicts), job.who, job.why) == (3, {"rejected": 3}, "ann", "try again")
    with database(running.settings) as transaction:
        told = [one.what for one in audit.entries(transaction)]
    assert told[:2] == ["desk.replay.done", "desk.replay"]


def test_a_cancelled_job_stops_and_goes_on_when_told(running) -> None:
    for n in range(6):
        running.post(stock(f"e-{n}", a="1"))
    visitor = Visitor(running, "support")
    job = begun(visitor.post("/desk/replay", provider="acme", why="w", rate="1"))
    visitor.post(f"/desk/jobs/{job}/cancel")
    stopped = ended(running, job, "cancelled")
    assert stopped.done < stopped.total
    assert "Continue" in visitor.get(f"/desk/jobs/{job}").text
    visitor.post(f"/desk/jobs/{job}/continue")
    visitor.post(f"/desk/jobs/{job}/cancel")
    assert ended(running, job, "cancelled").done > stopped.done


@pytest.mark.parametrize("fields", [{"state": "failed"}, {"why": "w"}, {"state": "failed", "why": "w", "rate": "x"},
                                    {"state": "accepted", "why": "w", "rate": "0"}, {"state": "stale", "why": "w"},
                                    {"since": "never", "why": "w"}])  # fmt: skip
def test_a_job_without_a_reason_a_choice_or_a_rate_is_refused(running, fields) -> None:
    running.post(stock(a="1"))
    assert Visitor(running).post("/desk/replay", **fields).status_code == 400


def test_a_table_of_mappings_is_shown_before_it_is_taken(running) -> None:
    visitor = Visitor(running, "support")
    table = f"{HEAD}north,acme,item,SKU-1,itm_1,R-1\r\n"
    shown = visitor.post("/desk/mappings/import", csv=table)
    assert "1 new, 0 changed, 0 same" in shown.text.replace("the same", "same")
    assert mapped(running, "SKU-1") == []
    taken = visitor.post("/desk/mappings/import", csv=table, do="import", why="the list")
    assert taken.status_code == 303
    assert mapped(running, "SKU-1") == ["itm_1"]


def test_a_file_of_mappings_is_read(running) -> None:
    visitor = Visitor(running, "support")
    file = ("m.csv", b"\xef\xbb\xbf" + f"{HEAD}north,acme,item,SKU-1,itm_1,\r\n".encode(), "text/csv")
    answer = visitor.client.post("/desk/mappings/import", data={"csrf": visitor.csrf}, files={"file": file})
    assert "SKU-1" in answer.text


@pytest.mark.parametrize(
    ("table", "said"),
    [("a,b\r\n1,2\r\n", "columns"), (f"{HEAD}north,acme,nokind,x,y,\r\n", "no kind"),
     (f"{HEAD}north,acme\r\n", "cells"),
     (f"{HEAD}north,acme,item,,y,\r\n", "external_id is empty"), ('"', "no CSV"), (f'{HEAD}"x', "no CSV")],
)  # fmt: skip
def test_a_table_that_cannot_be_taken_is_refused_with_the_reason(running, table, said) -> None:
    answer = Visitor(running).post("/desk/mappings/import", csv=table, do="import")
    assert answer.status_code == 400
    assert said in answer.text


def test_an_exported_formula_is_text_and_comes_back_as_it_was(running) -> None:
    visitor = Visitor(running)
    given = {"tenant": "north", "provider": "acme", "kind": "item", "external_id": "=1+1", "canonical_id": "itm_1"}
    assert visitor.post("/desk/mappings", **given).status_code == 303
    table = visitor.get("/desk/mappings/export").text
    assert "north,acme,item,'=1+1,itm_1," in table
    assert "0 new, 0 changed, 1 the same" in visitor.post("/desk/mappings/import", csv=table).text


def test_the_likest_ids_are_suggested_first(running) -> None:
    with database(running.settings, writing=True) as transaction:
        for external, canonical in (("SKU-0017", "itm_17"), ("SKU-0170", "itm_170"), ("water", "itm_w")):
            ref = Ref("item", "", external)
            mappings.set_mapping(transaction, "north", "acme", ref, canonical, datetime.now(UTC), "t")
        found = suggestions(transaction, "north", "item", "SKU-17")
    assert found[0].canonical_id == "itm_17"
    assert "itm_w" not in [one.canonical_id for one in found]


@pytest.mark.parametrize("fields", [{"name": "none", "value": "x" * 40}, {"name": "key", "value": ""},
                                    {"name": "key", "value": "short"},
                                    {"name": "key", "value": "x" * 40, "overlap": "nan"},
                                    {"name": "key", "value": "x" * 40, "overlap": "-1"}])  # fmt: skip
def test_a_secret_that_cannot_hold_is_refused(running, fields) -> None:
    answer = Visitor(running).post("/desk/connections/one/rotate", **fields)
    assert answer.status_code == 400
    assert "x" * 40 not in answer.text


def test_a_request_in_quarantine_cannot_be_edited(running) -> None:
    running.post(stock(a="5"), path="/v1/integrations/pos/acme/c/one/stock", secret="not-the-secret-of-it-01")
    [waiting] = deliveries_of(running.settings)
    visitor = Visitor(running)
    answer = visitor.post(f"/desk/deliveries/{waiting.id}/edit", body="{}", why="w", do="replay")
    assert answer.status_code == 409
    assert len(deliveries_of(running.settings)) == 1


def test_secrets_of_a_request_are_masked(running) -> None:
    path = "/v1/integrations/seller/gate/import"
    running.client.post(path, json={"store": "R-1", "items": []}, headers={"x-api-key": TOKEN})
    [one] = deliveries_of(running.settings)
    text = Visitor(running).get(f"/desk/deliveries/{one.id}").text
    assert "masked" in text
    assert TOKEN not in text


def test_a_set_is_replayed_as_then_or_as_now_and_the_preview_says_by_which_revision(running) -> None:
    running.post(stock("e-1", a="many"))
    [one] = deliveries_of(running.settings)
    file = running.settings.providers / "acme.yaml"
    text = file.read_text().replace("revision: 1", "revision: 2")
    file.write_text(text.replace("quantity: qty", 'quantity: \'qty = "many" ? "99" : qty\''))
    give_up = time.monotonic() + 60
    visitor = Visitor(running, "support")
    while "acme revision 2" not in (shown := visitor.get("/desk/replay?state=failed").text):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert "acme revision 1" in shown
    assert "revision 1 (" in visitor.get(f"/desk/deliveries/{one.id}").text
    job = begun(visitor.post("/desk/replay", state="failed", why="w", **{"as": "then"}))
    assert dict(ended(running, job).verdicts) == {"rejected": 1}
    assert "As then" in visitor.get(f"/desk/jobs/{job}").text
    answer = visitor.post(f"/desk/deliveries/{one.id}/replay", **{"as": "now"})
    assert "Replayed: accepted, 1 commands" in visitor.get(answer.headers["location"]).text


def test_a_job_says_why_a_delivery_was_not_run_as_then(running) -> None:
    running.post(stock("e-1", a="many"))
    with database(running.settings, writing=True) as transaction:
        transaction.execute(delete(tables.specs))
    visitor = Visitor(running, "support")
    assert "a file that is not kept" in visitor.get("/desk/replay?state=failed").text
    job = begun(visitor.post("/desk/replay", state="failed", why="w", **{"as": "then"}))
    assert dict(ended(running, job).verdicts) == {"not run: spec_not_kept": 1}
