"""What PostgreSQL's errors mean for a batch (codes: PostgreSQL's appendix A)."""

from __future__ import annotations

from stores.locked_rows import Contended

_AWAY_CLASSES = ("08", "53", "57P", "58")
_READ_ONLY = "25006"
"""After a failover, until the connection is made anew."""
_CONTENDED = frozenset({"40001", "40P01", "23505", "55P03"})
"""Serialization failure, deadlock, a key that another process has just inserted, a lock not available."""
_NONE = "none"


def is_away_state(error: BaseException) -> bool:
    """Whether an error of psycopg says that the server is the trouble: away, full, or shutting down."""
    state = getattr(error, "sqlstate", _NONE)
    if state is None:
        # psycopg's own: the server could not be reached, or has closed the connection.
        return any(kind.__name__ in ("OperationalError", "InterfaceError") for kind in type(error).__mro__)
    return bool(state.startswith(_AWAY_CLASSES)) or state == _READ_ONLY


def is_contended(error: BaseException) -> bool:
    """Whether the same batch may well be written at the next try."""
    if isinstance(error, Contended):
        return True
    return getattr(getattr(error, "orig", error), "sqlstate", _NONE) in _CONTENDED
