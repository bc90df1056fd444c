"""Query feeds: what they ask must fit the view, and the reply must tell it."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context
from engine.problems import Problem

_OF_ITEMS = ("only", "page", "size")


def answers(context: Context) -> Iterator[Problem]:
    """`answer_argument` and `answer_untold`."""
    for name, feed in context.provider.feeds.items():
        at = ("feeds", name, "answer")
        if feed.answer is None or context.touched(at):
            continue
        for key, answer in feed.answer.items():
            place = context.place((*at, key), key=True)
            if answer.view == "store_status" and answer.store is None:
                yield Problem(place, "answer_argument", "store_status is about one store", "add store: …")
            if answer.view == "store_status" and (extra := [n for n in _OF_ITEMS if n in answer.model_fields_set]):
                message = f"store_status takes no {extra[0]}"
                yield Problem(context.place((*at, key, extra[0]), key=True), "answer_argument", message, "remove it")
        if feed.replies.accepted is None and context.provider.replies.accepted is None:
            message = "nothing tells the sender what was looked up"
            yield Problem(context.place(at, key=True), "answer_untold", message, "write replies: {accepted: …}")
