"""A checkout with golden cases of acme beside the providers of a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.flows.scenery import SECRET

SHOWN = {"event": "g-1", "store": "R-1", "note": "fresh today",
         "items": [{"sku": "golden-a", "qty": "5", "kind": "plain"}, {"sku": "golden-b", "qty": 2}]}  # fmt: skip


def golden(root: Path, document: Any = SHOWN, feed: str = "stock") -> Path:
    """Makes the case `two_items` of a feed of acme, without a snapshot; returns the folder of golden cases."""
    folder = root / "tests" / "golden"
    case = folder / "acme" / feed / "two_items"
    case.mkdir(parents=True)
    (case / "body.json").write_text(json.dumps(document))
    (case / "request.yaml").write_text("why: Two items.\nheaders: {Content-Type: application/json}\n")
    (folder / "acme" / "context.yaml").write_text(
        f"connection: {{id: one, tenant: north, keys: [R-1], secrets: {{key: {SECRET}}}}}\nmappings: []\n"
    )
    return folder
