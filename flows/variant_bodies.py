"""Bodies as trees that can be changed, and back: what the variants of a golden case are made from.

A tree is of dict, list and scalars, and close to the bytes rather than to the document that expressions see: JSON
keeps its types, a table its columns, XML its elements, X12 its segments. Formats without a codec have no variants.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from engine.decoding import BODY_LIMIT, gzip_body
from engine.decoding.charsets import UTF8, text
from engine.decoding.media_types import format_of, headers_of
from engine.failures import Refusal
from engine.formats import CsvOptions, DelimitedOptions, X12Options
from engine.messages import Request
from engine.model import Feed
from engine.payload_paths import steps
from flows.variants import LIMIT, Variant, sampled, shuffled, variants


class Tree(NamedTuple):
    """A body that was read: `encode` writes a tree of the same shape."""

    value: Any
    encode: Callable[[Any], bytes]
    shuffle: Callable[[Any], Any] = shuffled

    def variants(self, limit: int = LIMIT) -> list[Variant]:
        return variants(self.value, limit)


def tree_of(feed: Feed, request: Request) -> Tree | None:
    """The tree of a request's body; None where there is none, it cannot be read, or its format is not varied."""
    headers = headers_of(request.headers)
    if not request.body or headers.charset not in ("", *UTF8):
        return None
    try:
        body = _expanded(feed, request.body, headers.encoding)
        read = _CODECS.get(format_of(tuple(feed.formats), headers, body))
        tree = read(feed, text(body, headers.charset)) if read else None
    except (Refusal, ValueError, LookupError, TypeError, RecursionError, SyntaxError, csv.Error):
        return None  # SyntaxError: of XML
    return _compressed(tree) if tree and headers.encoding else tree


def _expanded(feed: Feed, body: bytes, encoding: str) -> bytes:
    limit = feed.limits.body or BODY_LIMIT
    return gzip_body.expand(body, encoding, allowed=feed.gzip, limit=limit) if encoding else body


def _compressed(tree: Tree) -> Tree:
    """A tree whose encoding is compressed, always to the same bytes."""
    inner = tree.encode
    return tree._replace(encode=lambda changed: gzip.compress(inner(changed), mtime=0))


def _json(feed: Feed, source: str) -> Tree:
    value = _unwrapped(json.loads(source), feed.unwrap)
    return Tree(value, lambda changed: _dumped(_wrapped(changed, feed.unwrap)))


def _ndjson(_: Feed, source: str) -> Tree:
    rows = [json.loads(line) for line in source.splitlines() if line.strip()]
    return Tree({"rows": rows}, lambda changed: b"\n".join(map(_dumped, changed.get("rows") or [])))


def _form(feed: Feed, source: str) -> Tree:
    fields: dict[str, Any] = {}
    for name, value in parse_qsl(source.strip(), keep_blank_values=True, strict_parsing=True):
        known = fields.get(name)
        fields[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]

    def encode(changed: Any) -> bytes:
        wrapped = _wrapped(changed or {}, feed.unwrap)
        pairs = [(name, _scalar(one)) for name, value in wrapped.items()
                 for one in (value if isinstance(value, list) else [value])]  # fmt: skip
        return urlencode(pairs).encode()

    return Tree(_unwrapped(fields, feed.unwrap), encode)


def _table(options: DelimitedOptions, source: str) -> Tree:
    """Rows by the number of their column; what is missing in one row is a column less in all."""
    quote = {"double": '"', "single": "'", "none": None}[options.quote]
    written: dict[str, Any] = {
        "delimiter": options.separator if isinstance(options, CsvOptions) else "\t",
        "quotechar": quote,
        "quoting": csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    }
    lines = list(csv.reader(io.StringIO(source, newline=""), strict=True, **written))
    top, header_end = options.skip_rows, options.skip_rows + options.header_rows
    rows = [{f"{n}": cell for n, cell in enumerate(cells)} for cells in lines[header_end:] if cells]

    def encode(changed: Any) -> bytes:
        kept = [row for row in (changed or {}).get("rows") or [] if row is not None]
        gone = {name for row in rows for name in row if any(name not in one for one in kept)} if kept else set()
        head = [[cell for n, cell in enumerate(cells) if f"{n}" not in gone] for cells in lines[top:header_end]]
        cells = [[_scalar(value) for name, value in row.items() if name not in gone] for row in kept]
        into = io.StringIO(newline="")
        csv.writer(into, escapechar=None if quote else "\\", **written).writerows([*lines[:top], *head, *cells])
        return into.getvalue().encode()

    return Tree({"rows": rows}, encode)


def _xml(_: Feed, source: str) -> Tree:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    root = etree.fromstring(source.encode(), parser)

    def encode(changed: Any) -> bytes:
        ((name, value),) = (changed or {root.tag: None}).items() or ((root.tag, None),)
        written: bytes = etree.tostring(_element(etree, name, value), xml_declaration=True, encoding="UTF-8")
        return written

    return Tree({root.tag: _object(root)}, encode)


