from __future__ import annotations

import io

from flows.writer_process import frame, frames


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
