"""A till shop's account at Square as a set-up: its file asks a recorded server in the place of Square's host."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.e2e.tiffin import ROOT, Tiffin
from tests.recorded import Asked, Recorded

CASES = ROOT / "tests" / "golden" / "square"
HOST = "https://connect.squareup.com"
KEY, TOKEN = "teahouse-signature-key-5521", "teahouse-access-token-33170"
EVENTS = "/v1/integrations/pos/square/c/teahouse/events"
FIRST = json.loads((CASES / "catalog" / "a_page_that_another_follows" / "body.json").read_bytes())
LAST = json.loads((CASES / "catalog" / "the_last_page" / "body.json").read_bytes())


def install(
    folder: Path, recorded: Recorded, *, change: Callable[[str], str] = lambda text: text, **settings: str
) -> Tiffin:
    """A data folder with the connection, not started."""
    providers = folder / "providers"
    providers.mkdir()
    text = (ROOT / "providers" / "square.yaml").read_text()
    assert HOST in text
    (providers / "square.yaml").write_text(change(text.replace(HOST, recorded.url)))
    given = {"TIFFIN_FETCH_ALLOW": "127.0.0.1/32", **settings}
    tiffin = Tiffin(folder / "data", TIFFIN_PROVIDERS=str(providers), **given)
    secrets = [option for name, value in (("signature_key", KEY), ("access_token", TOKEN))
               for option in ("--secret", f"{name}={value}")]  # fmt: skip
    if "TIFFIN_DATABASE_URL" in settings:
        tiffin.run("migrate")
    options = ("--tenant", "north", "--id", "teahouse", "--merchant", "mer_teahouse", "--key", "MLTEAHOUSE0001")
    tiffin.run("connection", "add", "square", *options, *secrets)
    return tiffin


def tell(tiffin: Tiffin, number: int = 1) -> str:
    """Says that the catalogue has changed; the id of the delivery."""
    told = json.loads((CASES / "events" / "catalogue_changed" / "body.json").read_bytes())
    body = json.dumps({**told, "event_id": f"5f0c1f5e-0001-4000-8000-{number:012}"}).encode()
    signed = hmac.new(KEY.encode(), f"{tiffin.url}{EVENTS}".encode() + body, hashlib.sha256).digest()
    headers = {"content-type": "application/json", "x-square-hmacsha256-signature": base64.b64encode(signed).decode()}
    answer = tiffin.post(EVENTS, body, headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def awaited(tiffin: Tiffin, found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `found` finds, once it finds something."""
    give_up = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < give_up, [line for line in tiffin.log if "fetch" in str(line)]
        time.sleep(0.05)
    return result


def ended(tiffin: Tiffin, state: str = "done", count: int = 1) -> list[dict[str, Any]]:
    """The fetches of a state, once there are so many."""

    def there() -> bool:
        if "TIFFIN_DATABASE_URL" in tiffin.environment:
            return len(tiffin.json("fetch", "list", "--state", state)) >= count
        # Asked of the database, which is quicker than the command.
        with closing(sqlite3.connect(f"file:{tiffin.data}/tiffin.db?mode=ro", uri=True)) as database:
            (found,) = database.execute("SELECT count(*) FROM fetch_jobs WHERE state = ?", (state,)).fetchone()
        return int(found) >= count

    awaited(tiffin, there)
    jobs: list[dict[str, Any]] = tiffin.json("fetch", "list", "--state", state)
    return jobs


def catalogue(tiffin: Tiffin) -> dict[str, int]:
    """How many commands of each type the pages gave."""
    counts: dict[str, int] = {}
    for event in tiffin.commands():
        name = event["type"].split(".")[1]
        counts[name] = counts.get(name, 0) + 1
    return counts


def cursors(asked: list[Asked]) -> list[str | None]:
    return [one.json.get("cursor") for one in asked]
