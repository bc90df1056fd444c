"""What an editor with yaml-language-server shows of a provider file that `tiffin provider new` wrote."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from tests.editor.language_server import LanguageServer, NotThere, program

SAMPLE = {"id": "m-1", "store": "S1", "items": [{"sku": "a", "qty": 4}, {"sku": "b", "qty": "2.5"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    try:
        executable = program()
    except NotThere as error:
        if os.environ.get("TIFFIN_TEST_REQUIRE") == "all":
            raise
        pytest.skip(f"no language server: {error}")
    made = LanguageServer(tmp_path_factory.mktemp("workspace"), executable)
    yield made
    made.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A provider file as it is first written, with the schema that it names."""
    sample = tmp_path / "stock.json"
    sample.write_text(json.dumps(SAMPLE))
    done = CliRunner().invoke(tiffin, ["provider", "new", "quick", "--from", str(sample), "--root", str(tmp_path)])
    assert done.exit_code == 0, done.output
    return tmp_path / "providers" / "quick.yaml"


def position(file: Path, text: str) -> dict[str, int]:
    """Where a text of the file begins, counted from 0 as LSP does."""
    before = file.read_text().partition(text)[0]
    return {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}


def test_the_settings_of_the_page_find_the_schema_where_a_file_names_none(server: LanguageServer, file: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "editor.md").read_text()
    (written,) = re.findall(r"^```json\n(.*?)```", page, re.M | re.S)
    ((schema, pattern),) = json.loads(written)["yaml.schemas"].items()
    schemas = {(file.parents[1] / schema).resolve().as_uri(): pattern}
    file.write_text(file.read_text().partition("\n")[2].replace("    commands:", "    comands: {}\n    commands:"))
    with server.configured({"schemas": schemas}):
        (found,) = server.diagnostics(server.open(file))
    assert "comands" in found["message"]


def test_a_file_as_it_is_first_written_is_without_a_remark(server: LanguageServer, file: Path) -> None:
    assert server.diagnostics(server.open(file)) == []


def test_every_file_that_ships_is_without_a_remark(server: LanguageServer, file: Path) -> None:
    told = {}
    for shipped in sorted((Path(__file__).parents[2] / "providers").glob("*.yaml")):
        own = file.with_name(shipped.name)
        own.write_text(f"{file.read_text().splitlines()[0]}\n{shipped.read_text()}")
        told[shipped.name] = server.diagnostics(server.open(own))
    assert {name: found for name, found in told.items() if found} == {}


def test_an_unknown_key_is_named_at_its_place(server: LanguageServer, file: Path) -> None:
    file.write_text(file.read_text().replace("    commands:", "    comands: {}\n    commands:"))
    (found,) = server.diagnostics(server.open(file))
    assert "comands" in found["message"]
    assert found["range"]["start"] == position(file, "comands")


def test_a_key_is_completed(server: LanguageServer, file: Path) -> None:
    file.write_text(file.read_text() + "    \n")
    end = {"line": file.read_text().count("\n") - 1, "character": 4}
    found = server.ask("textDocument/completion", {"textDocument": {"uri": server.open(file)}, "position": end})
    offered = {item["label"] for item in found["items"]}
    assert {"answer", "gzip", "limits", "replies"} <= offered
    assert "commands" not in offered


def test_a_value_is_completed(server: LanguageServer, file: Path) -> None:
    file.write_text(re.sub(r"family: \w+.*", "family: ", file.read_text()))
    at = position(file, "family: ")
    at["character"] += len("family: ")
    found = server.ask("textDocument/completion", {"textDocument": {"uri": server.open(file)}, "position": at})
    assert {"pos", "erp", "seller", "admin"} <= {item["label"] for item in found["items"]}


def test_a_key_says_what_it_is_for(server: LanguageServer, file: Path) -> None:
    uri = server.open(file)
    shown = server.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": position(file, "idempotency")})
    assert "How a repeated message is known" in json.dumps(shown["contents"])
