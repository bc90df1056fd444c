"""Does what docs/how-to/write-a-provider-file.md says: every command is run, and what it shows comes out."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import tiffin
from engine.messages import Request
from flows import reloading
from flows.metrics import Metrics
from flows.sealing import query_pairs
from flows.service import Service
from flows.settings import Settings
from tests.flows.scenery import add_connection, started

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-a-provider-file.md").read_text()
SAMPLE = re.search(r"^`stock\.json`:\n\n```json\n(.*?)^```", PAGE, re.M | re.S)
SHOWN = re.search(r"^  ```\n(.*?)^  ```", PAGE, re.M | re.S)
COMMANDS = set(re.findall(r"`(tiffin [^`]+)`", PAGE))
RUN = {
    "tiffin provider new quick --from stock.json",
    "tiffin provider check providers/quick.yaml --watch",
    "tiffin provider try FILE --feed stock --body stock.json --diff OLD.yaml --watch",
    "tiffin provider explain FILE --feed stock --body bad.json",
    "tiffin provider test quick",
    "tiffin provider coverage FILE --min 80 --html page.html",
    "tiffin backtest quick --spec new.yaml --since 7d --html page.html",
}
"""The commands that the tests below run; those that watch are run once."""
FILE = Path("providers/quick.yaml")
assert SAMPLE is not None
assert SHOWN is not None
STOCK = SAMPLE[1]


def run(command: str, *options: str, input: str | None = None) -> Result:
    """Runs a command of the page, with the placeholders filled in."""
    assert command in RUN
    words = command.replace(" --watch", "").replace("FILE", str(FILE)).replace("OLD.yaml", "old.yaml").split()[1:]
    return CliRunner().invoke(tiffin, [*words, *options], input=input)


def done(command: str, *options: str, input: str | None = None) -> str:
    found = run(command, *options, input=input)
    assert found.exit_code == 0, found.output
    return found.output


@pytest.fixture(autouse=True)
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with the sample of the page and what `provider new` made of it; what that said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIFFIN_PROVIDERS", "providers")
    Path("stock.json").write_text(STOCK)
    return done("tiffin provider new quick --from stock.json")


def test_every_command_of_the_page_is_run_here() -> None:
    assert COMMANDS == RUN


def test_new_writes_a_file_a_case_and_its_snapshot_and_says_what_it_guessed_first(written: str) -> None:
    assert "wrote providers/quick.yaml" in written
    assert Path("tests/golden/quick/stock/stock/body.json").read_text().strip() == STOCK.strip()
    assert list(Path("tests/golden/__snapshots__/test_golden").glob("*quick-stock-stock*.json"))
    doubts = [line[:9].strip() for line in written.splitlines() if line.startswith(("a guess", "likely", "sure"))]
    assert doubts == sorted(doubts, key=["a guess", "likely", "sure"].index)
    for guess in ("auth", "defaults.currency", "defaults.time_zone"):
        assert re.search(rf"a guess\s+{guess}", written)


def test_new_prints_the_file_or_json_where_asked(written: str) -> None:
    new = "tiffin provider new quick --from stock.json"
    assert done(new, "--dry-run", "--force").startswith("# yaml-language-server: ")
    assert json.loads(done(new, "--json", "--force"))


def test_an_archive_shows_how_the_sender_proves_itself_and_no_secret_is_kept() -> None:
    headers = [
        {"name": "Content-Type", "value": "application/json"},
        {"name": "X-Shop-Token", "value": "sesame-8812-keep"},
    ]
    request = {"method": "POST", "url": "https://hooks.test/stock", "headers": headers, "postData": {"text": STOCK}}
    Path("recorded.har").write_text(json.dumps({"log": {"entries": [{"request": request}]}}))
    made = CliRunner().invoke(tiffin, ["provider", "new", "taped", "--from-har", "recorded.har"])
    assert made.exit_code == 0, made.output
    assert "X-Shop-Token" in Path("providers/taped.yaml").read_text()
    kept = "".join(file.read_text() for file in Path().rglob("*") if file.is_file() and file.name != "recorded.har")
    assert "sesame-8812-keep" not in kept + made.output


def test_what_was_written_has_no_problem_and_its_case_holds() -> None:
    assert "0 errors" in done("tiffin provider check providers/quick.yaml --watch")
    assert "0 differ" in done("tiffin provider test quick")


def test_try_says_by_meaning_what_differs_from_an_older_file() -> None:
    Path("old.yaml").write_text(FILE.read_text().replace("quantity: on_shelf", "quantity: $$.sequence"))
    said = done("tiffin provider try FILE --feed stock --body stock.json --diff OLD.yaml --watch")
    assert "quantity" in said
    assert "17" in said


def test_explain_traces_values_and_says_what_left_an_element_out() -> None:
    Path("bad.json").write_text(STOCK.replace('"2.5"', '"x"'))
    said = done("tiffin provider explain FILE --feed stock --body bad.json")
    lines = iter(line.strip() for line in said.splitlines())
    for wanted in SHOWN[1].splitlines():
        assert wanted.strip() in lines, f"{wanted}\n--- is not said, in this order, by\n{said}"


TOKEN_AUTH = "auth: {scheme: token, header: X-Api-Key, secret: api_key}"
HMAC_AUTH = (
    "auth: {scheme: hmac, algorithm: sha256, secret: key, sign: [url, raw_body], signature: {header: X-Signature}}"
)
BASE, NEW, OLD = "https://hooks.test", "sesame-8812-new-one", "sesame-8812-old-one"
URL = f"{BASE}/v1/integrations/erp/quick/webhooks/stock"


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [(f"{URL}/", NEW, "matches if the URL ends with a slash"), (URL, OLD, "matches with the older secret (2.)")],
)
def test_explain_says_what_would_have_matched_and_masks_secrets(url: str, secret: str, said: str) -> None:
    assert f"`{said}`" in re.sub(r"\n *", " ", PAGE)
    assert FILE.read_text().count(TOKEN_AUTH) == 1
    FILE.write_text(FILE.read_text().replace(TOKEN_AUTH, HMAC_AUTH))
    Path("bad.json").write_text(STOCK)
    signature = hmac.new(secret.encode(), url.encode() + STOCK.encode(), hashlib.sha256).hexdigest()
    secrets = [word for one in (NEW, OLD) for word in ("--secret", f"key={one}")]
    told = run(
        "tiffin provider explain FILE --feed stock --body bad.json",
        *secrets, "--url", BASE, "--header", f"X-Signature: {signature}",
    )  # fmt: skip
    assert said in told.output
    assert "sesame" not in told.output


def test_an_update_is_told_by_meaning_and_asked_about() -> None:
    FILE.write_text(FILE.read_text().replace("quantity: on_shelf", "quantity: $$.sequence"))
    assert run("tiffin provider test quick").exit_code == 1
    refused = run("tiffin provider test quick", "--update", input="n\n")
    assert "UpdateStockLevel.quantity" in refused.output
    assert run("tiffin provider test quick").exit_code == 1
    done("tiffin provider test quick", "--update", "--yes")
    done("tiffin provider test quick")


def test_unused_snapshots_and_misnamed_folders_fail() -> None:
    (snapshot,) = Path("tests/golden/__snapshots__/test_golden").glob("*.json")
    spare = snapshot.with_name(snapshot.name.replace("stock-stock", "stock-gone"))
    spare.write_text(snapshot.read_text())
    assert run("tiffin provider test quick").exit_code == 1
    spare.unlink()
    done("tiffin provider test quick")
    Path("tests/golden/quick/stok/one").mkdir(parents=True)
    assert run("tiffin provider test quick").exit_code == 1


def test_coverage_lists_what_nothing_reads_or_sets_and_fails_below_the_least() -> None:
    coverage = "tiffin provider coverage FILE --min 80 --html page.html"
    said = done(coverage)
    assert "not read: lines.note" in said
    assert "not set by levels (UpdateStockLevel): item_id" in said
    assert "<html" in Path("page.html").read_text()
    FILE.write_text(FILE.read_text().replace("each: lines", 'each: lines\n        when: sku != "OLD"'))
    assert run(coverage, "--min", "100").exit_code == 1


# ---- one that serves ----


async def received(service: Service) -> None:
    target = service.receiver.target("erp", "quick", "", "POST", "stock")
    path = "/v1/integrations/erp/quick/webhooks/stock"
    headers = ((b"content-type", b"application/json"), (b"x-api-key", b"sesame-8812-keep"))
    request = Request("POST", path, path, query_pairs(""), headers, STOCK.encode(), "192.0.2.1", datetime.now(UTC))
    reply = await service.receiver.receive(target, request)
    assert reply.status == 200, reply


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery of the sample in a data folder."""
    monkeypatch.setenv("TIFFIN_DATA", "data")
    settings = Settings(_env_file=None, data=Path("data"), providers=Path("providers"))
    add_connection(settings, "quick", "one", merchant="mer_1", secrets={"api_key": "sesame-8812-keep"})
    assert CliRunner().invoke(
        tiffin, ["mapping", "set", "quick", "store", "BLR-2", "sto_1", "--tenant", "north"]
    ).exit_code == 0  # fmt: skip

    async def main() -> None:
        async with started(settings, serving=False) as service:
            await received(service)

    asyncio.run(main())


