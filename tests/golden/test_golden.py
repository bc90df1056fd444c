"""Every golden case: the exact request goes in; verdict, key, commands, failures and reply come out.

An unused snapshot fails the run, and so does a case without one.
"""

from __future__ import annotations

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from flows.golden import Case
from flows.pins import pin_text, pinned, stray_folders
from tests.golden.cases import GOLDEN, PROVIDERS, cases, interpreter_of, run

CASES = cases()


class CaseSnapshot(JSONSnapshotExtension):
    """One readable file a case; keys in the order in which they are trial."""

    def serialize(self, data: Any, **_: Any) -> str:
        return pin_text(data)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case, snapshot: SnapshotAssertion) -> None:
    told = [pinned(trial) for trial in run(case)]
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


def test_every_folder_is_a_case_of_a_feed_or_handshake() -> None:
    assert stray_folders(GOLDEN, CASES, [file.stem for file in PROVIDERS.glob("*.yaml")]) == []
