"""Drift of live payloads through a real server: the notice, the golden case made of it, and its test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.test_views import eventually
from tests.e2e.tiffin import Tiffin
from tests.flows.observing.golden import golden
from tests.flows.scenery import signed, stock

STOCK = "/v1/integrations/pos/acme/webhooks/stock"


@pytest.mark.timeout(180)
def test_a_new_field_becomes_a_notice_that_becomes_a_golden_case(tiffin: Tiffin, tmp_path: Path) -> None:
    golden(tmp_path)
    tiffin.run("provider", "test", "acme", "--root", str(tmp_path), "--update", "--yes")
    for n in range(3):
        document = {**stock(f"e-{n}", a="5"), "courier": "Mira Devi"}
        body = json.dumps(document).encode()
        assert tiffin.post(STOCK, body, signed(body)).status_code == 200
    [notice] = eventually(lambda: tiffin.json("notice", "list", "--kind", "drift"))
    assert notice["shown"]["says"] == "stock: courier is new (text)"
    assert "Mira" not in json.dumps(notice)
    assert 'tiffin_drifts_total{feed="stock",kind="new_field",provider="acme"} 1.0' in metrics(tiffin)
    made = tiffin.json("provider", "add-case", "acme", str(notice["id"]), "--root", str(tmp_path))
    assert (made["verdict"], made["commands"]) == ("accepted", 1)
    assert tiffin.run("provider", "test", "acme", "--root", str(tmp_path)) == "2 cases, 0 differ\n"
    assert tiffin.json("notice", "list", "--kind", "drift") == []
    assert tiffin.stop() == 0


def metrics(tiffin: Tiffin) -> str:
    return tiffin.client.get(f"{tiffin.url}/metrics").text
