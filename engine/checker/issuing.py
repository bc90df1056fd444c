"""Tokens that a feed gives out, and the schemes that take them."""

from __future__ import annotations

from collections.abc import Iterator

from engine.auth_model import IssuedScheme
from engine.checker.authentication import auths, leaves
from engine.checker.sites import Context
from engine.model import Feed, ReplySpec
from engine.problems import Problem
from engine.reply_bodies import expressions


def issuing(context: Context) -> Iterator[Problem]:
    """`issued_never`, `issue_without_use`, `token_not_answered`, `login_without_auth`."""
    found = [leaf for path, auth in auths(context) for leaf in leaves(auth, path)]
    taken = {leaf.scheme.secret for leaf in found if isinstance(leaf.scheme, IssuedScheme)}
    given = {feed.issue.secret for feed in context.provider.feeds.values() if feed.issue is not None}
    for leaf in found:
        if isinstance(leaf.scheme, IssuedScheme) and leaf.scheme.secret not in given:
            place = context.place((*leaf.path, "scheme"))
            message, hint = "no feed gives out such tokens", "add a feed with issue: {secret: …, lifetime: 12h}"
            yield Problem(place, "issued_never", message, hint)
    for name, feed in context.provider.feeds.items():
        if feed.issue is not None and not context.touched(("feeds", name, "issue")):
            yield from _feed(context, name, feed, feed.issue.secret in taken)


def _feed(context: Context, name: str, feed: Feed, taken: bool) -> Iterator[Problem]:
    place = context.place(("feeds", name, "issue"), key=True)
    if not taken:
        message, hint = "no scheme takes the token that is given out", "add {scheme: issued, …} with the same secret"
        yield Problem(place, "issue_without_use", message, hint)
    if feed.auth is None:
        message, hint = "a login needs a proof of its own", "add auth: to the feed, such as {scheme: basic, …}"
        yield Problem(place, "login_without_auth", message, hint)
    if not _answers(feed.replies.accepted or context.provider.replies.accepted):
        message, hint = "the reply does not hold the token", "write $issued.token into replies: {accepted: …}"
        yield Problem(place, "token_not_answered", message, hint)


def _answers(reply: ReplySpec | None) -> bool:
    parts = (reply.json_, reply.text, reply.xml) if reply is not None else ()
    return any("$issued.token" in expression.text for part in parts for expression in expressions(part))
