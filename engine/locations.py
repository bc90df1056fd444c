"""Where in a request the parts of its authentication stand."""

from __future__ import annotations

from dataclasses import dataclass

from engine.model import Auth, BasicScheme, Located, Timestamp, TokenScheme
from engine.request_parts import Where
from engine.signing_keys import schemes


def location(located: Located) -> tuple[Where, str]:
    """Where a value stands and its name there, such as ("header", "X-Signature")."""
    if located.header is not None:
        return "header", located.header
    if located.query is not None:
        return "query", located.query
    if located.form is not None:
        return "form", located.form
    assert located.body is not None
    return "body", located.body


def timestamp_location(timestamp: Timestamp) -> tuple[Where, str]:
    """Where the time of signing stands; ("signature", "") where the file does not say."""
    places: tuple[tuple[Where, str | None], ...] = (
        ("header", timestamp.header),
        ("query", timestamp.query),
        ("body", timestamp.body),
        ("signature", timestamp.signature),
    )
    return next(((where, name) for where, name in places if name is not None), ("signature", ""))


@dataclass(frozen=True, slots=True)
class Locations:
    """Where requests carry secrets themselves, to be stored sealed. Header names are lower case."""

    headers: frozenset[str]
    query: frozenset[str]
    form: frozenset[str]
    body: frozenset[str]


def locations(auth: Auth) -> Locations:
    """Where tokens and credentials stand. Signatures are no secrets and are not listed."""
    found = [location(one) for one in schemes(auth) if isinstance(one, TokenScheme)]
    found += [("header", "authorization") for one in schemes(auth) if isinstance(one, BasicScheme)]

    def names(wanted: Where) -> frozenset[str]:
        return frozenset(str(name) for where, name in found if where == wanted)

    headers = frozenset(name.lower() for name in names("header"))
    return Locations(headers, names("query"), names("form"), names("body"))
