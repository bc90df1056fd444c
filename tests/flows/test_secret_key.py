"""Rotation of the secret key, on SQLite and PostgreSQL."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from engine.messages import Connection as Agreement
from flows.alerting.kinds import new_alert
from flows.secret_key import SecretKeyRotation
from stores import alerts, connections, tables
from stores.database import Database, open_database
from stores.secrets import SecretBox, SecretKeyError

AT = datetime(2026, 1, 18, 12, tzinfo=UTC)
OLD, NEW = b"o" * 32, b"n" * 32


class Scene:
    def __init__(self, url: str) -> None:
        self.database: Database = open_database(url)
        self.old, self.both, self.new = SecretBox(OLD), SecretBox(NEW, OLD), SecretBox(NEW)
        self.write(self._fill)

    def write(self, job: Callable[[Connection], Any], /) -> Any:
        with self.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    def _fill(self, connection: Connection) -> None:
        for n in range(5):
            made = Agreement(f"con-{n}", "north", "acme", {"key": (f"secret-{n}".encode(),)})
            connections.add(connection, made, self.old, AT)
            for sealed_body in (False, True):
                connection.execute(insert(tables.deliveries).values(self._delivery(n, sealed_body)))
        connection.execute(
            insert(tables.notices).values(
                at=AT, tenant="", provider="acme", connection="", handshake="h", peer="", shown=self.old.seal(b"{}")
            )
        )

        rule = new_alert("outbox_age", "https://hooks.example/x", who="ann", at=AT)
        alerts.add(connection, rule, self.old.seal(b"https://hooks.example/x"), self.old.seal(b"whsec_x"))

    def _delivery(self, n: int, sealed_body: bool, place: str = "") -> dict[str, Any]:
        return {
            "id": f"{n}-{sealed_body}{place}", "received_at": AT, "tenant": "north", "provider": "acme",
            "connection": f"con-{n}", "feed": "stock", "method": "POST", "url": "/", "headers": b"[]",
            "sealed": self.old.seal(b"{}"), "body": self.old.seal(b"body") if sealed_body else b"body",
            "body_sealed": sealed_body, "peer": "", "spec_hash": "", "quarantined": "", "place": place,
        }  # fmt: skip

    def rotation(self, box: SecretBox, at_once: int = 2) -> SecretKeyRotation:
        return SecretKeyRotation(self.write, self.write, box, at_once)

    def everything(self, box: SecretBox) -> list[bytes]:
        def read(connection: Connection) -> list[bytes]:
            d = tables.deliveries.c
            sealed = [
                *connection.scalars(select(tables.connection_secrets.c.value).order_by(tables.connection_secrets.c.id)),
                *connection.scalars(select(tables.notices.c.shown)),
                *connection.scalars(select(tables.alerts.c.url)),
                *connection.scalars(select(tables.alerts.c.secret)),
                *connection.scalars(select(d.sealed).where(d.place == "")),
                *connection.scalars(select(d.body).where(d.body_sealed)),
            ]
            return [box.unseal(one) for one in sealed]

        return self.write(read)


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    made = Scene(database_url)
    yield made
    made.database.close()


def test_after_a_rotation_the_new_key_alone_opens_everything(scene: Scene) -> None:
    before = scene.everything(scene.old)
    assert sum(batch.values for batch in scene.rotation(scene.both).run()) == 5 + 1 + 2 + 10 + 5
    assert scene.everything(scene.new) == before
    assert set(scene.rotation(scene.both).left().values()) == {0}


def test_bodies_that_are_not_sealed_stay_as_they_are(scene: Scene) -> None:
    list(scene.rotation(scene.both).run())
    d = tables.deliveries.c
    assert set(scene.write(lambda c: c.scalars(select(d.body).where(~d.body_sealed)).all())) == {b"body"}


def test_a_rotation_that_was_stopped_goes_on_where_it_was(scene: Scene) -> None:
    started = scene.rotation(scene.both).run()
    first = next(started).values + next(started).values
    started.close()
    assert scene.everything(scene.both)
    rest = sum(batch.values for batch in scene.rotation(scene.both).run())
    assert (first, first + rest) == (4, 23)


def test_a_batch_is_bounded(scene: Scene) -> None:
    assert max(batch.values for batch in scene.rotation(scene.both, at_once=3).run()) == 3


def test_without_the_old_key_nothing_is_changed_and_that_is_said(scene: Scene) -> None:
    with pytest.raises(SecretKeyError, match="TIFFIN_SECRET_KEY_OLD"):
        list(scene.rotation(scene.new).run())
    assert scene.everything(scene.old)


def test_what_stands_in_objects_and_segments_is_counted(scene: Scene) -> None:
    for place in ("object:00:bodies/1", "segment:1"):
        scene.write(lambda c, p=place: c.execute(insert(tables.deliveries).values(scene._delivery(9, True, p))))
    assert scene.rotation(scene.both).elsewhere() == 2


def test_a_value_that_was_altered_is_not_sealed_anew() -> None:
    sealed = SecretBox(OLD).seal(b"x")
    with pytest.raises(SecretKeyError, match="altered"):
        SecretBox(NEW, OLD).unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_keys_are_told_apart_without_being_told() -> None:
    assert base64.b64encode(OLD) not in SecretBox(OLD).seal(b"x")
    assert SecretBox(OLD).head != SecretBox(NEW).head
