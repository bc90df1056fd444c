"""The index in PostgreSQL's own full text search, in a schema beside the tables (migration 0011).

Words come as they are in every index, so vectors and questions are written out: no dictionary of the server's
changes them. Words that the index has ever had are kept apart, to find those that a mistyped one is like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from engine.search_terms import Asked, Doc, DocKey, Question, scope_words
from stores import views
from stores.search.index import NAME, Hit, SearchAway, terms_asked
from stores.views import Advance

Transaction = Callable[[], AbstractContextManager[Connection]]
_LOCK: Final = 0x7469_6666_7365
_AT_ONCE: Final = 500
_MOST_COMPARED: Final = 50_000
_LONGEST_POSITION: Final = 16_000

_GONE = text(
    "DELETE FROM tiffin_search.docs WHERE (tenant, owner, kind, id) IN "
    "(SELECT * FROM unnest(CAST(:tenants AS text[]), CAST(:owners AS text[]), CAST(:kinds AS text[]), "
    "CAST(:ids AS text[])))"
)
_PUT = text(
    "INSERT INTO tiffin_search.docs (tenant, owner, kind, id, name, state, words) "
    "VALUES (:tenant, :owner, :kind, :id, :name, '', CAST(:words AS tsvector)) "
    "ON CONFLICT (tenant, owner, kind, id) DO UPDATE SET name = excluded.name, words = excluded.words"
)
_TERMS = text("INSERT INTO tiffin_search.terms SELECT unnest(CAST(:terms AS text[])) ON CONFLICT (term) DO NOTHING")
_SEARCH = text(
    "SELECT tenant, owner, kind, id, ts_rank('{0.0, 0.1, 0.9, 1.0}', words, CAST(:query AS tsquery)) AS score "
    "FROM tiffin_search.docs WHERE words @@ CAST(:query AS tsquery) "
    "ORDER BY score DESC, length(name), kind, owner, id LIMIT :limit OFFSET :offset"
)


class PostgresIndex:
    """Every call is a transaction of its own."""

    def __init__(self, transaction: Transaction) -> None:
        """`transaction` begins one, and commits it at its end."""
        self._transaction = transaction

    def offsets(self) -> Mapping[int, int] | None:
        with self._reported() as connection:
            return views.offsets(connection, name=NAME) or None

    def take(self, docs: Sequence[Doc], gone: Sequence[DocKey], moves: Sequence[Advance]) -> None:
        with self._reported() as connection:
            views.advance(connection, moves, name=NAME)
            if gone:
                tenants, owners, kinds, ids = map(list, zip(*gone, strict=True))
                connection.execute(_GONE, {"tenants": tenants, "owners": owners, "kinds": kinds, "ids": ids})
            _put(connection, docs)

    def rebuild(self, docs: Iterable[Doc], offsets: Mapping[int, int], *, only_new: bool = False) -> int | None:
        with self._reported() as connection:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            if only_new and views.offsets(connection, name=NAME):
                return None
            connection.execute(text("DELETE FROM tiffin_search.docs"))
            connection.execute(text("DELETE FROM tiffin_search.terms"))
            views.place(connection, offsets, name=NAME)
            count, left = 0, iter(docs)
            while part := list(islice(left, _AT_ONCE)):
                _put(connection, part)
                count += len(part)
        return count

    def search(self, question: Question) -> list[Hit]:
        with self._reported() as connection:
            query = _query(question, terms_asked(question.text, _Terms(connection)))
            asked = {"query": query, "limit": question.limit, "offset": question.offset}
            return [Hit(DocKey(*row[:4]), row[4]) for row in connection.execute(_SEARCH, asked)]

    def close(self) -> None:
        """Nothing of it stays open."""

    @contextmanager
    def _reported(self) -> Iterator[Connection]:
        try:
            with self._transaction() as connection:
                yield connection
        except DBAPIError as error:
            raise SearchAway(type(error.orig).__name__) from error


class _Terms:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self, word: str) -> bool:
        return next(self._from(word, 1), None) is not None

    def beginning(self, letter: str) -> Iterator[str]:
        return self._from(letter, _MOST_COMPARED)

    def _from(self, start: str, most: int) -> Iterator[str]:
        statement = text("SELECT term FROM tiffin_search.terms WHERE term >= :start AND term < :end LIMIT :most")
        asked = {"start": start, "end": start + chr(0x10FFFF), "most": most}
        yield from self._connection.scalars(statement, asked)


def _put(connection: Connection, docs: Sequence[Doc]) -> None:
    if not docs:
        return
    connection.execute(_PUT, [{**doc.key._asdict(), "name": doc.name, "words": _vector(doc)} for doc in docs])
    terms = {word for doc in docs for word in f"{doc.name} {doc.codes} {doc.more}".split()}
    # In order, so that two who write the same words do not wait for one another for ever.
    connection.execute(_TERMS, {"terms": sorted(terms)})


def _vector(doc: Doc) -> str:
    """A tsvector written out: names and codes weigh A and B, the rest C, where something is D."""
    places: dict[str, list[str]] = {}
    at = 0
    for words, weight in ((doc.name, "A"), (doc.codes, "B"), (doc.more, "C"), (doc.key.scope(), "")):
        for word in words.split():
            at = min(at + 1, _LONGEST_POSITION)
            places.setdefault(word, []).append(f"{at}{weight}")
    return " ".join(f"'{word}':{','.join(dict.fromkeys(found))}" for word, found in places.items())


def _query(question: Question, words: Sequence[Asked]) -> str:
    """A tsquery written out; words have no signs, so there is nothing to escape."""
    parts: list[Any] = [f"'{word}'" for word in scope_words(question.tenant, question.store, question.kind)]
    for one in words:
        either = [f"'{one.word}'{':*' if one.prefix else ''}", *(f"'{near}'" for near in one.near)]
        parts.append(f"({' | '.join(either)})")
    return " & ".join(parts)
