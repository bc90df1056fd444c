"""What a job has come to, as people and programs see it."""

from __future__ import annotations

from typing import Any

import orjson

from stores.imports import OPEN, Job


def is_open(job: Job) -> bool:
    return job.state in OPEN


def progress(job: Job, public_url: str = "") -> dict[str, Any]:
    """JSON values: `rate` is rows a second, `seconds_left` None where it cannot be told."""
    seconds = job.busy_us / 1e6
    rate = job.rows / seconds if seconds else 0.0
    left = None
    if is_open(job) and job.at_byte and seconds:
        left = round(seconds * max(0, job.bytes - job.at_byte) / job.at_byte, 1)
    told: dict[str, Any] = {
        "id": job.id,
        "state": "cancelling" if job.cancel and is_open(job) else job.state,
        "provider": job.provider,
        "feed": job.feed,
        "name": job.name,
        "format": job.format,
        "bytes": job.bytes,
        "sha256": job.sha256,
        "rows": job.rows,
        "failed": job.failed,
        "commands": job.commands,
        "done": round(job.at_byte / job.bytes, 4) if job.bytes else 0.0,
        "rate": round(rate, 1),
        "seconds_left": left,
        "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
        "problem": _problem(job.problem),
    }
    if job.state in ("done", "partial"):
        told["done"] = 1.0
    if public_url:
        base = f"{public_url}/v1/imports/{job.id}"
        told["links"] = {"self": base, "events": f"{base}/events", "failures": f"{base}/failures.csv"}
    return told


def _problem(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    whole = orjson.loads(text)
    return {name: whole[name] for name in ("class", "code", "message", "next_step", "place", "facts")}
