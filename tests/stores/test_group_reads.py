from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy.engine import make_url

from engine.messages import IdempotencyKey, Ref
from stores import mappings
from stores.claims import Standing
from stores.database import open_database
from stores.group_reads import Gathered, GroupReads, Link
from stores.tables import micros
from tests.stores.writers import NOW, Writer, conclusion, event_key, group, last_key, later


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[GroupReads]:
    reads = GroupReads(make_url(url))
    try:
        yield reads
    finally:
        await reads.close()


def asked(url: str, question: Callable[[GroupReads], Awaitable]):
    async def run():
        async with reading(url) as reads:
            return await question(reads)

    return asyncio.run(run())


@pytest.fixture
def writer(postgres_database: str):
    writer = Writer(postgres_database)
    writer.receive("d1")
    yield writer
    writer.close()


def test_a_free_key_has_no_holder(postgres_database: str) -> None:
    assert asked(postgres_database, lambda reads: reads.standing("T", "P", event_key("e"), micros(NOW))) is None


@pytest.mark.parametrize(("state", "done"), [("accepted", True), ("partial", False)])
def test_a_claimed_key_is_its_deliverys(writer: Writer, postgres_database: str, state, done) -> None:
    writer.conclude(conclusion("d1", event_key("e"), group("a"), state=state))
    found = asked(postgres_database, lambda reads: reads.standing("T", "P", event_key("e"), micros(NOW)))
    assert found == Standing("d1", done)


def test_a_key_is_free_again_when_its_window_has_passed(writer: Writer, postgres_database: str) -> None:
    key = IdempotencyKey("payload_hash:h", "payload_hash", window=60)
    writer.conclude(conclusion("d1", key, group("a")))
    found = [
        asked(postgres_database, lambda reads, at=at: reads.standing("T", "P", key, micros(later(at))))
        for at in (59, 60)
    ]
    assert found == [Standing("d1", True), None]


def test_the_last_accepted_message_stands_and_an_earlier_one_does_not(writer: Writer, postgres_database: str) -> None:
    writer.conclude(conclusion("d1", last_key("5"), group("a")))
    found = [
        asked(postgres_database, lambda reads, v=value: reads.standing("T", "P", last_key(v), micros(NOW)))
        for value in ("5", "4")
    ]
    assert found == [Standing("d1", True), None]


def test_ids_resolve_as_the_store_resolves_them(postgres_database: str) -> None:
    database = open_database(postgres_database)
    refs = [Ref("item", "S", "a"), Ref("item", "S", "b"), Ref("item", "S", "c"), Ref("item", "", "b")]
    with database.engine.begin() as connection:
        for within, external, canonical in (("S", "a", "own"), ("", "a", "shared"), ("", "b", "shared-b")):
            mappings.set_mapping(connection, "T", "P", Ref("item", within, external), canonical, NOW, "set")
        expected = mappings.resolve(connection, "T", "P", refs)
    database.close()
    assert asked(postgres_database, lambda reads: reads.resolve("T", "P", refs)) == expected
    assert asked(postgres_database, lambda reads: reads.mapping_generation()) == 3


def test_many_that_ask_for_the_generation_at_once_share_a_query(postgres_database: str, monkeypatch) -> None:
    queries = []
    rows = Link.rows

    async def counted(link: Link, sql: str, parameters):
        queries.append(sql)
        return await rows(link, sql, parameters)

    monkeypatch.setattr(Link, "rows", counted)

    async def question(reads: GroupReads):
        return await asyncio.gather(*[reads.mapping_generation() for _ in range(50)])

    assert (asked(postgres_database, question), len(queries)) == ([0] * 50, 1)


def test_a_connection_that_the_server_has_closed_is_opened_anew(writer: Writer, postgres_database: str) -> None:
    writer.conclude(conclusion("d1", event_key("e"), group("a")))

    async def question(reads: GroupReads):
        await reads.standing("T", "P", event_key("e"), micros(NOW))
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE '%unnest%' AND pid <> pg_backend_pid()"
            )
        return await reads.standing("T", "P", event_key("e"), micros(NOW))

    assert asked(postgres_database, question) == Standing("d1", True)


def test_of_many_that_find_a_connection_closed_one_replaces_it(postgres_database: str) -> None:
    async def question():
        link = Link(make_url(postgres_database))
        try:
            (pid,), *_ = await link.rows("SELECT pg_backend_pid()", [])
            with psycopg.connect(postgres_database, autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            answers = await asyncio.gather(*[link.rows("SELECT pg_backend_pid()", []) for _ in range(20)])
        finally:
            await link.close()
        return pid, {row for rows in answers for row in rows}

    closed, answering = asyncio.run(question())
    assert len(answering) == 1
    assert (closed,) not in answering


def test_a_server_that_is_away_is_an_error_of_the_driver() -> None:
    with pytest.raises(psycopg.OperationalError):
        asked("postgresql://nobody@127.0.0.1:1/none", lambda reads: reads.standing("T", "P", event_key("e"), 0))


# ---- gathering ----


class Asked:
    """Answers when told to, and remembers what was asked together."""

    def __init__(self) -> None:
        self.batches: list[list] = []
        self.called, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, questions) -> dict:
        self.batches.append(list(questions))
        self.called.set()
        await self.go.wait()
        return {question: question[0].upper() for question in questions if question != ("none",)}


def test_what_is_asked_while_a_query_runs_is_asked_together_by_the_next() -> None:
    async def run():
        answers = Asked()
        gathered = Gathered(answers)
        tasks = [asyncio.create_task(gathered.ask([(name,)])) for name in "a"]
        await answers.called.wait()
        tasks += [asyncio.create_task(gathered.ask([(name,), ("none",)])) for name in "bcb"]
        for _ in range(5):
            await asyncio.sleep(0)
        answers.go.set()
        return await asyncio.gather(*tasks), answers.batches

    found, batches = asyncio.run(run())
    assert found == [{("a",): "A"}, {("b",): "B"}, {("c",): "C"}, {("b",): "B"}]
    assert batches == [[("a",)], [("b",), ("none",), ("c",)]]


def test_one_who_hangs_up_takes_the_answer_from_no_other() -> None:
    async def run():
        answers = Asked()
        gathered = Gathered(answers)
        first = asyncio.create_task(gathered.ask([("a",)]))
        second = asyncio.create_task(gathered.ask([("a",)]))
        await answers.called.wait()
        first.cancel()
        answers.go.set()
        return await second

    assert asyncio.run(run()) == {("a",): "A"}


def test_an_error_is_told_to_all_who_wait_and_the_next_question_is_asked_again() -> None:
    async def run():
        calls = 0

        async def ask(questions) -> dict:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise psycopg.OperationalError("away")
            return dict.fromkeys(questions, 1)

        gathered = Gathered(ask)
        failed = await asyncio.gather(gathered.ask([("a",)]), gathered.ask([("b",)]), return_exceptions=True)
        return failed, await gathered.ask([("a",)])

    failed, answered = asyncio.run(run())
    assert [type(one) for one in failed] == [psycopg.OperationalError] * 2
    assert answered == {("a",): 1}
