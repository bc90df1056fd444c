"""Admin keys: what opens, what does not any more, and what is kept of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, select

from flows import admin_keys
from flows.admin_keys import OF_THE_SETTING, ROLES, AdminKeys, Principal, allows
from stores import audit, tables
from stores.admin_keys import AdminKeyExists, AdminKeyUnknown
from stores.admin_keys import rows as key_rows
from stores.database import Database, open_database

START = datetime(2026, 1, 18, 12, tzinfo=UTC)


class Scene:
    """A database, the keys in it and a clock that is set by hand."""

    def __init__(self, url: str, setting: str = "") -> None:
        self.database: Database = open_database(url)
        self.at = START
        self.keys = AdminKeys(SecretStr(setting), self._run, self._run, lambda: self.at)

    async def _run(self, job: Callable[[Connection], Any]) -> Any:
        return self.write(job)

    def write(self, job: Callable[[Connection], Any]) -> Any:
        with self.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    def who(self, token: str) -> Principal | None:
        return asyncio.run(self.keys.who(token))

    def open(self) -> bool:
        return asyncio.run(self.keys.open())

    def create(self, name: str = "ravi", role: Any = "support", lasts: timedelta | None = None) -> str:
        until = None if lasts is None else self.at + lasts
        return self.write(lambda c: admin_keys.create(c, name, role, at=self.at, by="cli:me", expires_at=until))

    def revoke(self, which: str) -> None:
        self.write(lambda c: admin_keys.revoke(c, which, at=self.at, by="cli:me", why="left"))


@pytest.fixture
def scene(database_url: str) -> Any:
    made = Scene(database_url)
    yield made
    made.database.close()


def test_each_role_may_what_those_below_it_may() -> None:
    may = {role: [wanted for wanted in ROLES if allows(Principal("x", role), wanted)] for role in ROLES}
    assert may == {"viewer": ["viewer"], "support": ["viewer", "support"], "admin": ["viewer", "support", "admin"]}


def test_a_key_opens_with_its_name_and_role(scene: Scene) -> None:
    assert scene.who(scene.create()) == Principal("ravi", "support")


def test_only_the_whole_token_opens(scene: Scene) -> None:
    token = scene.create()
    other = "A" if token[-1] != "A" else "B"
    for wrong in ("", token[:-1], token[:-1] + other, token + "A", token.upper(), "tfn_000000000000_" + "A" * 43, "é"):
        assert scene.who(wrong) is None


def test_an_expired_key_opens_nothing(scene: Scene) -> None:
    token = scene.create(lasts=timedelta(hours=1))
    scene.at += timedelta(hours=1)
    assert scene.who(token) is None


@pytest.mark.parametrize("named", ["id", "name"])
def test_a_revoked_key_opens_nothing(scene: Scene, named: str) -> None:
    token = scene.create()
    scene.revoke(token.split("_")[1] if named == "id" else "ravi")
    assert scene.who(token) is None
    with pytest.raises(AdminKeyUnknown):
        scene.revoke("ravi")


def test_one_name_has_one_key_at_a_time(scene: Scene) -> None:
    scene.create()
    with pytest.raises(AdminKeyExists):
        scene.create()
    scene.revoke("ravi")
    scene.create()


def test_the_last_use_is_noted_once_a_minute(scene: Scene) -> None:
    token = scene.create()
    seen = []
    for seconds in (0, 59, 60):
        scene.at = START + timedelta(seconds=seconds)
        scene.who(token)
        [row] = scene.write(key_rows)
        seen.append(row.last_used_at)
    assert seen == [START, START, START + timedelta(seconds=60)]


def test_the_token_is_not_kept(scene: Scene) -> None:
    secret = scene.create().split("_", 2)[2]
    kept = scene.write(lambda c: [tuple(r) for t in (tables.admin_keys, tables.audit) for r in c.execute(select(t))])
    assert secret not in repr(kept)


def test_making_and_revoking_are_audited(scene: Scene) -> None:
    scene.create()
    scene.revoke("ravi")
    told = scene.write(
        lambda c: [(e.who, e.what, e.target, e.why, json.loads(e.data)["role"]) for e in audit.entries(c)]
    )
    assert told == [
        ("cli:me", "admin_key.revoke", "ravi", "left", "support"),
        ("cli:me", "admin_key.create", "ravi", "", "support"),
    ]


def test_the_key_of_the_setting_is_an_admins(tmp_path: Path) -> None:
    async def never(_: object) -> None:
        raise AssertionError("the database is not asked")

    keys = AdminKeys(SecretStr("the-key"), never, never, lambda: START)
    assert asyncio.run(keys.who("the-key")) == OF_THE_SETTING
    assert asyncio.run(keys.who("the-kez")) is None
    assert not asyncio.run(keys.open())


def test_without_a_setting_the_first_key_closes_what_was_open_for_good(scene: Scene) -> None:
    assert scene.open()
    scene.create()
    assert not scene.open()
    scene.revoke("ravi")
    assert not scene.open()