BACKTEST = "tiffin backtest quick --spec new.yaml --since 7d --html page.html"


@pytest.mark.usefixtures("stored")
def test_a_backtest_of_the_same_file_finds_nothing_and_writes_a_page() -> None:
    Path("new.yaml").write_text(FILE.read_text())
    done(BACKTEST)
    assert "<html" in Path("page.html").read_text()


@pytest.mark.usefixtures("stored")
def test_a_backtest_raises_the_alarm_where_keys_change_and_only_there() -> None:
    text = FILE.read_text()
    Path("new.yaml").write_text(text.replace("{event_id: [message_id]}", "{event_id: [message_id, sequence]}"))
    assert run(BACKTEST).exit_code == 1
    assert run(BACKTEST, "--fail-on", "never").exit_code == 0
    Path("new.yaml").write_text(text.replace("quantity: on_shelf", "quantity: $$.sequence"))
    assert run(BACKTEST).exit_code == 0
    assert run(BACKTEST, "--fail-on", "differences").exit_code == 1


def test_the_page_names_the_setting_the_log_line_and_the_metric_of_hot_reload() -> None:
    assert f"`TIFFIN_RELOAD` seconds ({Settings(_env_file=None).reload:g}; 0: never)" in PAGE
    assert "`providers_refused`" in PAGE
    assert '"providers_refused"' in Path(reloading.__file__).read_text()
    metrics = Metrics()
    metrics.reloaded("swapped")
    told = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    assert "tiffin_provider_reloads_total" in told
