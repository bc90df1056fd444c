"""Load from outside the process: wrk, 64 connections, pre-signed distinct requests."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
WAREHOUSE, SKUS = "W-1", 500


@dataclass(frozen=True)
class Figures:
    """What wrk saw: requests a second, answers other than 2xx or broken, latencies in milliseconds."""

    rps: float
    errors: int
    p50_ms: float
    p99_ms: float


def need_wrk() -> str:
    found = shutil.which("wrk")
    if found is None:
        sys.exit("make bench needs wrk: apt-get install wrk")
    return found


def body(n: int, name: str = "evt") -> bytes:
    """The n-th stock webhook: three levels, an id of its own."""
    lines = [{"sku": f"SKU-{(n * 3 + i) % SKUS}", "qty": str((n + i) % 90)} for i in range(3)]
    return json.dumps({"eventId": f"{name}-{n}", "warehouse": WAREHOUSE, "lines": lines}).encode()


def write_requests(path: Path, first: int, count: int, secret: bytes, name: str = "evt") -> None:
    """`name` begins the events' ids: requests of two names are never repeats of each other."""
    with path.open("wb") as file:
        for n in range(first, first + count):
            text = body(n, name)
            file.write(b"sha256=" + hmac.new(secret, text, hashlib.sha256).hexdigest().encode() + b"\t" + text + b"\n")


CONNECTIONS = 64


def run(url: str, requests: Path, seconds: int, *, rate: float = 0.0) -> Figures:
    """One run of wrk; about `rate` requests a second, 0: as many as go through. Raises when wrk itself fails."""
    pause = round(1000 * CONNECTIONS / rate) if rate else 0
    command = [need_wrk(), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s",
               str(HERE / "load.lua"), url, "--", str(requests)]  # fmt: skip
    environment = {**os.environ, "BENCH_PAUSE": str(pause)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    sent, microseconds, errors, p50, p99 = map(float, line.split()[1:])
    return Figures(sent / (microseconds / 1e6), int(errors), p50 / 1000, p99 / 1000)
