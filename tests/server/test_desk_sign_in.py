"""Who may see and do what at the desk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from flows import admin_keys
from server.desk.sessions import MOST_TRIES
from tests.flows.scenery import database, deliveries_of, settings_in, stock
from tests.server.desk_visits import Visitor, link

PAGES = (
    "/desk", "/desk/deliveries", "/desk/failures", "/desk/mappings", "/desk/jobs", "/desk/connections",
    "/desk/providers", "/desk/providers/acme", "/desk/connections/one", "/desk/audit",
)  # fmt: skip
ACTIONS = (
    "/desk/deliveries/ID/replay", "/desk/deliveries/ID/accept", "/desk/deliveries/ID/edit", "/desk/failures/map",
    "/desk/replay", "/desk/jobs/x/cancel", "/desk/jobs/x/continue", "/desk/mappings", "/desk/mappings/import",
    "/desk/connections/one/rotate", "/desk/connections/one/verify", "/desk/failures/lookup", "/desk/alerts",
    "/desk/alerts/al0/test", "/desk/alerts/al0/remove", "/desk/audit/export",
)  # fmt: skip


def audited(settings) -> list[str]:
    from stores import audit

    with database(settings) as transaction:
        return [one.what for one in audit.entries(transaction)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_sends_a_stranger_to_sign_in(running, page) -> None:
    answer = running.client.get(page)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/desk/sign-in?next=%2Fdesk")


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_sees_every_page(running, page) -> None:
    running.post(stock(a="5"))
    answer = Visitor(running, "viewer").get(page)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_may_do_no_action(running, action) -> None:
    running.post(stock(a="5"))
    [delivery] = deliveries_of(running.settings)
    visitor = Visitor(running, "viewer")
    before = audited(running.settings)
    answer = visitor.post(action.replace("ID", delivery.id), why="x", name="key", value="a-new-secret-0123456789")
    assert answer.status_code == 403
    assert audited(running.settings) == before


def test_support_may_not_replace_secrets(running) -> None:
    answer = Visitor(running, "support").post("/desk/connections/one/rotate", name="key", value="x" * 40)
    assert answer.status_code == 403


def test_the_admin_key_signs_in_as_admin(tmp_path, start, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    running = start(settings_in(tmp_path, admin_key="a-long-admin-key"))
    answer = running.client.post("/desk/sign-in", data={"key": "a-long-admin-key", "next": "/desk/audit"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/audit")
    assert "key:TIFFIN_ADMIN_KEY (admin)" in running.client.get("/desk").text


def test_a_session_ends_with_the_key_that_it_began_by(running) -> None:
    at = datetime.now(UTC)
    with database(running.settings, writing=True) as transaction:
        token = admin_keys.create(transaction, "ben", "support", at=at, by="test")
    assert running.client.post("/desk/sign-in", data={"key": token}).status_code == 303
    assert "key:ben (support)" in running.client.get("/desk").text
    with database(running.settings, writing=True) as transaction:
        admin_keys.revoke(transaction, "ben", at=at, by="test")
    assert running.client.get("/desk").status_code == 303


def test_a_link_works_once(running) -> None:
    code = link(running.settings)
    assert running.client.post("/desk/sign-in", data={"key": code}).status_code == 303
    assert httpx.post(f"{running.client.base_url}/desk/sign-in", data={"key": code}).status_code == 401


def test_a_link_runs_out(running) -> None:
    code = link(running.settings, at=datetime.now(UTC) - timedelta(minutes=16))
    assert running.client.post("/desk/sign-in", data={"key": code}).status_code == 401


def test_a_link_is_no_session(running) -> None:
    code = link(running.settings)
    assert running.client.get("/desk", headers={"cookie": f"tiffin_desk={code}"}).status_code == 303


def test_sign_ins_that_fail_are_refused_after_some(running) -> None:
    for _ in range(MOST_TRIES):
        assert running.client.post("/desk/sign-in", data={"key": "wrong"}).status_code == 401
    answer = running.client.post("/desk/sign-in", data={"key": link(running.settings)})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("key", ["", "\x00", "é" * 3000, "x" * 100_000], ids=["none", "nul", "accents", "long"])
def test_a_strange_key_is_refused(running, key) -> None:
    assert running.client.post("/desk/sign-in", data={"key": key}).status_code in (400, 401)


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example/desk", "/desk\\@evil.example"])
def test_signing_in_leads_nowhere_else(running, next) -> None:
    answer = running.client.post("/desk/sign-in", data={"key": link(running.settings), "next": next})
    assert answer.headers["location"] == "/desk"


def test_the_cookie_is_kept_from_scripts_and_other_sites(tmp_path, start, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    running = start(settings_in(tmp_path, public_url="https://tiffin.example"))
    answer = running.client.post("/desk/sign-in", data={"key": link(running.settings)})
    cookie = answer.headers["set-cookie"].lower()
    assert all(said in cookie for said in ("httponly", "samesite=strict", "secure", "path=/desk"))


def test_a_form_without_its_token_does_nothing(running) -> None:
    running.post(stock(a="5"))
    [delivery] = deliveries_of(running.settings)
    visitor = Visitor(running)
    for token in ("", "x", Visitor(running, who="ben").csrf):
        answer = visitor.client.post(f"/desk/deliveries/{delivery.id}/replay", data={"csrf": token})
        assert answer.status_code == 403
    assert "delivery.replay" not in audited(running.settings)


@pytest.mark.parametrize("header", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_a_form_of_another_site_does_nothing(running, header) -> None:
    visitor = Visitor(running)
    answer = visitor.client.post("/desk/connections/one/verify", data={"csrf": visitor.csrf}, headers=header)
    assert answer.status_code == 403


def test_signing_out_ends_the_session(running) -> None:
    visitor = Visitor(running)
    cookies = dict(visitor.client.cookies)
    assert visitor.post("/desk/sign-out").status_code == 303
    assert httpx.get(f"{running.client.base_url}/desk", cookies=cookies).status_code == 303


def test_pages_forbid_scripts_and_addresses_of_others(running) -> None:
    policy = Visitor(running).get("/desk").headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "unsafe" not in policy[0]
    assert "default-src 'none'" in policy[0]


@pytest.mark.parametrize(
    "path", ["/desk/nothing", "/desk/deliveries/x", "/desk/jobs/x", "/desk/providers/x", "/desk/connections/x",
             "/desk/static/../app.py", "/desk/static/none.js", "/desk/failures/group?code=x"],
)  # fmt: skip
def test_what_is_not_there_is_said_to_be_missing(running, path) -> None:
    assert Visitor(running).get(path).status_code == 404


@pytest.mark.parametrize("query", ["since=yesterday", "until=0", "since=99999-01-01"])
def test_a_time_that_cannot_be_read_is_named(running, query) -> None:
    answer = Visitor(running).get(f"/desk/deliveries?{query}")
    assert answer.status_code == 400
    assert "is no time" in answer.text


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("name", ["text", "sku", "store", "code", "id", "tenant", "below"])
def test_a_strange_filter_finds_nothing(running, name) -> None:
    visitor = Visitor(running)
    for value in ("\x00", "%", "'; --", "\ud800".encode("utf-8", "surrogatepass"), "é\u202e" * 400):
        assert visitor.get("/desk/deliveries", params={name: value}).status_code == 200


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_nul_wherever_it_stands_is_no_fault(running, action) -> None:
    running.post(stock(a="wrong"))
    [delivery] = deliveries_of(running.settings)
    names = ("why", "name", "value", "kind", "url", "known", "tenant", "provider", "feed", "cls", "code", "external_id",
             "within", "canonical_id", "delivery", "state", "connection", "csv", "body", "do", "since")  # fmt: skip
    visitor = Visitor(running)
    given = dict.fromkeys(names, "\x00item") | {"kind": "item\x00", "cls": "mapping"}
    assert visitor.post(action.replace("ID", delivery.id), **given).status_code < 500
    assert visitor.post(action.replace("ID", "%00").replace("one", "%00"), **given).status_code < 500
    assert visitor.get(action.replace("ID", "%00"), params=given).status_code < 500
