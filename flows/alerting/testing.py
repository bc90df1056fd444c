"""A message that an operator has sent at once, to see whether it arrives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, insert

from flows.alerting.sending import Posts, Target, sent
from flows.alerting.telling import message
from stores import audit
from stores.alerts import Alert, Message
from stores.tables import alert_messages


async def send_test(
    alert: Alert,
    sealed: tuple[bytes, bytes],
    unseal: Callable[[bytes], bytes],
    poster: Posts,
    clock: Callable[[], datetime],
    desk: str,
) -> Message:
    """The message as it stands after it was tried once; it is not tried again."""
    now = clock()
    url, secret = (unseal(one).decode() for one in sealed)
    made = message(alert, "alert.test", alert.connection or alert.provider, 0, alert.above, now, now, desk)
    return await sent(poster, made, Target(url, secret), clock)


def keep_test(connection: Connection, message: Message, who: str) -> None:
    """Keeps a test message among the others and says in the audit who sent it."""
    connection.execute(insert(alert_messages).values(message._asdict()))
    told = {"taken": message.sent_at is not None, "problem": message.problem}
    audit.append(connection, message.at, who, "alert.test", message.alert, data=told)
