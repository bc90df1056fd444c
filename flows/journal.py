"""What the flows write to the store and read from it, on the event loop.

Writes go through the group writer and return once they are committed. On SQLite the two reads of every
webhook run where they are asked, since they take microseconds; all others run in threads.

    StoreUnavailable   the database is away: nothing is known to be written
    QueueFull          more waits for a commit than is allowed
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection as Sql

from engine.failures import Failure
from engine.messages import Connection, IdempotencyKey, Ref
from flows.providers import LoadedProvider
from flows.settings import Settings
from stores import claims, connections, deliveries, mappings, migrate, specs
from stores.claims import Standing
from stores.database import Database, open_database
from stores.deliveries import InFlight, StoredDelivery
from stores.records import Committed, Conclusion, RawDelivery
from stores.secrets import Sealer, open_sealer
from stores.statements import statements
from stores.tables import micros
from stores.writer import GroupWriter

T = TypeVar("T")
_AWAY = frozenset({"OperationalError", "InterfaceError"})


class StoreUnavailable(Exception):
    """The database is away."""


class QueueFull(Exception):
    """More waits for a commit than TIFFIN_QUEUE_ROWS or TIFFIN_QUEUE_BYTES allow."""
