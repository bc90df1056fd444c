"""The index in OpenSearch, by URL: `https://user:password@host:9200/name-of-the-index`.

How far it has read stands in the database, and moves after OpenSearch has taken a batch: what a crash repeats ends in
the same documents, since the events of an entity are taken in order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection

from engine.search_terms import Doc, DocKey, Question, asked, typos
from stores import views
from stores.search.index import NAME, Hit, SearchAway
from stores.views import Advance

Transaction = Callable[[], AbstractContextManager[Connection]]
DEFAULT: Final = "tiffin"
SECONDS: Final = 10.0
_FIELDS: Final = ("name^10", "codes^12", "more^2")
_MAPPING: Final = {
    "mappings": {
        "dynamic": "strict",
        "properties": {
            **{name: {"type": "keyword"} for name in DocKey._fields},
            **{name: {"type": "text", "analyzer": "whitespace"} for name in ("name", "codes", "more")},
        },
    }
}
_NOT_FOUND: Final = 404


class OpenSearchIndex:
    """One index of a cluster."""

    def __init__(self, url: str, transaction: Transaction) -> None:
        """Nothing is connected before the first call. `transaction` begins one in the database, and commits it.

        Raises SearchAway where the client is not installed.
        """
        # Imported here because few set-ups have one.
        try:
            from opensearchpy import OpenSearch
        except ImportError:
            raise SearchAway("opensearch-py is not installed: pip install opensearch-py") from None
        parts = urlsplit(url)
        self._transaction, self._name = transaction, parts.path.strip("/") or DEFAULT
        port = parts.port or (443 if parts.scheme == "https" else 9200)
        login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._client: Any = OpenSearch(
            [{"host": parts.hostname, "port": port}],
            http_auth=login,
            use_ssl=parts.scheme == "https",
            timeout=SECONDS,
            max_retries=0,
        )

    def offsets(self) -> Mapping[int, int] | None:
        with self._transaction() as connection:
            return views.offsets(connection, name=NAME) or None

    def take(self, docs: Sequence[Doc], gone: Sequence[DocKey], moves: Sequence[Advance]) -> None:
        self._send([*_puts(docs), *({"delete": {"_id": _id(key)}} for key in gone)])
        with self._transaction() as connection:
            views.advance(connection, moves, name=NAME)

    def rebuild(self, docs: Iterable[Doc], offsets: Mapping[int, int], *, only_new: bool = False) -> int | None:
        if only_new and self.offsets() is not None:
            return None
        with _reported():
            self._client.indices.delete(index=self._name, ignore_unavailable=True)
            self._client.indices.create(index=self._name, body=_MAPPING)
        count, lines = 0, list[Any]()
        for doc in docs:
            count += 1
            lines += _puts([doc])
            if len(lines) >= 1000:
                self._send(lines)
                lines = []
        self._send(lines)
        with self._transaction() as connection:
            views.place(connection, offsets, name=NAME)
        return count

    def search(self, question: Question) -> list[Hit]:
        with _reported():
            found = self._client.search(index=self._name, body=body_of(question))
        return [
            Hit(DocKey(*(one["_source"][name] for name in DocKey._fields)), one["_score"] or 0.0)
            for one in found["hits"]["hits"]
        ]

    def close(self) -> None:
        self._client.close()

    def _send(self, lines: Sequence[Any]) -> None:
        if not lines:
            return
        with _reported():
            answer = self._client.bulk(body=lines, index=self._name)
        for one in answer["items"]:
            (told,) = one.values()
            if told["status"] >= 300 and told["status"] != _NOT_FOUND:
                raise SearchAway(f"a document was refused with status {told['status']}")


def body_of(question: Question) -> dict[str, Any]:
    """The question in OpenSearch's language: every word, as the beginning of one or mistyped, in any field."""
    where = [{"term": {"tenant": question.tenant}}]
    where += [{"term": {"owner": question.store}}] if question.store else []
    where += [{"term": {"kind": question.kind}}] if question.kind else []
    return {
        "query": {"bool": {"filter": where, "must": [_word(one.word) for one in asked(question.text)]}},
        "_source": list(DocKey._fields),
        "sort": ["_score", *(f"{name}" for name in ("kind", "owner", "id"))],
        "track_scores": True,
        "from": question.offset,
        "size": question.limit,
    }


def _word(word: str) -> dict[str, Any]:
    either: list[dict[str, Any]] = [{"multi_match": {"query": word, "type": "bool_prefix", "fields": list(_FIELDS)}}]
    if most := typos(word):
        fuzzy = {"query": word, "fields": list(_FIELDS), "fuzziness": most, "prefix_length": 1, "boost": 0.1}
        either.append({"multi_match": fuzzy})
    return {"dis_max": {"queries": either}}


def _id(key: DocKey) -> str:
    return hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()


def _puts(docs: Iterable[Doc]) -> Iterator[Any]:
    for doc in docs:
        yield {"index": {"_id": _id(doc.key)}}
        yield {**doc.key._asdict(), "name": doc.name, "codes": doc.codes, "more": doc.more}


@contextmanager
def _reported() -> Iterator[None]:
    from opensearchpy.exceptions import OpenSearchException

    try:
        yield
    except OpenSearchException as error:
        raise SearchAway(type(error).__name__) from error
