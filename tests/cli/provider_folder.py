"""A folder with one provider file and its golden cases, as a checkout has them."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from cli.main import tiffin

FILE = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: official
defaults: {currency: INR}
auth: {scheme: token, header: X-Key, secret: key}
feeds:
  prices:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands:
      prices:
        command: UpdatePrice
        each: items
        when: $not(kind = "combo")
        fields: {item_id: code, price: rate}
"""
CONTEXT = """\
connection: {secrets: {key: corner-secret-0192}}
mappings: [{kind: store, external_id: S1, canonical_id: sto_1}]
"""
BODY = """{"shop": "S1", "id": "m1", "note": "x", "items": [
  {"code": "a", "rate": "10.50", "kind": "plain"}, {"code": "b", "rate": 4, "kind": "combo"}, {"code": "c", "rate": "x"}
]}"""


def folder(root: Path, file: str = FILE, body: str = BODY) -> Path:
    """Makes providers/corner.yaml and one case, `two_prices`, without a snapshot."""
    (root / "providers").mkdir()
    (root / "providers" / "corner.yaml").write_text(file)
    case = root / "tests" / "golden" / "corner" / "prices" / "two_prices"
    case.mkdir(parents=True)
    (case / "body.json").write_text(body)
    (case / "request.yaml").write_text("why: Two prices.\nheaders: {Content-Type: application/json}\n")
    (root / "tests" / "golden" / "corner" / "context.yaml").write_text(CONTEXT)
    return root


def run(*arguments: str | Path, input: str | None = None) -> Result:
    return CliRunner().invoke(tiffin, ["provider", *map(str, arguments)], input=input)
