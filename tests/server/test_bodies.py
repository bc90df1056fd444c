import asyncio

import pytest

from flows.admission import Gate
from server.bodies import Body, BodyRefused, declared_length, discard


def receiver(*messages):
    queue = list(messages)

    async def receive():
        if not queue:
            await asyncio.Event().wait()
        return queue.pop(0)

    return receive


def chunks(*parts: bytes):
    return [{"type": "http.request", "body": p, "more_body": n < len(parts) - 1} for n, p in enumerate(parts)]


def read(gate: Gate, limit: int, messages, declared=None, timeout=5.0) -> bytes:
    async def run():
        body = Body(gate, limit)
        try:
            if declared is not None:
                body.reserve(declared)
            return await body.read(receiver(*messages), declared, timeout)
        finally:
            body.release()

    return asyncio.run(run())


@pytest.mark.parametrize("parts", [(b"",), (b"abc",), (b"a", b"", b"bc"), (b"", b"abc", b"")])
def test_a_body_is_read_whole_however_it_is_cut(parts):
    assert read(Gate(10), 10, chunks(*parts)) == b"".join(parts)


def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read():
    with pytest.raises(BodyRefused) as refused:
        read(Gate(100), 10, [], declared=11)
    assert refused.value.reason == "too_large"


def test_a_streamed_body_over_the_limit_is_refused_at_the_chunk_that_passes_it():
    messages = chunks(b"12345", b"67890", b"1", b"never asked for")
    with pytest.raises(BodyRefused) as refused:
        read(Gate(100), 10, messages)
    assert refused.value.reason == "too_large"


def test_a_body_for_which_the_gate_has_no_room_is_busy_before_anything_is_read():
    gate = Gate(100)
    gate.take(95)
    with pytest.raises(BodyRefused) as refused:
        read(gate, 10, [], declared=10)
    assert refused.value.reason == "busy"


def test_a_streamed_body_is_paid_for_chunk_by_chunk():
    gate = Gate(100)
    gate.take(95)
    with pytest.raises(BodyRefused) as refused:
        read(gate, 10, chunks(b"12345", b"6"))
    assert refused.value.reason == "busy"


def test_everything_reserved_is_given_back_after_a_refusal():
    gate = Gate(100)
    with pytest.raises(BodyRefused):
        read(gate, 10, chunks(b"1234567890", b"1"))
    assert gate.held == 0


def test_a_client_that_goes_away_is_told_from_one_that_ends():
    with pytest.raises(BodyRefused) as refused:
        read(Gate(100), 10, [*chunks(b"12", b"")[:1], {"type": "http.disconnect"}])
    assert refused.value.reason == "hung_up"


def test_a_body_that_does_not_come_is_given_up():
    with pytest.raises(BodyRefused) as refused:
        read(Gate(100), 10, [], timeout=0)
    assert refused.value.reason == "body_timeout"


def test_discarding_stops_after_the_most_that_is_taken_in():
    asyncio.run(discard(receiver(*chunks(b"12345", b"67890", b"never")[:2]), 10, 5.0))


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], None),
        ([(b"content-length", b"12")], 12),
        ([(b"content-length", b"-1")], None),
        ([(b"content-length", b"")], None),
    ],
)
def test_content_length_is_read_only_when_it_is_a_number(headers, length):
    assert declared_length({"headers": headers}) == length
