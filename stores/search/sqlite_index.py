"""The index of the embedded set-up: SQLite's FTS5 in a file of its own, which can be made again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.search_terms import Asked, Doc, DocKey, Question, scope_words
from stores.search.index import Hit, SearchAway, terms_asked
from stores.views import Advance, Moved

FILE: Final = "search.db"
VERSION: Final = 1
_MOST_COMPARED: Final = 50_000

_TABLES: Final = """
DROP TABLE IF EXISTS words; DROP TABLE IF EXISTS terms; DROP TABLE IF EXISTS docs; DROP TABLE IF EXISTS offsets;
CREATE TABLE offsets (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE docs (
    doc INTEGER PRIMARY KEY, tenant TEXT NOT NULL, owner TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    scope TEXT NOT NULL, name TEXT NOT NULL, codes TEXT NOT NULL, more TEXT NOT NULL);
CREATE UNIQUE INDEX docs_by_key ON docs (tenant, owner, kind, id);
CREATE VIRTUAL TABLE words USING fts5(
    scope, name, codes, more, content='docs', content_rowid='doc', prefix='2 3',
    tokenize="unicode61 remove_diacritics 0 categories 'L* N* Co Mn Mc'");
CREATE VIRTUAL TABLE terms USING fts5vocab(words, 'row');
CREATE TRIGGER docs_put AFTER INSERT ON docs BEGIN
    INSERT INTO words(rowid, scope, name, codes, more) VALUES (new.doc, new.scope, new.name, new.codes, new.more);
END;
CREATE TRIGGER docs_gone AFTER DELETE ON docs BEGIN
    INSERT INTO words(words, rowid, scope, name, codes, more)
    VALUES ('delete', old.doc, old.scope, old.name, old.codes, old.more);
END;
"""
_GONE = "DELETE FROM docs WHERE tenant = ? AND owner = ? AND kind = ? AND id = ?"
_PUT = "INSERT INTO docs (tenant, owner, kind, id, scope, name, codes, more) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SEARCH = """
SELECT d.tenant, d.owner, d.kind, d.id, -bm25(words, 0.0, 10.0, 12.0, 2.0) AS score
FROM words JOIN docs d ON d.doc = words.rowid WHERE words MATCH ?
ORDER BY score DESC, length(d.name), d.kind, d.owner, d.id LIMIT ? OFFSET ?
"""


class SqliteIndex:
    """One connection to the file."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        """Nothing is opened before the first call. Who does not `write` makes no file."""
        self._path, self._writes = folder / FILE, write
        self._connection: sqlite3.Connection | None = None

    def offsets(self) -> Mapping[int, int] | None:
        with self._reported() as connection:
            if connection is None or not _is_made(connection):
                return None
            return dict(connection.execute("SELECT partition, next FROM offsets").fetchall())

    def take(self, docs: Sequence[Doc], gone: Sequence[DocKey], moves: Sequence[Advance]) -> None:
        with self._transaction() as connection:
            for partition, before, after in moves:
                stands = connection.execute("SELECT next FROM offsets WHERE partition = ?", (partition,)).fetchone()
                if (stands[0] if stands else 0) != before:
                    raise Moved(f"the index has read partition {partition} up to {stands}, not {before}")
                connection.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?)", (partition, after))
            connection.executemany(_GONE, [*gone, *(doc.key for doc in docs)])
            connection.executemany(_PUT, map(_row, docs))

    def rebuild(self, docs: Iterable[Doc], offsets: Mapping[int, int], *, only_new: bool = False) -> int | None:
        with self._transaction() as connection:
            if only_new and _is_made(connection):
                return None
            for statement in _statements(_TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.executemany("INSERT INTO offsets VALUES (?, ?)", sorted(offsets.items()))
            connection.executemany(_PUT, map(_row, docs))
            found: int = connection.execute("SELECT count(*) FROM docs").fetchone()[0]
        return found

    def search(self, question: Question) -> list[Hit]:
        with self._reported() as connection:
            if connection is None or not _is_made(connection):
                return []
            words = terms_asked(question.text, _Terms(connection))
            found = connection.execute(_SEARCH, (_match(question, words), question.limit, question.offset)).fetchall()
        return [Hit(DocKey(*row[:4]), row[4]) for row in found]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _reported(self) -> Iterator[sqlite3.Connection | None]:
        try:
            if self._connection is None and (self._writes or self._path.exists()):
                self._connection = _opened(self._path)
            yield self._connection
        except sqlite3.Error as error:
            self.close()
            raise SearchAway(f"{self._path} cannot be used: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reported() as connection:
            assert connection is not None
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


class _Terms:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def known(self, word: str) -> bool:
        statement = "SELECT 1 FROM terms WHERE term >= ? AND term < ? LIMIT 1"
        return self._connection.execute(statement, (word, word + chr(0x10FFFF))).fetchone() is not None

    def beginning(self, letter: str) -> Iterator[str]:
        statement = "SELECT term FROM terms WHERE term >= ? AND term < ? LIMIT ?"
        for (term,) in self._connection.execute(statement, (letter, letter + chr(0x10FFFF), _MOST_COMPARED)):
            yield term


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    # What a crash takes away is taken away with its offsets: it is read again.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -8000")
    path.chmod(0o600)
    return connection


def _is_made(connection: sqlite3.Connection) -> bool:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found == VERSION


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit what was begun."""
    statement = ""
    for line in script.split(";"):
        statement += f"{line};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _row(doc: Doc) -> tuple[str, ...]:
    return (*doc.key, doc.key.scope(), doc.name, doc.codes, doc.more)


def _match(question: Question, words: Sequence[Asked]) -> str:
    """The question in FTS5's own language; every word is quoted, so none of it is taken for an operator."""
    parts = [f'scope : "{word}"' for word in scope_words(question.tenant, question.store, question.kind)]
    for one in words:
        either = [f'"{one.word}"{" *" if one.prefix else ""}', *(f'"{near}"' for near in one.near)]
        parts.append(f"{{name codes more}} : ({' OR '.join(either)})")
    return " AND ".join(parts)
