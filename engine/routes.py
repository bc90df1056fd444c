"""The last parts of URLs: literal, or with `{name}` for one whole segment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from engine.messages import Request

PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


class Route:
    """One path, such as `stores/{store}/stock`. A segment stands decoded, and never holds a slash."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.names = tuple(PLACEHOLDER.findall(path))
        tail = PLACEHOLDER.sub(r"(?P<\1>[^/]+)", re.sub(r"[^{}\w/]", r"\\\g<0>", path)) if self.names else ""
        self._pattern = re.compile(f"(?:.*/)?{tail}", re.DOTALL) if self.names else None

    def matches(self, tail: str) -> bool:
        """Whether it is the last part of a URL, segment by segment."""
        if self._pattern is None:
            return tail == self.path
        return tail.count("/") == self.path.count("/") and self._pattern.fullmatch(tail) is not None

    def routed(self, request: Request) -> Request:
        """The request with the segments that the placeholders stand for. `request.path` is the whole path."""
        if self._pattern is None:
            return request
        found = self._pattern.fullmatch(request.path)
        return replace(request, params=tuple(found.groupdict().items())) if found else request

    def filled(self, values: Mapping[str, str]) -> str:
        """The path with values for its placeholders; those without one stay as they are."""
        return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), self.path)


def overlap(one: str, other: str) -> bool:
    """Whether two paths answer a common URL and neither is the literal one, which goes before."""
    mine, theirs = one.split("/"), other.split("/")
    if one == other:
        return True
    if len(mine) != len(theirs) or not (PLACEHOLDER.search(one) and PLACEHOLDER.search(other)):
        return False
    pairs = zip(mine, theirs, strict=True)
    return all(a == b or PLACEHOLDER.fullmatch(a) or PLACEHOLDER.fullmatch(b) for a, b in pairs)
