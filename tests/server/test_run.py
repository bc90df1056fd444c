from __future__ import annotations

import socket

import pytest
from pydantic import SecretStr

from server.admin import UnsafeBind
from server.run import AddressTaken, OneWorkerOnly, Serving, run


def test_a_port_in_use_is_refused_before_the_data_folder_is_made(settings):
    fresh = settings.model_copy(update={"data": settings.data.parent / "fresh"})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AddressTaken, match=f"Cannot listen on 127.0.0.1:{port}.*--port"):
            Serving(fresh, "127.0.0.1", port)
    assert not fresh.data.exists()


def test_a_host_that_is_not_this_machines_is_refused(settings):
    guarded = settings.model_copy(update={"admin_key": SecretStr("k" * 32)})
    with pytest.raises(AddressTaken, match=r"198\.51\.100\.7"):
        Serving(guarded, "198.51.100.7", 0)


def test_the_public_url_follows_the_address_unless_it_is_set(settings):
    assert Serving(settings, "127.0.0.1", 0).settings.public_url.startswith("http://127.0.0.1:")
    named = settings.model_copy(update={"public_url": "https://tiffin.example"})
    named.model_fields_set.add("public_url")
    assert Serving(named, "127.0.0.1", 0).settings.public_url == "https://tiffin.example"


def test_a_wide_bind_without_an_admin_key_is_refused(settings):
    with pytest.raises(UnsafeBind):
        Serving(settings, "0.0.0.0", 0)


def test_several_workers_on_sqlite_are_refused(settings):
    with pytest.raises(OneWorkerOnly, match="TIFFIN_DATABASE_URL"):
        run(settings, port=0, workers=2)
