"""Runs faults under load on real services of its own, then reconciles. Exit status 1 when anything is lost,
conflicting or out of order, when the ledger has a difference, or when the set-up does not recover by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.chaos import faults
from tests.chaos.faults import NotRecovered, Setup
from tests.chaos.load import Load
from tests.chaos.reconcile import reconcile
from tests.e2e.tiffin import ROOT, Tiffin
from tests.flows.scenery import ACME, SECRET
from tests.services import Stack

KEY = "Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtYWI="
SETTLE_SECONDS = 300.0
AWAY = ("redis", "kafka", "s3", "postgres")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often workers are killed (default: %(default)s)")
    parser.add_argument("--away", type=float, default=20.0, help="seconds that each service is away (%(default)s)")
    parser.add_argument("--callers", type=int, default=16, help="how many send at once (default: %(default)s)")
    parser.add_argument("--only", choices=["servers", "disk"], help="one of the two set-ups")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tiffin-chaos-"))
    figures: dict[str, Any] = {}
    try:
        if options.only != "disk":
            figures["servers"] = on_servers(folder / "servers", options)
        if options.only != "servers":
            figures["disk"] = on_a_small_disk(folder / "disk", options)
    except NotRecovered as error:
        sys.exit(f"not recovered: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = ROOT / "build" / "chaos.json"
    told.parent.mkdir(exist_ok=True)
    told.write_text(json.dumps(figures, indent=2) + "\n")
    well = [show(name, found) for name, found in figures.items()]
    if not all(well):
        sys.exit(1)


def show(name: str, found: dict[str, Any]) -> bool:
    """Prints what a set-up came to; returns whether it is well."""
    if "skipped" in found:
        print(f"{name:<8} skipped: {found['skipped']}")
        return True
    print(f"{name:<8} " + "  ".join(f"{key.replace('_', ' ')} {value}" for key, value in found.items()))
    return not any(found[key] for key in ("lost", "conflicting", "out_of_order", "ledger_difference", "missing"))


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def on_servers(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Two workers on PostgreSQL, Redis, Kafka and S3."""
    stack = Stack(folder / "services")
    tiffin: Tiffin | None = None
    try:
        reached: dict[str, str] = {}
        for name in ("postgres", "redis", "kafka", "s3"):
            say(f"starting {name}")
            reached |= stack.start(name)
        tiffin = installed(folder, **settings_for(reached))
        tiffin.run("topics", "--replication", "1", "--min-insync", "1", "--partitions", "8")
        tiffin.start("--workers", "2")
        database = reached["TIFFIN_TEST_POSTGRES_URL"].replace("+psycopg", "")

        async def suffer(setup: Setup) -> None:
            await faults.goes_on(setup, "the start")
            await faults.kill_workers(setup, options.kills)
            for name in AWAY:
                await faults.stop_service(setup, name, options.away)
            await faults.kill_between_publish_and_mark(setup)

        load = Load(options.callers)
        setup = Setup(tiffin, load, stack, database, say)
        asyncio.run(under_load(load, tiffin.url, lambda: suffer(setup)))
        return reconciled(tiffin, load)
    finally:
        if tiffin is not None:
            tiffin.close()
        stack.remove()


def on_a_small_disk(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The embedded default on a disk that fills up."""
    tiffin: Tiffin | None = None
    try:
        with faults.small_disk(folder / "data", 24) as resize:
            tiffin = installed(folder)
            tiffin.start()
            load = Load(options.callers)
            made = tiffin
            asyncio.run(under_load(load, tiffin.url, lambda: faults.fill_disk(made, load, resize, say)))
            found = reconciled(tiffin, load)
            tiffin.close()
            return found
    except PermissionError as error:
        return {"skipped": str(error)}
    finally:
        if tiffin is not None and tiffin.running:
            tiffin.close()


async def under_load(load: Load, url: str, suffer: Callable[[], Awaitable[None]]) -> None:
    sending = asyncio.create_task(load.run(url))
    try:
        await suffer()
    finally:
        load.end()
        await sending


def installed(folder: Path, **settings: str) -> Tiffin:
    """A set-up with one connection of an invented provider."""
    providers = folder / "providers"
    providers.mkdir(parents=True)
    (providers / "acme.yaml").write_text(ACME)
    tiffin = Tiffin(folder / "data", TIFFIN_PROVIDERS=str(providers), **settings)
    if settings:
        tiffin.run("migrate")
    tiffin.run("connection", "add", "acme", "--tenant", "north", "--key", "R-1", "--secret", f"key={SECRET}")
    return tiffin


def settings_for(reached: dict[str, str]) -> dict[str, str]:
    return {
        "TIFFIN_DATABASE_URL": reached["TIFFIN_TEST_POSTGRES_URL"],
        "TIFFIN_REDIS_URL": reached["TIFFIN_TEST_REDIS_URL"],
        "TIFFIN_KAFKA_BOOTSTRAP": reached["TIFFIN_TEST_KAFKA_BOOTSTRAP"],
        "TIFFIN_SECRET_KEY": KEY,
        "TIFFIN_LEASE": "5",
        "TIFFIN_RATE_CONNECTION": "100000",
        "TIFFIN_OBJECT_BODY": str(64 << 10),
        **object_store(reached["TIFFIN_TEST_S3_URL"]),
    }


def object_store(url: str) -> dict[str, str]:
    """A bucket of its own."""
    import boto3

    keys = {"aws_access_key_id": "chaos", "aws_secret_access_key": "chaos", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="chaos")
    return {
        "TIFFIN_OBJECT_STORE_URL": "s3://chaos",
        "TIFFIN_OBJECT_STORE_ENDPOINT": url,
        "TIFFIN_OBJECT_STORE_REGION": "us-east-1",
        "TIFFIN_OBJECT_STORE_ACCESS_KEY": "chaos",
        "TIFFIN_OBJECT_STORE_SECRET_KEY": "chaos",
    }


def reconciled(tiffin: Tiffin, load: Load) -> dict[str, Any]:
    """The figures, once nothing is in flight and nothing waits in the outbox."""
    say("waiting until nothing is in flight and the outbox is empty")
    try:
        ledger = tiffin.settled(SETTLE_SECONDS)
    except AssertionError as error:
        raise NotRecovered(f"the ledger does not settle: {error}") from None
    found = reconcile(load.acknowledged, tiffin.commands())
    return {
        "acknowledged": len(load.acknowledged),
        "refused": sum(count for status, count in load.statuses.items() if status >= 300),
        "broken": load.broken,
        **found._asdict(),
        "ledger_difference": ledger["difference"],
        "missing": ledger["deep"]["missing"],
    }


if __name__ == "__main__":
    main()
