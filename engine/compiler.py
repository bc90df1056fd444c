"""Compiles one feed's rules into one JSONata program, with a source map back to the YAML's line and column.

The program is an array of one array a rule. The index of an element is its position in its rule's array:
`SKIPPED` stands where `when` said no, `NULL_ELEMENT` where the element is null, an object otherwise. In
such an object a key is a field; `!n` is the n-th check, present only when it failed; `!v` the version;
`!c:f` and `!u:f` the currency and unit of the field f; `/` holds the arrays of the nested rules.

The guarded program has the same shape. There each element is evaluated in `$_try` and, when that fails,
again with every expression in `$_guard`: host functions that catch the engine's error. One evaluation then
names every bad element and field. An element that failed is `{"!": n}`, where n counts failures, and a
list whose `each` failed is `[{"!!": n}]`.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from engine.jsonata import reads
from engine.model import Expression, FieldSpec, ListField, Mapped, Rule, Version
from engine.places import Place, Scalar

SKIPPED, NULL_ELEMENT = 0, 1
CHECK, VERSION, CURRENCY, UNIT, NESTED, FAILED, FAILED_LIST = "!", "!v", "!c:", "!u:", "/", "!", "!!"


@dataclass(frozen=True, slots=True)
class Span:
    """The characters [start, end) of a program that are the text of `scalar`."""

    start: int
    end: int
    scalar: Scalar


@dataclass(frozen=True, slots=True)
class Source:
    """A program's text with its source map."""

    text: str
    spans: tuple[Span, ...]

    def locate(self, offset: int | None) -> tuple[Scalar, Place] | None:
        """The scalar that holds an offset of the text, and the place in the file; None outside of all."""
        if offset is None:
            return None
        at = bisect.bisect_right(self.spans, offset, key=lambda span: span.start) - 1
        if at < 0 or offset > self.spans[at].end:
            return None
        span = self.spans[at]
        return span.scalar, span.scalar.place(offset - span.start)


class Writer:
    """Program text with spans, written once from front to back."""

    def __init__(self, guarded: bool = False) -> None:
        self._parts: list[str] = []
        self._at = 0
        self.spans: list[Span] = []
        self.guarded = guarded
        self._each_expression = False

    def __call__(self, *parts: str | Expression) -> None:
        for part in parts:
            if isinstance(part, Expression):
                self._expression(part.scalar)
            else:
                self._put(part)

    def _expression(self, scalar: Scalar) -> None:
        if self._each_expression:
            self._put(f"$_guard({len(self.spans)},function(){{")
        self._put("(")
        self.spans.append(Span(self._at, self._at + len(scalar), scalar))
        # A comment at the end of an expression must not swallow what follows; white space keeps offsets.
        self._put(str(scalar) + ")")
        if self._each_expression:
            self._put("})")

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._at += len(text)

    def tried(self, body: Callable[[], None]) -> None:
        """Guarded: the body whole, and a second time expression by expression. Otherwise just the body."""
        if not self.guarded:
            body()
            return
        outer, self._each_expression = self._each_expression, False
        self("$_try(function(){")
        body()
        self("},function(){")
        self._each_expression = True
        body()
        self("})")
        self._each_expression = outer

    def list_of(self, body: Callable[[], None]) -> None:
        """An array constructor round the body; guarded, its failure is one of the whole list."""
        if not self.guarded:
            self("[")
            body()
            self("]")
            return
        outer, self._each_expression = self._each_expression, False
        # The constructor round the call takes the list in: a bare call would be folded into the list round it.
        self("[$_try_list(function(){[")
        body()
        self("]})]")
        self._each_expression = outer

    def done(self) -> Source:
        return Source("".join(self._parts), tuple(self.spans))


Lets = Mapping[str, Expression]


def needed(lets: Lets, expressions: Iterable[Expression]) -> dict[str, Expression]:
    """Those of the lets that the expressions mention, directly or through other lets, in order."""
    wanted: set[str] = set()
    queue = list(expressions)
    while queue:
        for name in reads(queue.pop().text).bindings:
            if name in lets and name not in wanted:
                wanted.add(name)
                queue.append(lets[name])
    return {name: expression for name, expression in lets.items() if name in wanted}


def compile_rules(lets: Lets, rules: Mapping[str, Rule], guarded: bool = False) -> Source:
    """The program of a feed's (or event's) rules."""
    write = Writer(guarded)
    write("(")
    _write_lets(write, needed(lets, (e for rule in rules.values() for e in expressions_of(rule))))
    _write_rules(write, rules)
    write(")")
    return write.done()


def compile_values(lets: Lets, values: Mapping[str, Expression]) -> Source:
    """A program that gives an object of the named values; a value that is undefined has no key."""
    write = Writer()
    write("(")
    _write_lets(write, needed(lets, values.values()))
    write("{")
    for n, (name, expression) in enumerate(values.items()):
        write("," if n else "", json.dumps(name), ":", expression)
    write("})")
    return write.done()


