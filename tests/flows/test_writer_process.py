from __future__ import annotations

import io

from flows.writer_process import Busy, frame, frames


class Reset(io.BytesIO):
    """A stream whose other end was killed before it had read everything."""

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            raise ConnectionResetError
        return found


def test_what_was_read_before_a_reset_is_written_and_the_reset_is_the_end() -> None:
    stream = Reset(frame([(1, "one")]) + frame([(2, "two")]))
    assert list(frames(stream)) == [[(1, "one")], [(2, "two")]]


def test_half_a_frame_at_the_end_is_left_out() -> None:
    assert list(frames(io.BytesIO(frame([(1, "one")]) + frame([(2, "two")])[:-1]))) == [[(1, "one")]]


def test_it_is_busy_where_more_entries_a_second_were_written_than_the_rate_since_it_was_last_asked() -> None:
    written, now = [0], [0.0]
    busy = Busy(lambda: written[0], lambda: now[0], rate=100)
    told = []
    for entries, at in ((150, 1.0), (200, 2.0), (200, 2.5), (251, 3.0)):
        written[0], now[0] = entries, at
        told.append(busy())
    assert told == [True, False, False, True]
