"""The desk in a real browser: what fails is understood, mended and replayed; whatever came is shown as text."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bus.log import EmbeddedLog
from bus.topics import CATALOG_COMMANDS
from engine.messages import Ref
from flows.alerting.kinds import new_alert
from flows.alerting.telling import message
from server.desk import live
from stores import alerts, audit, mappings, silences
from stores.alerts import Changes, Standing
from stores.notices import NewNotice
from tests.flows.scenery import add_connection, database, deliveries_of, settings_in, stock
from tests.server.desk_visits import link

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("TIFFIN_TEST_CHROMIUM", "/usr/bin/chromium")
GENEROUS = 60.0
NEW_SECRET = "a-newer-secret-of-the-tests-02"

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium (TIFFIN_TEST_CHROMIUM)")

STRICT = """
spec: tiffin/v1
provider: strict
title: Strict Stock
family: pos
revision: 1
evidence: assumed
defaults: {currency: INR, unit: each}
auth: {scheme: hmac, algorithm: sha256, secret: key, signature: {header: X-Signature}}
unmapped: {store: create, item: reject}
feeds:
  stock:
    scope: {store: store}
    idempotency: {event_id: [event]}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields: {item_id: sku, quantity: qty, condition: {from: state, lookup: {G: good, D: damaged}}}
"""
SHELF = """
spec: tiffin/v1
provider: shelf
title: Shelf
family: pos
revision: 1
evidence: assumed
defaults: {currency: INR}
auth: {scheme: hmac, algorithm: sha256, secret: key, signature: {header: X-Signature}}
unmapped: {store: create}
feeds:
  menu:
    scope: {store: store}
    idempotency: {event_id: [event]}
    commands:
      items:
        command: UpsertMenuItem
        each: items
        snapshot: {within: store, guard: 50%}
        fields: {item_id: sku, name: sku}
