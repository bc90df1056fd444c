"""Every golden case: the exact request goes in; verdict, key, commands, failures and reply come out.

An unused snapshot fails the run, and so does a case without one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from engine.messages import Command
from flows.golden import Case
from flows.trial import Trial, body_of
from tests.golden.cases import PROVIDERS, cases, interpreter_of, run

CASES = cases()


class CaseSnapshot(JSONSnapshotExtension):
    """One readable file a case; keys in the order in which they are trial."""

    def serialize(self, data: Any, **_: Any) -> str:
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _command(command: Command) -> dict[str, Any]:
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


def _sending(trial: Trial) -> dict[str, Any]:
    key = trial.reading.key if trial.reading else None
    return {
        "verdict": trial.verdict,
        "idempotency_key": key.text if key else None,
        "commands": [_command(command) for command in trial.outcome.commands],
        "new_mappings": sorted([*mapping.ref, mapping.canonical_id] for mapping in trial.outcome.mappings),
        "failures": [_placed(failure.to_json()) for failure in trial.outcome.failures],
        "reply": {
            "status": trial.reply.status,
            "headers": dict(trial.reply.headers),
            "body": _without_failures(body_of(trial.reply)),
        },
        **_of_handshake(trial),
    }


def _of_handshake(trial: Trial) -> dict[str, Any]:
    return {"handshake": trial.handshake, "shown": dict(trial.shown)} if trial.handshake else {}


def _without_failures(body: Any) -> Any:
    """A receipt's failures are those told above."""
    if not isinstance(body, dict):
        return body
    return {name: value for name, value in body.items() if name != "failures"}


def _placed(failure: dict[str, Any]) -> dict[str, Any]:
    """The place without its folder, which differs from machine to machine."""
    return {**failure, "place": failure["place"].rpartition("/")[2]}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case, snapshot: SnapshotAssertion) -> None:
    told = [_sending(trial) for trial in run(case)]
    assert told == snapshot(extension_class=CaseSnapshot)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_delivery_twice_gives_the_same_key_and_ids(case: Case) -> None:
    first, second = (run(case)[0] for _ in range(2))
    assert [c.id for c in first.outcome.commands] == [c.id for c in second.outcome.commands]
    assert [c.event for c in first.outcome.commands] == [c.event for c in second.outcome.commands]
    assert (first.reading and first.reading.key) == (second.reading and second.reading.key)


@pytest.mark.parametrize("provider", sorted({file.stem for file in PROVIDERS.glob("*.yaml")}))
def test_every_feed_and_handshake_of_a_provider_has_cases(provider: str) -> None:
    covered = {case.feed for case in CASES if case.provider == provider}
    assert covered == set(interpreter_of(provider).feeds) | set(interpreter_of(provider).provider.handshakes)


def test_ids_of_different_commands_differ() -> None:
    for case in CASES:
        ids = [command.id for command in run(case)[0].outcome.commands]
        assert len(ids) == len(set(ids)), case.name
