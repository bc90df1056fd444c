from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.tiffin import ROOT, Tiffin
from tests.flows.scenery import ACME, SECRET

TOKEN = "Bearer till-token-of-the-tests-01"
STORE = "tills1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Callable[..., Tiffin]]:
    """Makes a set-up with a connection to two providers: one signs and sends event ids, one does neither."""
    made: list[Tiffin] = []

    def install(**settings: str) -> Tiffin:
        providers = tmp_path / "providers"
        providers.mkdir()
        shutil.copy(ROOT / "providers" / "petpooja.yaml", providers)
        (providers / "acme.yaml").write_text(ACME)
        tiffin = Tiffin(tmp_path / "data", TIFFIN_PROVIDERS=str(providers), **settings)
        made.append(tiffin)
        if "TIFFIN_DATABASE_URL" in settings:
            tiffin.run("migrate")
        options = ("--tenant", "north", "--key")
        tiffin.run("connection", "add", "acme", *options, "R-1", "--secret", f"key={SECRET}")
        tiffin.run("connection", "add", "petpooja", *options, STORE, "--secret", f"client_authorization={TOKEN}")
        tiffin.run("mapping", "set", "petpooja", "store", STORE, "sto_tills", "--tenant", "north")
        return tiffin

    yield install
    for tiffin in made:
        tiffin.close()


@pytest.fixture
def tiffin(installed: Callable[..., Tiffin]) -> Tiffin:
    """A running server."""
    found = installed()
    found.start()
    return found


def rounds(default: int) -> int:
    """How often something is to be killed: TIFFIN_TEST_KILLS sets it for all such tests."""
    return int(os.environ.get("TIFFIN_TEST_KILLS", default))
