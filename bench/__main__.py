"""`make bench`: everything in one run, interleaved, three rounds; prints medians and ratios.

`python -m bench PART…` measures some parts alone: engine, webhook, postgres, store, relay, flood.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import engine_work, load, on_servers
from bench.servers import ECHO, HANDWRITTEN, SECRET, TIFFIN, Server, prepare

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
PER_ROUND = 6000 * SECONDS
OUT = Path("build") / "bench.json"


def main(parts: list[str]) -> int:
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        print(f"There is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    load.need_wrk()
    results: dict[str, Any] = {}
    for name in parts or PARTS:
        results |= PARTS[name]()
    OUT.parent.mkdir(exist_ok=True)
    # A part that was not measured now stays as it was.
    kept = json.loads(OUT.read_text()) if OUT.exists() else {}
    OUT.write_text(json.dumps({**kept, **results}, indent=2) + "\n")
    print(f"written to {OUT}")
    return 1 if any(part.get("errors") for part in results.values()) else 0


def engine() -> dict[str, Any]:
    """The interpreter's whole work on a menu and on a stock webhook, of hand-written Python's."""
    results: dict[str, Any] = engine_work.run()
    for name in ("engine_menu", "engine_stock"):
        told = results[name]
        print(f"{name:14} {told['ms']:9.3f} ms   {told['of_handwritten']:.2f} of hand-written", flush=True)
    return results


def measured(name: str, measure: Callable[[Path], dict[str, Any] | None]) -> dict[str, Any]:
    """A part in a folder of its own; {} where its service does not run."""
    folder = Path(tempfile.mkdtemp(prefix="tiffin-bench-"))
    try:
        figures = measure(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if figures is None:
        print(f"{name:14} left out: its service does not run (make services)", flush=True)
        return {}
    print(f"{name:14} " + "   ".join(f"{key} {value}" for key, value in figures.items()), flush=True)
    return {name: figures}


def on_postgres(folder: Path) -> dict[str, Any] | None:
    prepare(folder)
    return on_servers.on_postgres(folder)


def webhook() -> dict[str, float]:
    """The same stock webhook on an echo, on a hand-written handler and on Tiffin, in turn."""
    folder = Path(tempfile.mkdtemp(prefix="tiffin-bench-"))
    try:
        prepare(folder)
        found: dict[str, list[load.Figures]] = {"echo": [], "handwritten": [], "tiffin": []}
        with Server(ECHO, folder) as echo, Server(HANDWRITTEN, folder) as hand, Server(TIFFIN, folder) as tiffin:
            for number in range(ROUNDS):
                requests = folder / f"round-{number}"
                load.write_requests(requests, number * PER_ROUND, PER_ROUND, SECRET)
                for name, server in (("echo", echo), ("handwritten", hand), ("tiffin", tiffin)):
                    figures = load.run(server.url, requests, SECONDS)
                    found[name].append(figures)
                    print(f"  round {number + 1} {name:12} {figures.rps:8.0f}/s  p50 {figures.p50_ms:6.1f} ms  "
                          f"p99 {figures.p99_ms:6.1f} ms  {figures.errors} errors", flush=True)  # fmt: skip
            _settled(folder)
        return _summary(found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settled(folder: Path) -> None:
    """The ledger after the load: a rate that loses something is no rate."""
    told = subprocess.run(
        [sys.executable, "-m", "cli.main", "ledger", "--json", "--data", str(folder / "tiffin")],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    print(f"  ledger difference {json.loads(told.stdout)['difference']}")


def _summary(found: dict[str, list[load.Figures]]) -> dict[str, float]:
    median = {name: statistics.median(f.rps for f in figures) for name, figures in found.items()}
    of_echo = statistics.median(t.rps / e.rps for t, e in zip(found["tiffin"], found["echo"], strict=True))
    of_hand = statistics.median(t.rps / h.rps for t, h in zip(found["tiffin"], found["handwritten"], strict=True))
    errors = sum(f.errors for figures in found.values() for f in figures)
    ratios = f"{of_echo:.2f} of echo   {of_hand:.2f} of hand-written"
    print(f"webhook        {median['tiffin']:.0f}/s   {ratios}   {errors} errors")
    return {
        "rps": round(median["tiffin"], 1),
        "of_echo": round(of_echo, 3),
        "of_handwritten": round(of_hand, 3),
        "p50_ms": round(statistics.median(f.p50_ms for f in found["tiffin"]), 2),
        "p99_ms": round(statistics.median(f.p99_ms for f in found["tiffin"]), 2),
        "errors": errors,
    }


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "engine": engine,
    "webhook": lambda: {"webhook_sqlite": webhook()},
    "postgres": lambda: measured("webhook_postgres", on_postgres),
    "store": lambda: measured("full_store", lambda folder: on_servers.on_a_full_store(folder, prepare)),
    "relay": lambda: measured("relay_kafka", on_servers.relay_on_kafka),
    "flood": lambda: measured("flood", on_servers.beside_a_flood),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
