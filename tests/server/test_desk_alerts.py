"""Alerts at the desk: admins add, test and remove them; others do not see them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from flows.journal import secret_box
from stores import alerts, audit, silences
from stores.notices import NewNotice
from tests.flows.alerting.receivers import LOOPBACK, Receiver, receiver
from tests.flows.scenery import database, settings_in
from tests.server.desk_visits import Visitor

pytestmark = pytest.mark.usefixtures("everywhere")


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def rules(running) -> list[alerts.Alert]:
    with database(running.settings) as transaction:
        return alerts.listed(transaction)


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_alerts_are_for_admins_alone(running, role) -> None:
    visitor = Visitor(running, role)
    assert visitor.get("/desk/alerts").status_code == 403
    for path in ("/desk/alerts", "/desk/alerts/al0/test", "/desk/alerts/al0/remove"):
        assert visitor.post(path, kind="quarantine", url="https://hooks.example/").status_code == 403
    assert rules(running) == []
    assert "/desk/alerts" not in visitor.get("/desk").text


def test_an_alert_is_added_shown_without_its_url_and_removed(running) -> None:
    visitor = Visitor(running)
    given = {"kind": "outbox_age", "url": "https://hooks.example/x?token=do-not-show-me", "above": "10m", "why": "w"}
    added = visitor.post("/desk/alerts", **given)
    assert (added.status_code, "whsec_" in added.text) == (200, True)
    [rule] = rules(running)
    assert (rule.above, rule.created_by) == (600, "ann")
    shown = visitor.get("/desk/alerts").text
    assert "https://hooks.example" in shown
    assert "do-not-show-me" not in added.text + shown
    assert "whsec_" not in shown
    assert visitor.post(f"/desk/alerts/{rule.id}/remove").status_code == 303
    assert rules(running) == []
    with database(running.settings) as transaction:
        assert [one.what for one in audit.entries(transaction, 2)] == ["alert.remove", "alert.add"]


@pytest.mark.parametrize(
    "wrong",
    [{"url": "ftp://x/"}, {"url": "https://a:b@x/"}, {"kind": "none"}, {"above": "x"}, {"above": "101"},
     {"within": "soon"}, {"least": "-1"}, {"remind": "1s"}],
)  # fmt: skip
def test_what_cannot_hold_is_refused_with_the_reason(running, wrong) -> None:
    answer = Visitor(running).post("/desk/alerts", **{"kind": "failure_rate", "url": "https://x.example/", **wrong})
    assert answer.status_code == 400
    assert "Not added" in answer.text
    assert rules(running) == []


@pytest.mark.parametrize("networks", [LOOPBACK, ()])
def test_a_test_is_sent_where_the_settings_allow(tmp_path, monkeypatch, start, receiving, networks) -> None:
    monkeypatch.chdir(tmp_path)
    visitor = Visitor(running := start(settings_in(tmp_path, alert_networks=networks)))
    visitor.post("/desk/alerts", kind="quarantine", url=receiving.url)
    [rule] = rules(running)
    answer = visitor.post(f"/desk/alerts/{rule.id}/test")
    if networks:
        assert (answer.status_code, receiving.types) == (303, ["alert.test"])
    else:
        assert "not public" in answer.text
        assert receiving.told == []


@pytest.mark.parametrize("what", ["test", "remove"])
def test_an_alert_that_there_is_not_is_said(running, what) -> None:
    assert Visitor(running).post(f"/desk/alerts/al0/{what}").status_code == 404


@pytest.mark.parametrize("path", ["/desk", "/desk/connections", "/desk/connections/one"])
def test_a_silent_connection_is_shown_as_long_as_its_notice_stands(running, path) -> None:
    visitor = Visitor(running, "viewer")
    assert 'bad">silent' not in visitor.get(path).text
    sealed = secret_box(running.settings).seal(b"{}")
    at = datetime(2026, 3, 1, 9, 7, 5, tzinfo=UTC)
    notice = NewNotice(at, "north", "acme", "one", silences.SILENCE, "", sealed)
    with database(running.settings, writing=True) as transaction:
        silences.put(transaction, [notice], [])
    assert "noticed" in visitor.get(path).text
    assert "2026-03-01 09:07:05" in visitor.get(path).text
    with database(running.settings, writing=True) as transaction:
        silences.put(transaction, [], ["one"])
    assert "2026-03-01 09:07:05" not in visitor.get(path).text
