from __future__ import annotations

from typing import Any

import pytest

from engine.unread import all_ignored


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ({"a": "1"}, ["a"]),
        ({"a": {"b": "1", "c": "2"}}, ["a.*"]),
        ({"a": [{"b": "1"}, {"b": "2"}]}, ["a.b"]),
        ({"a": "1", "b": []}, ["a", "b"]),
    ],
)
def test_everything_lies_under_an_ignored_path(document: Any, paths: list[str]) -> None:
    assert all_ignored(document, paths)


@pytest.mark.parametrize(
    ("document", "paths"),
    [({"a": "1"}, []), ({"a": "1", "b": "2"}, ["a"]), ({"a": []}, ["b"]), ({"a": {"b": "1"}}, ["a.c"]), ({}, ["a"])],
)
def test_a_value_outside_every_path_is_not_ignored(document: Any, paths: list[str]) -> None:
    assert not all_ignored(document, paths)
