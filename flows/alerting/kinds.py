"""What alerts there are, in which units they count, and which rules are refused."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from stores.alerts import Alert

Unit = Literal["percent", "seconds", "requests"]
LONGEST_URL: Final = 2_000
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Kind:
    """What a rule of this kind measures. `above` is the default bound; `least` and `within` 0: not used by it."""

    says: str
    unit: Unit
    above: int | None
    within: int = 0
    least: int = 0
    scoped: bool = True


KINDS: Final[Mapping[str, Kind]] = {
    "failure_rate": Kind(
        "the share of deliveries that failed, were parked or quarantined", "percent", 20, within=900, least=20
    ),
    "outbox_age": Kind("how long the oldest command has waited for the bus", "seconds", 300, scoped=False),
    "silent_connection": Kind("how long a connection has sent nothing", "seconds", None),
    "quarantine": Kind("requests in quarantine", "requests", 50),
}


class AlertRefused(ValueError):
    """The rule cannot be kept; the text says why and quotes neither URL nor secret."""


def new_alert(
    kind: str, url: str, *, above: int | None = None, within: int | None = None, least: int | None = None,
    provider: str = "", connection: str = "", remind: int = _DAY, who: str, at: datetime,
) -> Alert:  # fmt: skip
    """A rule with what was not given as its kind has it. Raises AlertRefused."""
    found = KINDS.get(kind)
    if found is None:
        raise AlertRefused(f"there is no alert of this kind; there are {', '.join(KINDS)}")
    within, least = found.within if within is None else within, found.least if least is None else least
    above = found.above if above is None else above
    if above is not None and not 0 <= above <= (100 if found.unit == "percent" else 10**9):
        raise AlertRefused("the bound is out of range")
    if found.within and not 60 <= within <= _DAY:
        raise AlertRefused("it looks back on a minute to a day")
    if not 0 <= least <= 10**6 or not (remind == 0 or 300 <= remind <= 30 * _DAY):
        raise AlertRefused("reminders are five minutes to 30 days apart, and at least 0 to 1000000 deliveries count")
    if (provider or connection) and not found.scoped:
        raise AlertRefused("this alert is of all deliveries: it takes neither provider nor connection")
    host = host_of(url)
    return Alert(f"al{secrets.token_hex(5)}", kind, above, within if found.within else 0, least if found.least else 0,
                 provider, connection, remind, host, at, who)  # fmt: skip


def host_of(url: str) -> str:
    """Scheme, host and port of a URL, which is what is shown of it. Raises AlertRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AlertRefused("the URL cannot be read") from None
    odd = any(ord(one) <= 0x20 or ord(one) >= 0x7F for one in url)
    if parts.scheme not in ("https", "http") or not parts.hostname or odd or len(url) > LONGEST_URL:
        raise AlertRefused("the URL must be https://host/…, of printable ASCII")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AlertRefused("the URL may have neither a user nor a fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def new_secret() -> str:
    """A secret by which receivers check signatures, as Standard Webhooks writes it: 32 random bytes."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def usable_secret(given: str) -> None:
    """Raises AlertRefused for what is no secret of 24 to 64 bytes as Standard Webhooks writes it."""
    try:
        key = b64decode(given.removeprefix("whsec_"), validate=True)
    except (ValueError, UnicodeEncodeError):
        key = b""
    if not given.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise AlertRefused("the secret must be whsec_ and 24 to 64 bytes in base64")
