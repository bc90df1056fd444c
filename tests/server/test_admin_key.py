import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import SecretStr
from starlette.responses import PlainTextResponse

from flows.admin_keys import ROLES, AdminKeys, create
from flows.journal import StoreUnavailable
from flows.settings import Settings
from server import admin
from server.admin import AdminKey, UnsafeBind, refuse_unsafe_bind, role_for
from tests.flows.scenery import database


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_bind_needs_no_key(host):
    refuse_unsafe_bind(Settings(_env_file=None), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "tiffin.example", ""])
def test_a_wider_bind_without_a_key_is_refused_and_says_what_to_set(host):
    with pytest.raises(UnsafeBind, match="TIFFIN_ADMIN_KEY"):
        refuse_unsafe_bind(Settings(_env_file=None), host)


def test_a_wider_bind_with_a_key_is_allowed():
    refuse_unsafe_bind(Settings(_env_file=None, admin_key="a-long-random-key"), "0.0.0.0")


async def away(_):
    raise StoreUnavailable


def now() -> datetime:
    return datetime(2026, 1, 18, 12, tzinfo=UTC)


def get(path: str, authorization: bytes | None = None) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(
            AdminKey(PlainTextResponse("in"), AdminKeys(SecretStr("the-key"), away, away, now))
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            headers = [] if authorization is None else [(b"authorization", authorization)]
            return await client.get(path, headers=headers)

    return asyncio.run(asked())


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/openapi.json", "/healthz/x", "/v1/deliveries", "/v1/integrationsx/"]
)
def test_a_guarded_path_asks_for_the_key(path):
    assert get(path).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/deliveries/abc"])
def test_health_and_receipts_need_no_key(path):
    assert get(path).status_code == 200


def test_the_key_opens_a_guarded_path():
    assert get("/metrics", b"Bearer the-key").text == "in"


@pytest.mark.parametrize("given", [b"Bearer the-kez", b"Bearer", b"Basic the-key", b"the-key", b"Bearer \xff"])
def test_anything_but_the_key_does_not(given):
    assert get("/metrics", given).status_code == 401


def test_every_answer_carries_the_security_headers():
    headers = get("/healthz").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.fixture
def tokens(settings) -> dict[str, str]:
    """A token of each role."""
    at = datetime.now(UTC)
    with database(settings, writing=True) as transaction:
        return {role: create(transaction, role, role, at=at, by="cli:me") for role in ROLES}


def test_once_a_key_was_made_nobody_is_let_in_without_one(settings, start, tokens):
    client = start(settings).client
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": f"Bearer {tokens['viewer']}"}).status_code == 200


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("support", 403), ("admin", 405)])
def test_what_changes_something_needs_an_admin_where_nothing_else_is_said(settings, start, tokens, role, status):
    client = start(settings).client
    assert client.post("/metrics", headers={"authorization": f"Bearer {tokens[role]}"}).status_code == status


def test_a_key_cannot_be_looked_up_while_the_database_is_away_and_that_is_said():
    assert get("/metrics", b"Bearer tfn_000000000000_" + b"A" * 43).status_code == 503


def test_a_route_may_need_another_role_than_others(monkeypatch):
    monkeypatch.setattr(admin, "ROLES_OF", (("/v1/replays", "support", "support"),))
    assert [role_for("GET", "/v1/replays/1"), role_for("POST", "/v1/replays")] == ["support", "support"]
    assert role_for("POST", "/v1/replaysx") == "admin"
