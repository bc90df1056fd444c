"""How long a connection is used to be silent, learned from its own deliveries.

A delivery's id begins with 12 hex digits of the milliseconds at which it came. The first seven of them name a slot of
about seventeen minutes and a half: one step back along the index of (connection, id) leaves a whole slot behind, so
that a fortnight is at most some 1,150 steps, however much was sent.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, func, literal, select

from stores.alert_facts import id_at, id_time
from stores.tables import deliveries

SPAN: Final = timedelta(days=14)
"""So far back from its newest delivery a connection's habit is learned."""
SLOT: Final = 7
"""Digits of an id that name its slot of 2^20 ms."""
_MOST_STEPS: Final = 1_200


def pauses(connection: Connection, id: str, newest: str) -> list[timedelta]:
    """The time between the newest deliveries of slots in which a connection sent anything, the longest first.

    `newest` is the id of its newest delivery; what came before that within SPAN is looked at.
    """
    d = deliveries.c
    since = id_at(id_time(newest) - SPAN)
    steps = select(literal(newest).label("id"), literal(1).label("n")).cte("steps", recursive=True)
    before = (
        select(func.max(d.id))
        .where(d.connection == id, d.id < func.substr(steps.c.id, 1, SLOT), d.id >= since)
        .scalar_subquery()
    )
    steps = steps.union_all(select(before, steps.c.n + 1).where(steps.c.id.is_not(None), steps.c.n < _MOST_STEPS))
    ids = connection.scalars(select(steps.c.id).where(steps.c.id.is_not(None)).order_by(steps.c.n)).all()
    times = [id_time(one) for one in ids]
    return sorted((later - earlier for later, earlier in pairwise(times)), reverse=True)
