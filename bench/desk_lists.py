"""How long the support desk's lists and groups take with a million deliveries stored.

    python -m bench.desk_lists [--database URL] [--deliveries N]

Fills an empty database (a new SQLite file by default) and prints the slowest of five runs of each question, in ms.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert

from stores import alert_facts, desk_deliveries, desk_groups, desk_habits
from stores.causes import about
from stores.database import open_database
from stores.desk_deliveries import Filters
from stores.schema import migrate
from stores.tables import connections, deliveries, failures, mappings, outcomes

CHUNK = 20_000
NOW = datetime(2026, 1, 31, tzinfo=UTC)
SPAN = timedelta(days=10)


def rows(start: int, stop: int, total: int, chance: random.Random) -> Iterator[tuple[dict[str, Any], ...]]:
    for n in range(start, stop):
        at = NOW - SPAN + SPAN * n / total
        id = f"{int(at.timestamp() * 1000):012x}{chance.getrandbits(128):032x}"
        provider, store = f"provider{n % 7}", f"R-{n % 400}"
        owner = {
            "tenant": f"tenant{n % 40}",
            "provider": provider,
            "connection": f"con{n % 200}",
            "feed": f"feed{n % 3}",
        }
        state = "accepted" if chance.random() < 0.95 else chance.choice(["failed", "partial", "parked"])
        delivery = {
            **owner, "id": id, "received_at": at, "method": "POST", "url": "http://localhost/x", "headers": b"[]",
            "sealed": b"", "body": b'{"sku": "SKU-%d", "qty": 5}' % (n % 9000), "body_sealed": False,
            "peer": "192.0.2.1", "spec_hash": "x", "quarantined": "",
        }  # fmt: skip
        outcome = {
            "delivery": id, "attempt": 1, "at": at, "state": state, "event": "", "key_text": f"k{n}", "holder": "",
            "commands": 1, "stale": 0, "external_merchant": "", "external_store": store, "merchant_id": "m",
            "store_id": f"sto_{n % 400}", "spec_hash": "x", "results": b"[]", "entities": "[]", "command_ids": "[]",
        }  # fmt: skip
        if state == "accepted":
            yield delivery, outcome
            continue
        facts = {"kind": "item", "within": store, "external_id": f"SKU-{n % 90}"} if n % 3 else {}
        cls, code = ("mapping", "unmapped") if facts else ("validation", "price_format")
        data = {"class": cls, "code": code, "message": "m", "next_step": "n", "facts": facts}
        yield delivery, outcome, {**owner, "delivery": id, "attempt": 1, "at": at, "class": cls, "code": code,
                                  "data": data, "told_at": at, **about(facts)._asdict()}  # fmt: skip


def agreements() -> list[dict[str, Any]]:
    return [
        {"id": f"con{n}", "tenant": f"tenant{n % 40}", "provider": f"provider{n % 7}", "keys": [], "merchant": "",
         "stores": [], "allow": [], "settings": {}, "created_at": NOW, "changed_at": NOW}
        for n in range(200)
    ]  # fmt: skip


def stores() -> list[dict[str, Any]]:
    return [
        {"tenant": f"tenant{n % 40}", "provider": f"provider{n % 7}", "kind": "store", "within": "",
         "external_id": f"R-{n}", "canonical_id": f"sto_{n}", "valid_from": NOW, "source": "bench"}
        for n in range(400)
    ]  # fmt: skip


def fill(connection: Connection, total: int) -> None:
    chance = random.Random(7)
    connection.execute(insert(connections), agreements())
    connection.execute(insert(mappings), stores())
    for start in range(0, total, CHUNK):
        made = list(rows(start, min(start + CHUNK, total), total, chance))
        connection.execute(insert(deliveries), [one[0] for one in made])
        connection.execute(insert(outcomes), [one[1] for one in made])
        connection.execute(insert(failures), [one[2] for one in made if len(one) > 2])


def questions(connection: Connection) -> dict[str, Callable[[], Any]]:
    def listed(**given: Any) -> Callable[[], Any]:
        return lambda: desk_deliveries.page(connection, Filters(**given))

    newest = {one.id: one.newest for one in alert_facts.senders(connection)}
    middle = desk_deliveries.page(connection, Filters(until=NOW - SPAN / 2)).lines[0].id
    return {
        "newest": listed(),
        "from the middle on": lambda: desk_deliveries.page(connection, Filters(), below=middle),
        "of a provider": listed(provider="provider3"),
        "of a feed of a provider": listed(provider="provider3", feed="feed1"),
        "of a connection": listed(connection="con17"),
        "of a tenant": listed(tenant="tenant9"),
        "of a tenant that has none": listed(tenant="nobody"),
        "failed": listed(state="failed"),
        "quarantined (none)": listed(state="quarantined"),
        "in flight (none)": listed(state="in_flight"),
        "failed of a connection": listed(state="failed", connection="con17"),
        "of a store": listed(store="R-17"),
        "of a canonical store": listed(store="sto_17"),
        "failed of a store": listed(store="R-17", state="failed"),
        "of a failure's class": listed(cls="mapping"),
        "of a failure's code": listed(code="price_format"),
        "of a code of a tenant": listed(code="unmapped", tenant="tenant9"),
        "of an hour": listed(since=NOW - SPAN / 2, until=NOW - SPAN / 2 + timedelta(hours=1)),
        "by id": listed(id=middle),
        "with a SKU": listed(sku="SKU-17"),
        "with a SKU that is nowhere": listed(sku="SKU-nowhere"),
        "with a text that is nowhere": listed(text="nowhere at all"),
        "groups": lambda: desk_groups.groups(connection),
        "groups of a provider": lambda: desk_groups.groups(connection, provider="provider3"),
        "one group": lambda: desk_groups.group(connection, desk_groups.groups(connection)[0].cause),
        "failures of a day by class": lambda: desk_groups.by_class(connection, NOW - timedelta(days=1)),
        "failure rate of an hour": lambda: alert_facts.failure_rate(connection, NOW - timedelta(hours=1)),
        "connections' last deliveries": lambda: alert_facts.senders(connection),
        "habit of a connection": lambda: desk_habits.pauses(connection, "con17", newest["con17"]),
        "hours of a day": lambda: desk_deliveries.by_hour(connection, NOW, 24),
    }


def slowest(ask: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return max(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="URL of an empty database; default: a new SQLite file")
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(given.database or f"sqlite:///{folder}/tiffin.db")
        migrate(database)
        started = time.perf_counter()
        with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            fill(connection, given.deliveries)
        if not database.embedded:
            # As autovacuum does by itself; SQLite is never analysed by Tiffin, so not here either.
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
        seconds, kind = time.perf_counter() - started, database.url.get_backend_name()
        print(f"{given.deliveries} deliveries in {seconds:.0f} s, {kind}", flush=True)
        with database.engine.connect() as connection, connection.begin():
            for name, ask in questions(connection).items():
                print(f"{name:32}{slowest(ask):8.1f} ms", flush=True)
        database.close()


if __name__ == "__main__":
    main()
