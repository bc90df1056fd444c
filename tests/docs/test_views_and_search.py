"""Every command of docs/how-to/views-and-search.md runs as it stands there, and what the page names exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from cli.reference import metrics
from engine.messages import Ref
from flows.settings import settings_table
from stores import mappings
from stores.copied_views import mark_of
from tests.flows.test_project import Scene, command, rupees

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "views-and-search.md"
TEXT = PAGE.read_text("utf-8")
COMMANDS = [line for block in re.findall(r"^```\n(.*?)^```$", TEXT, re.M | re.S) for line in block.splitlines() if line]


def item(id: str, name: str, store: str = "sto_1", **data: Any) -> dict[str, Any]:
    return command("UpsertMenuItem", f"u-{id}-{store}", store=store, item_id=id, name=name, price=rupees("80"), **data)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder whose views have two stores with the same two dishes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIFFIN_DATA", str(tmp_path))
    scene = Scene(tmp_path)
    scene.tell(
        command("UpsertStore", "s", store_id="sto_1", name="Corner"),
        item("itm_1", "Paneer Tikka"), item("itm_2", "Rice 500 g", barcodes=["8901234567890"]),
        item("itm_3", "PANEER tikka", "sto_2"), item("itm_4", "Rice 0.5 kg", "sto_2"),
    )  # fmt: skip
    for n in range(1, 5):
        ref = Ref("item", "", f"x-{n}")
        scene.write(lambda c, ref=ref, n=n: mappings.set_mapping(c, "north", "acme", ref, f"itm_{n}", AT, "test"))
    yield tmp_path
    scene.close()


AT = datetime(2026, 3, 1, tzinfo=UTC)


def run(line: str) -> str:
    program, *arguments = shlex.split(line)
    assert program == "tiffin"
    done = CliRunner().invoke(tiffin, arguments)
    assert done.exit_code == 0, f"{line}: {done.output}{done.exception!r}"
    return done.output


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) > 10


def test_every_command_runs_as_it_stands_there(data: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    monkeypatch.setenv("TIFFIN_REDIS_URL", redis_url)
    # What the page asks for stands before it is asked for: a server makes it when it starts, as these do.
    run("tiffin view rebuild-search")
    run("tiffin mapping suggestions find")
    said = {line: run(line) for line in COMMANDS}
    assert "Paneer Tikka" in said["tiffin view store sto_1"]
    assert "Paneer Tikka" in said['tiffin search "paneer tik"']
    assert "itm_2" in said["tiffin search 8901234567890 --kind item --json"]
    assert "0 differ" in said["tiffin view rebuild-copy --check"]
    assert "itm_1" in said['tiffin mapping suggestions accept 1 --why "same dish"']
    client = redis.Redis.from_url(redis_url)
    scene = Scene(data)
    for key in client.scan_iter(f"{{tiffin-views:{scene.write(mark_of)}}}*"):
        client.delete(key)
    scene.close()
    client.close()


def test_every_metric_and_setting_that_the_page_names_exists() -> None:
    named = {row["name"] for row in settings_table()} | {row.name for row in metrics()}
    assert set(re.findall(r"TIFFIN_[A-Z_]+|tiffin_[a-z_]+(?=\{)", TEXT)) <= named
