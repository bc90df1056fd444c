"""A new revision of a provider file through a real server: beside the live one, in its place, and back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stores.deliveries import received_at
from tests.e2e.test_postgres import on_postgres
from tests.e2e.test_views import eventually
from tests.e2e.tiffin import Tiffin
from tests.flows.scenery import ACME, signed, stock

STOCK = "/v1/integrations/pos/acme/webhooks/stock"
ONE = ACME.replace("quantity: qty", "quantity: '\"1\"'").replace("revision: 1", "revision: 2")
"""Every quantity is 1."""
NEAR = 0.5
"""Seconds around a switch in which either revision may serve: requests under way, and a busy machine."""


def post(tiffin: Tiffin, event: str) -> str:
    body = json.dumps(stock(event, a="5")).encode()
    reply = tiffin.post(STOCK, body, signed(body))
    assert reply.status_code == 200
    return reply.headers["tiffin-delivery"]


def posted_until(tiffin: Tiffin, name: str, moment: datetime) -> list[str]:
    """Deliveries of different connections, so that every worker gets some, until a second after a moment."""
    found: list[str] = []
    while datetime.now(UTC).timestamp() < moment.timestamp() + 1.0 + NEAR:
        tiffin.client.close()
        tiffin.client = type(tiffin.client)(timeout=60)
        found.append(post(tiffin, f"{name}-{len(found)}"))
        time.sleep(0.02)
    return found


def quantities(tiffin: Tiffin) -> dict[str, str]:
    return {event["deliveryid"]: event["data"]["quantity"]["amount"] for event in tiffin.commands()}


def assert_switched(told: dict[str, str], deliveries: list[str], moment: datetime, before: str, after: str) -> None:
    seconds = {one: received_at(one).timestamp() - moment.timestamp() for one in deliveries}
    early = {told[one] for one, at in seconds.items() if at < -NEAR}
    late = {told[one] for one, at in seconds.items() if at > NEAR}
    assert (early, late) == ({before}, {after})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", ["sqlite", "postgres with two workers"])
def test_a_revision_runs_as_a_shadow_is_promoted_in_all_workers_at_once_and_rolled_back(
    server: str, installed: Callable[..., Tiffin], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = {"TIFFIN_RELOAD": "0.5"}
    options = ("--workers", "2") if server != "sqlite" else ()
    if options:
        settings |= on_postgres(request.getfixturevalue("postgres_database"))
    tiffin = installed(**settings)
    tiffin.start(*options)
    new = tmp_path / "acme.new.yaml"
    new.write_text(ONE)

    assert tiffin.done("provider", "promote", "acme").returncode == 1
    tiffin.run("provider", "shadow", "acme", "--spec", str(new), "--rate", "500")
    for n in range(30):
        post(tiffin, f"shadowed-{n}")

    def compared() -> Any:
        found = tiffin.json("provider", "shadow", "acme")
        return found["deliveries"] + found["left_out"] >= 30 and found

    found = eventually(compared)
    assert found["differing"] == found["deliveries"] > 0
    assert found["alarms"] == 0
    assert "shadow_deliveries_total" in tiffin.client.get(f"{tiffin.url}/metrics").text

    moment = datetime.fromisoformat(tiffin.json("provider", "promote", "acme", "--why", "counts")["at"])
    deliveries = posted_until(tiffin, "promoted", moment)
    tiffin.settled()
    assert_switched(quantities(tiffin), deliveries, moment, "5", "1")

    moment = datetime.fromisoformat(tiffin.json("provider", "rollback", "acme")["at"])
    deliveries = posted_until(tiffin, "returned", moment)
    assert tiffin.settled()["difference"] == 0
    assert_switched(quantities(tiffin), deliveries, moment, "1", "5")
    told = [line["what"] for line in tiffin.json("audit", "list") if line["what"].startswith("provider.")]
    assert sorted(told) == ["provider.promote", "provider.rollback", "provider.shadow"]