def compile_elements(lets: Lets, eaches: Iterable[Expression]) -> Source:
    """A program that gives one array of elements for each of the `each` expressions."""
    eaches = tuple(eaches)
    write = Writer()
    write("(")
    _write_lets(write, needed(lets, eaches))
    write("[")
    for n, each in enumerate(eaches):
        # An object round each element keeps null and list elements from being folded away.
        write("," if n else "", "[", each, '.{"e":$}]')
    write("])")
    return write.done()


def compile_counts(lets: Lets, eaches: Iterable[Expression]) -> Source:
    """A program that gives the number of elements of each of the `each` expressions."""
    eaches = tuple(eaches)
    write = Writer()
    write("(")
    _write_lets(write, needed(lets, eaches))
    write("[")
    for n, each in enumerate(eaches):
        write("," if n else "", "$count(", each, ")")
    write("])")
    return write.done()


def expressions_of(rule: Rule) -> Iterable[Expression]:
    """Every expression of a rule and of the rules nested in it."""
    if rule.each:
        yield rule.each
    yield from rule.let.values()
    if rule.when:
        yield rule.when
    yield from (check.that for check in rule.check.values())
    for field in rule.fields.values():
        yield from _expressions_of_field(field)
    if version := version_expression(rule):
        yield version
    for nested in rule.commands.values():
        yield from expressions_of(nested)


def version_expression(rule: Rule) -> Expression | None:
    return rule.version.from_ if isinstance(rule.version, Version) else rule.version


def _expressions_of_field(field: FieldSpec) -> Iterable[Expression]:
    if isinstance(field, Expression):
        yield field
    elif isinstance(field, Mapped):
        yield from (e for e in (field.from_, field.currency, field.unit) if e)
    elif isinstance(field, ListField):
        yield field.each
        yield from field.let.values()
        if field.when:
            yield field.when
        for inner in field.fields.values():
            yield from _expressions_of_field(inner)


def _write_lets(write: Writer, lets: Lets) -> None:
    for name, expression in lets.items():
        write(f"${name}:=", expression, ";")


def _write_rules(write: Writer, rules: Mapping[str, Rule]) -> None:
    write("[")
    for n, rule in enumerate(rules.values()):
        write(",\n" if n else "\n")
        write.list_of(lambda rule=rule: _write_elements(write, rule))  # type: ignore[misc]
    write("]")


def _write_elements(write: Writer, rule: Rule) -> None:
    if rule.each:
        write(rule.each, '.(($type($)!="null")?')
        write.tried(lambda: _write_command(write, rule))
        write(f":{NULL_ELEMENT})")
    else:
        write.tried(lambda: _write_command(write, rule))


def _write_command(write: Writer, rule: Rule) -> None:
    write("(")
    _write_lets(write, rule.let)
    if rule.when:
        write(rule.when, "?")
    write("{")
    entries = list(_entries(write, rule))
    for n, entry in enumerate(entries):
        write("," if n else "")
        entry()
    write("}")
    if rule.when:
        write(f":{SKIPPED}")
    write(")")


def _entries(write: Writer, rule: Rule) -> Iterable[Callable[[], None]]:
    """Writers of the key-value pairs of one element's object."""
    for n, check in enumerate(rule.check.values()):
        yield lambda n=n, check=check: write(f'"{CHECK}{n}":', check.that, "?$_:true")  # type: ignore[misc]
    for name, field in rule.fields.items():
        yield from _field_entries(write, name, field)
    if version := version_expression(rule):
        yield lambda: write(f'"{VERSION}":', version)
    if rule.commands:
        yield lambda: _write_nested(write, rule.commands)


def _write_nested(write: Writer, rules: Mapping[str, Rule]) -> None:
    write(f'"{NESTED}":')
    _write_rules(write, rules)


def _field_entries(write: Writer, name: str, field: FieldSpec) -> Iterable[Callable[[], None]]:
    key = json.dumps(name)
    if isinstance(field, Expression):
        yield lambda: write(f"{key}:", field)
    elif isinstance(field, Mapped):
        yield lambda: write(f"{key}:", field.from_)
        for mark, expression in ((CURRENCY, field.currency), (UNIT, field.unit)):
            if expression:
                yield lambda mark=mark, e=expression: write(f"{json.dumps(mark + name)}:", e)  # type: ignore[misc]
    elif isinstance(field, ListField):
        yield lambda: _write_list_field(write, key, field)


def _write_list_field(write: Writer, key: str, field: ListField) -> None:
    # Undefined elements leave the field undefined, which means unchanged; an empty list stays one.
    write(f"{key}:(", "$_each:=", field.each, ';$exists($_each)?[$_each.(($type($)!="null")?(')
    _write_lets(write, field.let)
    if field.when:
        write(field.when, "?")
    write("{")
    entries = [e for name, inner in field.fields.items() for e in _field_entries(write, name, inner)]
    for n, entry in enumerate(entries):
        write("," if n else "")
        entry()
    write("}", f":{SKIPPED}" if field.when else "", f"):{NULL_ELEMENT})]:$_)")