def _object(element: Any) -> Any:
    """An element as an object of attributes (`@name`), text and elements; as its text where it has nothing else."""
    if not len(element) and not element.attrib:
        return element.text or ""
    made: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    if (element.text or "").strip():
        made["#text"] = element.text
    for inner in element:
        value, known = _object(inner), made.get(inner.tag)
        made[inner.tag] = value if known is None else [*known, value] if isinstance(known, list) else [known, value]
    return made


def _element(etree: Any, name: str, value: Any) -> Any:
    made = etree.Element(name)
    for key, inner in value.items() if isinstance(value, dict) else (("#text", value),):
        if key == "#text":
            made.text = _scalar(inner)
        elif key.startswith("@"):
            made.set(key[1:], _scalar(inner))
        else:
            for one in inner if isinstance(inner, list) else [inner]:
                made.append(_element(etree, key, one))
    return made


class X12Tree(Tree):
    """Segments as lists of text. An interchange whose segments change is counted anew, so that it stays whole."""

    def variants(self, limit: int = LIMIT) -> list[Variant]:
        return sampled(list(_of_segments(self.value)), limit)


def _x12(feed: Feed, source: str) -> Tree:
    from engine.decoding.x12 import segments, separators_of

    options = feed.formats["x12"]
    found = separators_of(source.lstrip())
    value = [[one.name, *one.elements] for one in segments(source.lstrip(), found)]

    def encode(changed: Any) -> bytes:
        lines = _counted(changed)
        return "".join(f"{found.element.join(line)}{found.segment}" for line in lines).encode()

    loops = frozenset(options.loops) if isinstance(options, X12Options) else frozenset()
    return X12Tree(value, encode, lambda lines: _loops_turned(lines, loops))


_ENVELOPE = frozenset(("ISA", "GS", "ST", "SE", "GE", "IEA"))


def _of_segments(lines: list[list[str]]) -> Iterator[Variant]:
    names = list(dict.fromkeys(line[0] for line in lines if line[0] not in _ENVELOPE))
    for name in names:
        places = [n for n, line in enumerate(lines) if line[0] == name]
        if len(places) > 1:
            yield Variant(name, "cut to one", [line for n, line in enumerate(lines) if n not in places[1:]])
        yield Variant(name, "cut to none", [line for n, line in enumerate(lines) if n not in places])
        first = lines[places[0]]
        for position, value in enumerate(first[1:], start=1):
            if value:
                for kind, other in (("missing", ""), ("other type", "X" if value[-1:].isdigit() else "7")):
                    changed = [*first[:position], other, *first[position + 1 :]]
                    made = [changed if n == places[0] else line for n, line in enumerate(lines)]
                    yield Variant(f"{name}{position:02d}", kind, made)


def _counted(lines: list[list[str]]) -> list[list[str]]:
    """With SE01 as X12.6 wants it: the number of segments from ST to SE."""
    start, made = 0, []
    for n, line in enumerate(lines):
        start = n if line[0] == "ST" else start
        made.append([line[0], str(n - start + 1), *line[2:]] if line[0] == "SE" else line)
    return made


def _loops_turned(lines: list[list[str]], loops: frozenset[str]) -> list[list[str]]:
    """Each run of loops of one name the other way round; what follows a loop's opening is of it."""
    blocks: list[list[list[str]]] = []
    for line in lines:
        if line[0] in loops or line[0] in _ENVELOPE or line[0] in ("CTT", "W14") or not blocks:
            blocks.append([line])
        else:
            blocks[-1].append(line)
    turned: list[list[list[str]]] = []
    run: list[list[list[str]]] = []
    for block in [*blocks, []]:
        name = block[0][0] if block else ""
        if run and run[0][0][0] != name:
            turned += run[::-1]
            run = []
        if name in loops:
            run.append(block)
        elif block:
            turned.append(block)
    return [line for block in turned for line in block]


def _unwrapped(value: Any, paths: tuple[str, ...]) -> Any:
    for path in paths:
        value = _at(value, steps(path), lambda inner: json.loads(inner) if isinstance(inner, str) else inner)
    return value


def _wrapped(value: Any, paths: tuple[str, ...]) -> Any:
    for path in reversed(paths):
        value = _at(value, steps(path), lambda inner: _dumped(inner).decode() if _is_tree(inner) else inner)
    return value


def _is_tree(value: Any) -> bool:
    return isinstance(value, dict | list)


def _at(node: Any, names: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    if not names:
        return change(node)
    if isinstance(node, list):
        if names[0].isdecimal():
            return [_at(one, names[1:], change) if f"{n}" == names[0] else one for n, one in enumerate(node)]
        return [_at(one, names, change) for one in node]
    if isinstance(node, dict) and names[0] in node:
        return {**node, names[0]: _at(node[names[0]], names[1:], change)}
    return node


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _scalar(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


_CODECS: dict[str, Callable[[Feed, str], Tree]] = {
    "json": _json,
    "ndjson": _ndjson,
    "form": _form,
    "csv": lambda feed, source: _table(feed.formats["csv"], source),  # type: ignore[arg-type]
    "tsv": lambda feed, source: _table(feed.formats["tsv"], source),  # type: ignore[arg-type]
    "xml": _xml,
    "x12": _x12,
}
