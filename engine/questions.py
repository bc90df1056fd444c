"""Query feeds: what a request asks of which view. The flows look it up; the reply reads it as `$view.NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.failures import Failure, Refusal
from engine.jsonata import EngineName
from engine.messages import Connection, Ref
from engine.model import Answer, Expression
from engine.plans import as_list
from engine.reading import Reading, ValuesProgram, as_text

MOST_PAGE = 100_000


class Question(NamedTuple):
    """What is asked of one view, for `$view.name`. `store` is the provider's own id, "" for the merchant's.

    `only` holds SKUs or the provider's own ids, None for everything; `page` counts from 1, of `size` entries.
    `external`: ids are to be told as the provider names them.
    """

    name: str
    view: str
    store: str
    only: tuple[str, ...] | None
    page: int
    size: int
    external: bool

    @property
    def ref(self) -> Ref | None:
        """The store that must be known."""
        return Ref("store", "", self.store) if self.store else None


class QuestionsProgram:
    """The questions of one feed."""

    def __init__(self, lets: Mapping[str, Expression], answers: Mapping[str, Answer], engine: EngineName) -> None:
        self._answers = answers
        values = {
            f"{part}{n}": expression
            for n, answer in enumerate(answers.values())
            for part in ("store", "only", "page")
            if (expression := getattr(answer, part)) is not None
        }
        self._program = ValuesProgram(lets, values, engine) if values else None

    def read(self, reading: Reading) -> tuple[Question, ...]:
        """Raises Refusal where an argument cannot be read."""
        said = self._program.evaluate(reading.document, reading.request, reading.connection) if self._program else {}
        return tuple(
            _question(name, answer, {part: said.get(f"{part}{n}") for part in ("store", "only", "page")}, reading)
            for n, (name, answer) in enumerate(self._answers.items())
        )


def _question(name: str, answer: Answer, said: Mapping[str, Any], reading: Reading) -> Question:
    store = as_text(said["store"]) or ""
    if answer.store is not None and not store:
        raise _unreadable(answer.store, "which store it is about")
    only = None
    if answer.only is not None and said["only"] is not None:
        texts = [as_text(one) for one in as_list(said["only"])]
        only = tuple(dict.fromkeys(text.strip() for text in texts if text and text.strip())) or None
    return Question(name, answer.view, store, only, _page(answer, said["page"]), answer.size, answer.ids == "external")


def _page(answer: Answer, value: Any) -> int:
    text = as_text(value)
    if answer.page is None or text is None:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MOST_PAGE):
        raise _unreadable(answer.page, "which page, as a number from 1 on")
    return int(text)


def _unreadable(expression: Expression, what: str) -> Refusal:
    return Refusal(
        Failure(
            "validation",
            "question_unreadable",
            f"The question does not say {what}: `{expression.text}`.",
            "Correct the request, or the expression under answer.",
            place=str(expression.scalar.start),
            path=expression.text,
        )
    )


def not_known(store: str) -> Failure:
    """The failure of a question about a store that is not mapped."""
    return Failure(
        "mapping",
        "unmapped",
        f"The store {store!r} is not mapped to a canonical id.",
        f"Map it (tiffin mapping set … store {store} …).",
        facts={"kind": "store", "within": "", "external_id": store},
    )


def not_allowed(store: str) -> Failure:
    """The failure of a question about a store that is not the connection's; "" asks about all of them."""
    return Failure(
        "auth",
        "scope_not_allowed",
        f"The connection may not ask about {f'the store {store!r}' if store else 'all stores of the merchant'}.",
        "Ask through the store's own connection, or widen this connection.",
        facts={"kind": "store", "external_id": store},
    )


def may_ask(connection: Connection, store: str) -> bool:
    """Whether a canonical store is the connection's."""
    return not connection.stores or store in connection.stores
