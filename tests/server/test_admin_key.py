import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from flows.settings import Settings
from server.admin import AdminKey, UnsafeBind, refuse_unsafe_bind


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_bind_needs_no_key(host):
    refuse_unsafe_bind(Settings(_env_file=None), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "tiffin.example", ""])
def test_a_wider_bind_without_a_key_is_refused_and_says_what_to_set(host):
    with pytest.raises(UnsafeBind, match="TIFFIN_ADMIN_KEY"):
        refuse_unsafe_bind(Settings(_env_file=None), host)


def test_a_wider_bind_with_a_key_is_allowed():
    refuse_unsafe_bind(Settings(_env_file=None, admin_key="a-long-random-key"), "0.0.0.0")


def get(path: str, authorization: bytes | None = None) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(AdminKey(PlainTextResponse("in"), "the-key"))
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
