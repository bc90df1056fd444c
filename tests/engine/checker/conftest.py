from collections.abc import Callable

import pytest

import schemas
from engine import checker
from engine.problems import Problem

FILE = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: official
auth: {scheme: token, header: X-Key, secret: key}
feeds:
  stock:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields:
          item_id: id
          quantity: qty
"""

Check = Callable[..., list[Problem]]


@pytest.fixture
def check() -> Check:
    """Checks the file above after replacing one text by another."""

    def run(old: str = "", new: str = "", file: str = FILE) -> list[Problem]:
        assert old in file
        return checker.check(file.replace(old, new, 1), "corner.yaml", schemas.canon())

    return run


@pytest.fixture
def found(check: Check) -> Callable[..., list[tuple[str, int, int]]]:
    """The same as (code, line, column)."""
    return lambda *args, **kwargs: [(p.code, p.place.line, p.place.column) for p in check(*args, **kwargs)]


@pytest.fixture
def when(check: Check) -> Callable[[str], list[tuple[str, int]]]:
    """(code, offset in the expression) of what is said about an expression under `when`."""

    def run(expression: str) -> list[tuple[str, int]]:
        quoted = "'" + expression.replace("'", "''") + "'"
        line = f"        when: {quoted}\n        each: items\n"
        return [(p.code, p.place.column - 16) for p in check("        each: items\n", line)]

    return run
