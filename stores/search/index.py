"""What the indexes have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from engine.search_terms import Asked, Doc, DocKey, Question, asked, typos
from stores.views import Advance

NAME: Final = "search"
MOST_NEAR: Final = 5
DEEPEST: Final = 10_000
"""Hits beyond these are not shown: who looks for them had better ask for more words."""


class SearchAway(Exception):
    """The index does not answer."""


class Hit(NamedTuple):
    """`score` is higher for the better; what it counts is the index's own."""

    key: DocKey
    score: float


class Index(Protocol):
    """A search index. Raises SearchAway where it does not answer. Used by one thread at a time."""

    def offsets(self) -> Mapping[int, int] | None:
        """How far into the events it is, by partition; None where it was never made."""

    def take(self, docs: Sequence[Doc], gone: Sequence[DocKey], moves: Sequence[Advance]) -> None:
        """Puts documents in, takes others out and moves the offsets. Raises stores.views.Moved."""

    def rebuild(self, docs: Iterable[Doc], offsets: Mapping[int, int], *, only_new: bool = False) -> int | None:
        """Makes it anew; returns the number of documents. None where it stands and `only_new`."""

    def search(self, question: Question) -> list[Hit]:
        """The best first."""

    def close(self) -> None: ...


def terms_asked(text: str, like: TermsLike) -> list[Asked]:
    """The words of a question, each with what is like it where nothing begins with it."""
    return [
        one if not (most := typos(one.word)) or like.known(one.word) else one._replace(near=_near(one.word, most, like))
        for one in asked(text)
    ]


class TermsLike(Protocol):
    """The words of an index."""

    def known(self, word: str) -> bool:
        """Whether a word begins so."""

    def beginning(self, letter: str) -> Iterator[str]:
        """Words that begin with a letter, so many at the most as are compared."""


def _near(word: str, most: int, like: TermsLike) -> tuple[str, ...]:
    """Words with few letters otherwise. The first letter counts as right: fewer are to be compared."""
    # Imported here because it is of use to few searches.
    from rapidfuzz.distance import OSA

    near = (term for term in like.beginning(word[0]) if abs(len(term) - len(word)) <= most)
    found = [(far, term) for term in near if (far := OSA.distance(word, term, score_cutoff=most)) <= most]
    return tuple(term for _, term in sorted(found)[:MOST_NEAR])