"""
HOSTILE = (
    "<script>window.hit=1</script><img src=x onerror=window.hit=1>\"'&{{7*7}}</textarea></pre>\u202e\u0007\u0000\ud800"
)
PAGES = (
    "/desk", "/desk/deliveries", "/desk/failures", "/desk/mappings", "/desk/jobs", "/desk/connections",
    "/desk/connections/one", "/desk/providers", "/desk/providers/strict", "/desk/audit", "/desk/alerts",
)  # fmt: skip


# One for each test: while it runs, its event loop stands in the way of other tests' own.
@pytest.fixture
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path: Path, start, monkeypatch) -> Any:
    """A server with the providers of the scenery and two more."""
    monkeypatch.chdir(tmp_path)
    settings_in(tmp_path)
    (tmp_path / "providers" / "strict.yaml").write_text(STRICT)
    (tmp_path / "providers" / "shelf.yaml").write_text(SHELF)
    settings = settings_in(tmp_path, max_body=200_000)
    from tests.flows.scenery import SECRET

    add_connection(settings, "strict", "three", secrets={"key": SECRET})
    add_connection(settings, "shelf", "four", secrets={"key": SECRET})
    return start(settings)


@pytest.fixture
def signed_in(served, chromium) -> Iterator[Callable[..., Any]]:
    """Opens a page of somebody who is signed in by a link; no request may go elsewhere, and no script may fail."""
    contexts, elsewhere, wrong = [], [], []
    own = f"http://127.0.0.1:{served.port}/"

    def open_(role: str = "admin", **options: Any) -> Any:
        context = chromium.new_context(base_url=own, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(GENEROUS * 1000)
        page.on("request", lambda asked: None if asked.url.startswith(own) else elsewhere.append(asked.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"/desk/sign-in#{link(served.settings, role)}")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/desk")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert elsewhere == []
    assert wrong == []


def eventually(found: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + GENEROUS
    while not (value := found()):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return value


def states(served) -> list[str]:
    return [one.state for one in deliveries_of(served.settings)]


def audited(served, what: str) -> audit.Entry:
    with database(served.settings) as transaction:
        return next(one for one in audit.entries(transaction) if one.what == what)


def on_the_bus(served) -> list[bytes]:
    log = EmbeddedLog(served.settings.data / "bus.db")
    try:
        return [one.value for one in log.read(CATALOG_COMMANDS, 0, 1000)]
    finally:
        log.close()


def finished(page: Any) -> None:
    page.locator(".jobstate", has_text="done").wait_for()


@pytest.mark.usefixtures("everywhere")
def test_a_request_with_a_wrong_signature_is_accepted_once_its_secret_is_mended(served, signed_in) -> None:
    served.post(stock(a="5"), path="/v1/integrations/pos/acme/c/one/stock", secret=NEW_SECRET)
    assert states(served) == ["quarantined"]
    page = signed_in()
    page.get_by_role("link", name="Connections").click()
    page.get_by_role("link", name="one", exact=True).click()
    page.get_by_label("New value").fill(NEW_SECRET)
    page.locator("form", has_text="Replace the secret").get_by_label("Why").fill("the provider changed it")
    page.get_by_role("button", name="Replace the secret").click()
    page.get_by_role("status").wait_for()
    assert NEW_SECRET not in page.content()
    # The directory of connections is looked at anew after half a second.
    eventually(lambda: b"" if served.post(stock("e-9"), secret=NEW_SECRET).status_code == 401 else b"ok")
    page.get_by_role("button", name="Verify the quarantine again").click()
    finished(page)
    assert set(states(served)) == {"accepted"}
    assert audited(served, "connection.rotate").why == "the provider changed it"


@pytest.mark.usefixtures("everywhere")
def test_an_unmapped_sku_is_mapped_from_its_group_and_its_deliveries_reach_the_bus(served, signed_in) -> None:
    path = "/v1/integrations/pos/strict/webhooks/stock"
    for n in range(3):
        served.post(stock(f"e-{n}", **{"SKU-17": str(n)}), path=path)
    page = signed_in("support")
    page.get_by_role("link", name="Failures", exact=True).click()
    page.get_by_role("link", name="SKU-17").click()
    assert "3 deliveries since" in page.locator("h1").inner_text()
    page.get_by_label("Canonical id").fill("itm_seventeen")
    page.get_by_role("button", name="Map it").click()
    page.get_by_role("heading", name="Replay 3 deliveries").wait_for()
    page.get_by_label("Why").fill("mapped by hand")
    page.get_by_role("button", name="Replay 3").click()
    finished(page)
    assert states(served) == ["accepted"] * 3
    commands = eventually(lambda: [one for one in on_the_bus(served) if b"itm_seventeen" in one])
    assert commands
    page.goto("/desk/failures")
    assert "No failure is open." in page.locator("main").inner_text()


@pytest.mark.usefixtures("everywhere")
def test_a_value_that_a_lookup_has_not_is_added_from_its_group(served, signed_in) -> None:
    wrong = {"event": "e-3", "store": "R-1", "items": [{"sku": "a", "qty": "1", "state": "X"}]}
    with database(served.settings, writing=True) as transaction:
        ref = Ref("item", "R-1", "a")
        mappings.set_mapping(transaction, "north", "strict", ref, "itm_a", datetime.now(UTC), "test")
    served.post(wrong, path="/v1/integrations/pos/strict/webhooks/stock")
    page = signed_in("support")
    page.goto("/desk/failures")
    page.get_by_role("link", name="condition X").click()
    page.get_by_label("damaged").check()
    page.get_by_label("Why").fill("a new code of theirs")
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("heading", name="Replay 1 delivery").wait_for()
    page.get_by_label("Why").fill("added")
    page.get_by_role("button", name="Replay 1").click()
    finished(page)
    assert states(served) == ["accepted"]
    commands = eventually(lambda: [one for one in on_the_bus(served) if b'"damaged"' in one])
    assert commands


@pytest.mark.usefixtures("everywhere")
def test_a_parked_snapshot_is_accepted(served, signed_in) -> None:
    path = "/v1/integrations/pos/shelf/webhooks/menu"
    served.post(stock("e-1", a="1", b="1", c="1", d="1"), path=path)
    served.post(stock("e-2", a="1"), path=path)
    assert states(served) == ["accepted", "parked"]
    page = signed_in("support")
    page.goto("/desk/deliveries?state=parked")
    page.locator("tbody a").first.click()
    page.locator("form", has_text="Accept the snapshot").get_by_label("Why").fill("the kitchen closed")
    page.get_by_role("button", name="Accept the snapshot").click()
    page.get_by_role("status").wait_for()
    assert states(served) == ["accepted", "accepted"]
    assert audited(served, "delivery.accept").why == "the kitchen closed"


@pytest.mark.usefixtures("everywhere")
def test_an_edited_replay_leaves_the_original_and_an_entry_in_the_audit(served, signed_in) -> None:
    served.post(stock("e-1", a="five"))
    [original] = deliveries_of(served.settings)
    page = signed_in("support")
    page.goto(f"/desk/deliveries/{original.id}")
    page.get_by_role("link", name="Edit and replay").click()
    body = page.get_by_label("Body")
    body.fill(body.input_value().replace("five", "5"))
    page.get_by_role("button", name="Show the difference").click()
    assert '"five"' in page.locator(".removed").last.inner_text()
    page.get_by_label("Why").fill("the till wrote words")
    page.get_by_role("button", name="Replay as edited").click()
    page.get_by_text("An operator made it of").wait_for()
    kept, edited = deliveries_of(served.settings)
    assert (kept.id, kept.body, kept.state) == (original.id, original.body, original.state)
    assert (edited.state, b'"5"' in edited.body) == ("accepted", True)
    entry = audited(served, "delivery.edit")
    assert (entry.target, entry.why, entry.who) == (original.id, "the till wrote words", "ann")
    page.goto("/desk/audit")
    assert page.get_by_text("the till wrote words").is_visible()


def test_a_viewer_is_offered_no_action(served, signed_in) -> None:
    served.post(stock(**{"SKU-17": "1"}), path="/v1/integrations/pos/strict/webhooks/stock")
    served.post(stock(a="5"), path="/v1/integrations/pos/acme/c/one/stock", secret=NEW_SECRET)
    page = signed_in("viewer")
    ids = [one.id for one in deliveries_of(served.settings)]
    for path in (*PAGES, *(f"/desk/deliveries/{id}" for id in ids)):
        page.goto(path)
        forms = page.locator("form[method=post]")
        assert [forms.nth(n).get_attribute("action") for n in range(forms.count())] == ["/desk/sign-out"], path


def alerted(served, name: str) -> None:
    """Keeps an alert of a provider and a connection of this name, which stands and was not taken."""
    at = datetime.now(UTC)
    url = "https://hooks.example/"
    rule = new_alert("quarantine", url, provider=name, connection=name, who=name, at=at)
    told = message(rule, "alert.firing", name, 9, 5, at, at, "http://127.0.0.1")
    with database(served.settings, writing=True) as transaction:
        alerts.add(transaction, rule, b"", b"", name)
        changes = Changes(
            (Standing(rule.id, name, 9, at, at, 0, None),), (), (told._replace(attempts=1, problem=name),)
        )
        alerts.apply(transaction, changes, at)
        silences.put(transaction, [NewNotice(at, "north", "strict", "three", silences.SILENCE, "", b"")], [])


def all_pages(served) -> list[str]:
    ids = [one.id for one in deliveries_of(served.settings)]
    return [*PAGES, *(f"/desk/deliveries/{id}" for id in ids), *(f"/desk/deliveries/{id}/edit" for id in ids)]


@pytest.mark.usefixtures("everywhere")
def test_a_hostile_payload_is_shown_as_text_on_every_page(served, signed_in) -> None:
    path = "/v1/integrations/pos/strict/webhooks/stock"
    hostile = HOSTILE.replace("\ud800", "").replace("\u0000", "")
    served.post(stock(hostile, store=hostile, **{hostile: hostile}), path=path)
    served.post({"event": "e-7", "store": "R-1", "items": [{"sku": "a", "qty": "1", "state": hostile}]}, path=path)
    served.post(b'{"event": "x", "store": "' + b"\xff\x00\x1b" + hostile.encode() + b'"', path=path)
    served.client.post(
        f"{path}?q=%3Cscript%3E", content=b"<script>window.hit=1</script>", headers={"x-signature": hostile.encode()}
    )
    alerted(served, hostile)
    page = signed_in()
    page.goto("/desk/failures")
    links = page.locator("tbody a")
    groups = [links.nth(n).get_attribute("href") for n in range(links.count())]
    assert groups
    seen = 0
    for one in (*all_pages(served), *groups, "/desk/deliveries?text=%3Cscript%3Ewindow.hit%3D1%3C%2Fscript%3E"):
        answer = page.goto(one)
        assert answer.status in (200, 409), one
        assert page.evaluate("window.hit") is None, one
        assert page.locator("img, main script").count() == 0, one
        text = page.locator("body").inner_text()
        assert not set(text) & {"\u202e", "\u0007", "\u0000", "\u001b"}, one
        seen += "<script>window.hit=1</script>" in text
    assert seen >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_pass_the_checks_of_axe(served, signed_in, scheme) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    served.post(stock(a="5"))
    served.post(stock(**{"SKU-17": "1"}), path="/v1/integrations/pos/strict/webhooks/stock")
    served.post(stock("e-2", a="5"), path="/v1/integrations/pos/acme/c/one/stock", secret=NEW_SECRET)
    wrong = {"event": "e-3", "store": "R-1", "items": [{"sku": "a", "qty": "1", "state": "X"}]}
    served.post(wrong, path="/v1/integrations/pos/strict/webhooks/stock")
    alerted(served, "strict")
    page = signed_in(color_scheme=scheme, bypass_csp=True)
    page.goto("/desk/failures")
    links = page.locator("tbody a")
    groups = [links.nth(n).get_attribute("href") for n in range(links.count())]
    assert len(groups) == 3
    preview = "/desk/replay?state=failed"
    for one in (*all_pages(served), *groups, preview, "/desk/sign-in", "/desk/nothing"):
        page.goto(one)
        found = axe.Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == [], one


def test_the_overview_draws_the_hours_and_follows_what_comes(served, signed_in) -> None:
    page = signed_in()
    fetched: list[str] = []
    page.on("request", lambda asked: fetched.append(asked.url))
    page.locator(".chart canvas").wait_for()
    served.post(stock(a="5"))
    page.locator(".figures", has_text="accepted").wait_for()
    assert [url for url in fetched if url.endswith("/desk")] == []
    page.locator(".chart canvas").wait_for()


def test_the_overview_is_fetched_anew_where_no_stream_is_to_be_had(served, signed_in, monkeypatch) -> None:
    monkeypatch.setattr(live, "MOST", 0)
    page = signed_in()
    served.post(stock(a="5"))
    page.locator(".figures", has_text="accepted").wait_for()


def test_no_page_is_wider_than_a_phone(served, signed_in) -> None:
    served.post(stock(**{"SKU-17": "1"}), path="/v1/integrations/pos/strict/webhooks/stock")
    page = signed_in(viewport={"width": 360, "height": 740})
    for one in all_pages(served):
        page.goto(one)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, one


def test_the_keyboard_alone_opens_a_delivery(served, signed_in) -> None:
    served.post(stock(a="5"))
    page = signed_in()
    page.goto("/desk/deliveries")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('tbody') !== null"):
            break
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Delivery").wait_for()
