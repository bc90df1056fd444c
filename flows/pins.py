"""What a golden case comes to, and the files that pin it: `__snapshots__/test_golden/test_case[NAME].json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.interpreter import Interpreter
from engine.messages import Command
from flows.golden import Case
from flows.samples import SNAPSHOTS
from flows.trial import Trial, body_of, try_request

Pinned = dict[str, Any]
"""One sending: verdict, idempotency_key, commands, new_mappings, failures, reply; of a handshake what it shows."""


def sendings(interpreter: Interpreter, case: Case) -> list[Trial]:
    """Every sending of a case, in order. A message that was accepted once makes the later ones duplicates."""
    accepted: set[str] = set()
    trials: list[Trial] = []
    for _ in range(case.again + 1):
        context = case.context
        trial = try_request(
            interpreter,
            case.feed,
            case.signed(interpreter),
            context.connection,
            context.mappings,
            accepted=accepted,
            views=context.views,
        )
        if trial.verdict == "accepted" and trial.reading and trial.reading.key:
            accepted.add(trial.reading.key.text)
        trials.append(trial)
    return trials


def pinned(trial: Trial) -> Pinned:
    """What is pinned of a sending: everything that comes out, without folders that differ between machines."""
    key = trial.reading.key if trial.reading else None
    shaken = {"handshake": trial.handshake, "shown": dict(trial.shown)} if trial.handshake else {}
    return {
        "verdict": trial.verdict,
        "idempotency_key": key.text if key else None,
        "commands": [command_pinned(command) for command in trial.outcome.commands],
        "new_mappings": sorted([*mapping.ref, mapping.canonical_id] for mapping in trial.outcome.mappings),
        "failures": [placed(failure.to_json()) for failure in trial.outcome.failures],
        "reply": {
            "status": trial.reply.status,
            "headers": dict(trial.reply.headers),
            "body": _without_failures(body_of(trial.reply)),
        },
        **shaken,
    }


def command_pinned(command: Command) -> dict[str, Any]:
    """What is pinned of a command."""
    return {
        "name": command.name,
        "rule": command.rule,
        "entity": command.entity,
        "kafka_key": command.kafka_key,
        "data": dict(command.data),
        "version": command.version.order if command.version else None,
        "commandkey": command.commandkey,
        "id": command.id,
    }


def _without_failures(body: Any) -> Any:
    """A receipt's failures are those told above."""
    if not isinstance(body, dict):
        return body
    return {name: value for name, value in body.items() if name != "failures"}


def placed(failure: dict[str, Any]) -> dict[str, Any]:
    """A failure without the folder of its place."""
    return {**failure, "place": failure["place"].rpartition("/")[2]}


def pin_text(told: Iterable[Pinned]) -> str:
    """A snapshot file's text."""
    return json.dumps(list(told), indent=2, ensure_ascii=False) + "\n"


def pin_file(root: Path, case: str) -> Path:
    """The snapshot file of a case under the folder of golden cases."""
    return root / SNAPSHOTS / f"test_case[{case}].json"


@dataclass(frozen=True)
class Pin:
    """A case with what its snapshot says (None: it has none) and what comes out now."""

    case: Case
    before: list[Pinned] | None
    now: list[Pinned]

    @property
    def holds(self) -> bool:
        return self.before is not None and pin_text(self.before) == pin_text(self.now)


def pins(root: Path, cases: Iterable[Case], interpreters: Mapping[str, Interpreter]) -> list[Pin]:
    """Each case run, beside what is pinned."""
    return [
        Pin(case, _read(pin_file(root, case.name)), [pinned(t) for t in sendings(interpreters[case.provider], case)])
        for case in cases
    ]


def _read(file: Path) -> list[Pinned] | None:
    try:
        told: list[Pinned] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return []
    return told


def unused(root: Path, cases: Iterable[Case], providers: Iterable[str]) -> list[Path]:
    """Snapshot files of these providers that belong to no case."""
    wanted = {pin_file(root, case.name).name for case in cases}
    starts = tuple(f"test_case[{provider}-" for provider in providers)
    found = (root / SNAPSHOTS).glob("test_case*.json")
    return sorted(file for file in found if file.name.startswith(starts) and file.name not in wanted)


def stray_folders(root: Path, cases: Iterable[Case], providers: Iterable[str]) -> list[Path]:
    """Folders of golden cases that name no feed or handshake of their provider, or that hold no request.yaml."""
    used = {f"{case.provider}/{case.feed}/{case.name[len(case.provider) + len(case.feed) + 2 :]}" for case in cases}
    folders = (folder for provider in providers for folder in (root / provider).glob("*/*") if folder.is_dir())
    return sorted(folder for folder in folders if str(folder.relative_to(root)) not in used)


def write(root: Path, pin: Pin) -> Path:
    """Pins what comes out now."""
    file = pin_file(root, pin.case.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(pin_text(pin.now))
    return file
