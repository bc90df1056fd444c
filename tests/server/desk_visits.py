"""Visitors of the desk for its tests."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import httpx

from flows.desk_sessions import make_link
from tests.flows.scenery import database


def link(settings, role: str = "admin", who: str = "ann", at: datetime | None = None) -> str:
    """The code of a one-time link."""
    with database(settings, writing=True) as transaction:
        return make_link(transaction, who, role, at or datetime.now(UTC))


class Visitor:
    """Somebody who is signed in and fills forms in as a browser does."""

    def __init__(self, running, role: str = "admin", who: str = "ann") -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=30)
        answer = self.client.post("/desk/sign-in", data={"key": link(running.settings, role, who)})
        assert answer.status_code == 303, answer.text
        self.csrf = self.token("/desk")

    def token(self, path: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.client.get(path).text)
        assert found is not None
        return found[1]

    def get(self, path: str, **options) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf, **fields})
