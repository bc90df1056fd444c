"""Alerts and silences of a running service, on both databases, told to a real receiver."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from flows.alerting.kinds import new_alert, new_secret
from flows.alerting.posting import Poster
from flows.alerting.sending import RETRIES
from flows.alerting.watch import LEASE_SECONDS, Watch
from stores import alert_facts, alerts, audit, notices, silences
from stores.tables import deliveries, outbox
from stores.writer import Work
from tests.flows.alerting.receivers import LOOPBACK, Receiver, receiver
from tests.flows.scenery import deliver, settings_in, started, stock

pytestmark = pytest.mark.usefixtures("everywhere")


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


class Scene:
    """A service, a watch of it, and a clock that the test moves."""

    def __init__(self, service: Any, receiving: Receiver) -> None:
        self.service, self.receiving = service, receiving
        self.now = datetime.now(UTC)
        self.secret = new_secret()
        self.watch = self.another("watch-1")

    def another(self, owner: str) -> Watch:
        poster = Poster(LOOPBACK)
        return Watch(self.service.journal, owner, lambda: self.now, "https://desk.example", lambda: poster)

    async def add(self, kind: str, **given: Any) -> str:
        rule = new_alert(kind, self.receiving.url, who="ann", at=self.now, **given)
        seal = self.service.journal.seal
        url, secret = seal(self.receiving.url.encode()), seal(self.secret.encode())
        await self.service.journal.write(Work(alerts.add, rule, url, secret, "a test"))
        return rule.id

    async def later(self, **time: float) -> list[str]:
        """The types of what is told in a round after some time."""
        self.now += timedelta(**time)
        before = len(self.receiving.told)
        await self.watch.round()
        return self.receiving.types[before:]

    async def read(self, job: Any) -> Any:
        return await self.service.journal.read(job)


def play(tmp_path: Any, receiving: Receiver, story: Any) -> Any:
    async def run() -> Any:
        async with started(settings_in(tmp_path, quarantine=1000)) as service:
            return await story(Scene(service, receiving))

    return asyncio.run(run())


def test_a_failure_rate_is_told_once_and_its_end_once_both_signed(tmp_path: Any, receiving: Receiver) -> None:
    async def story(scene: Scene) -> None:
        await scene.add("failure_rate", above=50, within=600, least=4)
        for n in range(3):
            await deliver(scene.service, stock(f"e-{n}", a="wrong"))
        assert await scene.later(seconds=1) == []  # fewer than the least
        await deliver(scene.service, stock("e-9", a="5"))
        assert [await scene.later(seconds=1), await scene.later(seconds=30)] == [["alert.firing"], []]
        told = receiving.data(0)
        assert (told["value"], told["above"], told["kind"]) == (75, 50, "failure_rate")
        assert [await scene.later(minutes=11), await scene.later(minutes=3), await scene.later(minutes=3)] == [
            [], ["alert.resolved"], [],
        ]  # fmt: skip
        for _, body, headers in receiving.told:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            key = b64decode(scene.secret.removeprefix("whsec_"))
            mac = b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == f"v1,{mac}"
            assert b"do-not-show-me" not in body
        entries = await scene.read(lambda t: [(one.who, one.what) for one in audit.entries(t, 3)])
        assert entries == [("tiffin", "alert.resolved"), ("tiffin", "alert.firing"), ("ann", "alert.add")]

    play(tmp_path, receiving, story)


def test_a_failure_rate_of_a_connection_counts_its_deliveries_alone(tmp_path: Any, receiving: Receiver) -> None:
    async def story(scene: Scene) -> None:
        for n in range(4):
            await deliver(scene.service, stock(f"e-{n}", a="wrong"))
        since = scene.now - timedelta(minutes=5)
        rates = await scene.read(
            lambda t: [alert_facts.failure_rate(t, since, *of) for of in (("", "one"), ("", "two"), ("acme",), ("x",))]
        )
        assert [tuple(one) for one in rates] == [(4, 4), (0, 0), (4, 4), (0, 0)]

    play(tmp_path, receiving, story)


def test_a_full_quarantine_is_told(tmp_path: Any, receiving: Receiver) -> None:
    async def story(scene: Scene) -> None:
        await scene.add("quarantine", above=2, provider="acme")
        for n in range(3):
            await deliver(scene.service, stock(f"e-{n}"), secret="not-the-secret-of-it-01")
        assert await scene.later(seconds=1) == ["alert.firing"]
        assert (receiving.data(0)["subject"], receiving.data(0)["value"]) == ("acme", 3)

    play(tmp_path, receiving, story)


def test_a_command_that_waits_for_the_bus_is_told_and_a_parked_one_is_not(tmp_path: Any, receiving: Receiver) -> None:
    def waiting(shard: int, at: datetime) -> Work:
        return Work(_wait, shard, at)

    async def story(scene: Scene) -> None:
        await scene.add("outbox_age", above=60)
        # A shard that no relay leases: that of another version's.
        await scene.service.journal.write(waiting(-5, scene.now - timedelta(hours=2)))
        assert await scene.later(seconds=1) == []
        await scene.service.journal.write(waiting(999, scene.now - timedelta(minutes=5)))
        assert await scene.later(seconds=1) == ["alert.firing"]
        assert receiving.data(0)["value"] >= 300

    play(tmp_path, receiving, story)


def _wait(transaction: Any, shard: int, at: datetime) -> None:
    values = {"delivery": "d", "attempt": 1, "shard": shard, "kafka_key": "k", "count": 1, "ids": ["1"], "data": b"[]",
              "created_at": at, "topic": "catalog.commands"}  # fmt: skip
    transaction.execute(insert(outbox).values(values))


def _sent(transaction: Any, connection: str, times: list[datetime]) -> None:
    fixed = {"tenant": "north", "provider": "acme", "connection": connection, "feed": "f", "method": "POST", "url": "/",
             "headers": b"[]", "sealed": b"", "body": b"", "body_sealed": False, "peer": "", "spec_hash": "",
             "quarantined": ""}  # fmt: skip
    rows = [{**fixed, "id": f"{alert_facts.id_at(at)}{n:032x}", "received_at": at} for n, at in enumerate(times)]
    transaction.execute(insert(deliveries), rows)


def test_a_silent_connection_raises_a_notice_and_an_alert_and_both_end_by_themselves(
    tmp_path: Any, receiving: Receiver
) -> None:
    async def story(scene: Scene) -> None:
        await scene.add("silent_connection")
        hourly = [scene.now - timedelta(hours=n) for n in range(48, 0, -1)]
        await scene.service.journal.write(Work(_sent, "one", hourly))
        assert await scene.later(seconds=1) == []
        assert await scene.later(hours=3) == ["alert.firing"]
        assert receiving.data(0)["subject"] == "one"
        [notice] = await noticed(scene)
        assert (notice.connection, notice.provider, notice.tenant) == ("one", "acme", "north")
        assert set(notice.shown) == {"last delivery", "silent for longer than"}
        assert await scene.later(minutes=1) == []
        assert len(await noticed(scene)) == 1
        await scene.service.journal.write(Work(_sent, "one", [scene.now]))
        assert await scene.later(seconds=1) == []
        assert await noticed(scene) == []
        assert await scene.later(minutes=3) == ["alert.resolved"]

    async def noticed(scene: Scene) -> Any:
        chosen = {"handshake": silences.SILENCE}
        return await scene.read(lambda t: notices.listed(t, scene.service.journal.unseal, chosen))

    play(tmp_path, receiving, story)


def test_what_is_not_taken_is_sent_again_with_the_same_id_and_then_given_up(tmp_path: Any, receiving: Receiver) -> None:
    async def story(scene: Scene) -> None:
        receiving.status = 500
        id = await scene.add("silent_connection", above=60, connection="one")
        await scene.service.journal.write(Work(_sent, "one", [scene.now - timedelta(hours=1)]))
        assert await scene.later(seconds=1) == ["alert.firing"]
        assert await scene.later(seconds=1) == []
        for pause in RETRIES:
            assert await scene.later(seconds=pause.total_seconds()) == ["alert.firing"]
        assert await scene.later(days=0.5) == []
        assert len({headers["webhook-id"] for _, _, headers in receiving.told}) == 1
        [message] = await scene.read(lambda t: alerts.messages(t, alert=id))
        assert (message.attempts, message.due_at, message.sent_at) == (1 + len(RETRIES), None, None)
        assert message.problem == "127.0.0.1 answered 500"

    play(tmp_path, receiving, story)


def test_many_troubles_at_once_are_all_told_in_one_round(tmp_path: Any, receiving: Receiver) -> None:
    async def story(scene: Scene) -> None:
        ids = [await scene.add("quarantine", above=0, provider="acme") for _ in range(20)]
        await deliver(scene.service, stock("e-1"), secret="not-the-secret-of-it-01")
        assert await scene.later(seconds=1) == ["alert.firing"] * 20
        assert {receiving.data(n)["alert"] for n in range(20)} == set(ids)

    play(tmp_path, receiving, story)


def test_a_removed_rule_is_told_no_more(tmp_path: Any, receiving: Receiver) -> None:
    async def story(scene: Scene) -> None:
        receiving.status = 500
        id = await scene.add("silent_connection", above=60)
        await scene.service.journal.write(Work(_sent, "one", [scene.now - timedelta(hours=1)]))
        assert await scene.later(seconds=1) == ["alert.firing"]
        await scene.service.journal.write(Work(alerts.remove, id, "ann", scene.now, "no more"))
        assert await scene.later(hours=1) == []
        assert await scene.read(alerts.standing) == []

    play(tmp_path, receiving, story)


def test_one_process_at_a_time_looks_and_another_takes_over_when_it_ends(tmp_path: Any, receiving: Receiver) -> None:
    async def story(scene: Scene) -> None:
        await scene.add("silent_connection", above=60)
        await scene.service.journal.write(Work(_sent, "one", [scene.now - timedelta(hours=1)]))
        other = scene.another("watch-2")
        assert [await scene.watch.round(), await other.round()] == [True, False]
        assert receiving.types == ["alert.firing"]
        scene.now += timedelta(seconds=LEASE_SECONDS + 1)
        assert [await other.round(), await scene.watch.round()] == [True, False]
        assert receiving.types == ["alert.firing"]

    play(tmp_path, receiving, story)


def test_neither_url_nor_secret_stands_in_the_database(tmp_path: Any, receiving: Receiver) -> None:
    async def story(scene: Scene) -> None:
        await scene.add("quarantine")
        [id] = [one.id for one in await scene.read(alerts.listed)]
        sealed = await scene.read(lambda t: alerts.sealed_target(t, id))
        assert all(b"do-not-show-me" not in one and scene.secret.encode() not in one for one in sealed)
        shown = repr(await scene.read(alerts.listed)) + repr(await scene.read(lambda t: audit.entries(t, 1)))
        assert "do-not-show-me" not in shown
        assert scene.secret not in shown

    play(tmp_path, receiving, story)
