"""How one rule's evaluated objects become canonical data: made once, run column by column.

One field over all elements, one `try` a field: that costs no more than hand-written code does, where going
row by row through tables of readers costs half as much again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import length_hint
from typing import Any, NamedTuple

from engine.canon import Canon, CommandSchema, FieldSchema
from engine.compiler import CURRENCY, UNIT
from engine.model import Constant, Expression, FieldSpec, ListField, Mapped, Provider, Rule, Version
from engine.places import Place
from engine.readers import Reader, make_reader
from engine.replies import plain
from engine.unreadable import Unreadable

Values = dict[str, Any]
Fail = Callable[[int, "Column", Unreadable], None]
"""Told the position of a guilty row, the column and what could not be read."""


@dataclass(frozen=True, slots=True)
class Local:
    """What a connection says where the payload does not: ISO 4217 code, unit, IANA zone."""

    currency: str | None
    unit: str | None
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a rule. `expression` is its source text, for messages."""

    name: str
    read: Reader | None
    place: Place
    expression: str
    identity: str | None = None
    is_list: bool = False
    split: bool = False
    default: Any = None
    beside: str | None = None
    reader_beside: Callable[[str], Reader] | None = None
    inner: Columns | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields of one kind of object, and the constants that every such object carries."""

    columns: tuple[Column, ...]
    constants: Mapping[str, Any]

    def read(self, objects: list[Values], fail: Fail) -> None:
        """Reads every column in place."""
        for column in self.columns:
            if column.default is not None:
                for values in objects:
                    values.setdefault(column.name, column.default)
            if column.beside:
                _read_beside(column, objects, fail)
            elif column.is_list:
                _read_list(column, objects, fail)
            elif column.read is not None:
                _read_scalars(column, column.read, objects, fail)
        if self.constants:
            for values in objects:
                values.update(self.constants)


def _read_scalars(column: Column, read: Reader, objects: list[Values], fail: Fail) -> None:
    name, rows = column.name, iter(objects)
    while True:
        try:
            for values in rows:
                if (value := values.get(name)) is not None:
                    values[name] = read(value)
            return
        except Unreadable as error:
            fail(len(objects) - length_hint(rows) - 1, column, error)


def _read_beside(column: Column, objects: list[Values], fail: Fail) -> None:
    """Money with its currency, or a quantity with its unit, in a value of its own."""
    assert column.beside is not None
    assert column.reader_beside is not None
    for n, values in enumerate(objects):
        beside = values.pop(column.beside, None)
        value = values.get(column.name)
        if value is None:
            continue
        read = column.reader_beside(beside) if isinstance(beside, str) and beside else column.read
        try:
            values[column.name] = read(value) if read else value
        except Unreadable as error:
            fail(n, column, error)


def as_list(value: Any) -> list[Any]:
    """A list in any of the shapes providers send: an array, an object of numbered keys, a lone value."""
    if value.__class__ is list:
        return value
    if value.__class__ is dict and value and all(key.isascii() and key.isdigit() for key in value):
        return [value[key] for key in sorted(value, key=int)]
    return [] if value == "" else [value]


def _read_list(column: Column, objects: list[Values], fail: Fail) -> None:
    name, read = column.name, column.read
    inner: list[Values] = []
    owners: list[int] = []
    for n, values in enumerate(objects):
        value = values.get(name)
        if value is None:
            continue
        elements = as_list(value)
        if column.inner is not None:
            elements = [element for element in elements if element.__class__ is not int]
            found = [element for element in elements if element.__class__ is dict]
            inner += found
            owners += [n] * len(found)
        elif read is not None:
            try:
                said = (read(e) for e in elements if e is not None and e != "")
                elements = [e for e in said if e is not None]
                if column.split:
                    elements = [part for parts in elements for part in parts]
            except Unreadable as error:
                fail(n, column, error)
        values[name] = elements
    if column.inner is not None and inner:
        column.inner.read(inner, lambda at, guilty, error: fail(owners[at], _placed(guilty, column), error))


def _placed(guilty: Column, owner: Column) -> Column:
    """Columns made from a schema alone stand nowhere in the file: their owner's place holds."""
    return guilty if guilty.place.file else replace(guilty, place=owner.place)


class Identity(NamedTuple):
    """A field that holds external ids. `per_store` says that they are unique within a store only."""

    name: str
    kind: str
    per_store: bool
    column: Column


@dataclass(frozen=True, slots=True)
class RulePlan:
    """Everything about a rule that does not depend on a payload.

    `ids` are the fields that hold one identity, `id_lists` those that hold several, `holders` the lists of
    objects that may hold more. `names_store` says that the rule gives store_id itself; `lacks_merchant` and
    `lacks_store` that the command has the field and the rule does not give it.
    `plain` says that an element's command wants one id and, from its delivery, merchant and store: nothing else.
    `eaches` holds the text of the `each` of this rule and of those round it, outermost first, "" for none.
    """

    name: str
    rule: Rule
    schema: CommandSchema | None
    columns: Columns
    ids: tuple[Identity, ...]
    id_lists: tuple[Identity, ...]
    holders: tuple[Column, ...]
    names_store: bool
    lacks_merchant: bool
    lacks_store: bool
    plain: bool
    eaches: tuple[str, ...]
    place: Place
    version: Version | None
    version_reader: Reader


def make_plans(
    rules: Mapping[str, Rule],
    provider: Provider,
    canon: Canon,
    local: Local,
    per_store: frozenset[str],
    prefix: str = "",
    outer: tuple[str, ...] = (),
) -> Iterator[RulePlan]:
    """The plans of rules and of those nested in them (`outer/inner`), for one connection's locals."""
    for name, rule in rules.items():
        eaches = (*outer, rule.each.text if rule.each else "")
        yield _make_plan(prefix + name, rule, provider, canon, local, per_store, eaches)
        yield from make_plans(rule.commands, provider, canon, local, per_store, f"{prefix}{name}/", eaches)


def _make_plan(
    name: str,
    rule: Rule,
    provider: Provider,
    canon: Canon,
    local: Local,
    per_store: frozenset[str],
    eaches: tuple[str, ...],
) -> RulePlan:
    schema = canon.commands[rule.command] if rule.command else None
    fields = schema.fields if schema else {}
    maker = _Maker(provider, local)
    version = rule.version
    if isinstance(version, Expression):
        version = Version.model_validate({"from": version, "as": "timestamp"})
    first = next(iter(rule.fields.values()), None)
    columns = maker.columns(rule.fields, fields)
    found = [Identity(c.name, c.identity, c.identity in per_store, c) for c in columns.columns if c.identity]
    ids = tuple(identity for identity in found if not identity.column.is_list)
    id_lists = tuple(identity for identity in found if identity.column.is_list)
    holders = tuple(column for column in columns.columns if column.inner)
    names_store = "store_id" in rule.fields
    lacks_merchant = "merchant_id" in fields and "merchant_id" not in rule.fields
    return RulePlan(
        name,
        rule,
        schema,
        columns,
        ids,
        id_lists,
        holders,
        names_store,
        lacks_merchant,
        "store_id" in fields and "store_id" not in rule.fields,
        len(ids) == 1 and lacks_merchant and not (id_lists or holders or names_store or version),
        eaches,
        rule.each.scalar.start if rule.each else _place_of(first),
        version,
        make_reader(version.as_ if version else "text", time_zone=local.time_zone),
    )


def _place_of(field: FieldSpec | None) -> Place:
    if isinstance(field, Expression):
        return field.scalar.start
    if isinstance(field, Mapped):
        return field.from_.scalar.start
    if isinstance(field, ListField):
        return field.each.scalar.start
    return Place("", 1, 1)


class _Maker:
    def __init__(self, provider: Provider, local: Local) -> None:
        self._lookups = provider.lookups
        self._local = local

    def columns(self, specs: Mapping[str, FieldSpec], fields: Mapping[str, FieldSchema]) -> Columns:
        constants = {
            name: self._constant(spec.value, fields[name]) for name, spec in specs.items() if isinstance(spec, Constant)
        }
        made = tuple(
            self._column(name, spec, fields[name]) for name, spec in specs.items() if not isinstance(spec, Constant)
        )
        return Columns(made, constants)

    def _column(self, name: str, spec: FieldSpec, field: FieldSchema) -> Column:
        place = _place_of(spec)
        if isinstance(spec, ListField):
            inner = self.columns(spec.fields, _object_fields(field))
            return Column(name, None, place, spec.each.text, is_list=True, inner=inner)
        if isinstance(spec, Mapped):
            return self._mapped(name, spec, field, place)
        assert isinstance(spec, Expression)
        if field.is_list:
            return self._list(name, field, place, spec.text, None, False)
        return Column(name, self._reader(field.reader), place, spec.text, identity=field.identity)

    def _mapped(self, name: str, spec: Mapped, field: FieldSchema, place: Place) -> Column:
        text = spec.from_.text
        default = None if spec.default is None else self._constant(spec.default, field)
        read = self._lookup(spec) if spec.lookup is not None else None
        if field.is_list:
            made = self._list(name, field, place, text, read, spec.as_ == "list", spec.separator)
            return _with_default(made, default)
        if read is None:
            read = self._reader(spec.as_ or field.reader, spec)
        beside, reader_beside = None, None
        if spec.currency:
            beside, how = CURRENCY + name, spec.as_ or field.reader
            reader_beside = lambda code: make_reader(how, currency=code, divide_by=spec.divide_by)  # noqa: E731
        elif spec.unit:
            beside, how = UNIT + name, spec.as_ or field.reader
            reader_beside = lambda unit: make_reader(how, unit=unit, divide_by=spec.divide_by)  # noqa: E731
        return Column(name, read, place, text, field.identity, False, False, default, beside, reader_beside)

    def _list(
        self,
        name: str,
        field: FieldSchema,
        place: Place,
        text: str,
        read: Reader | None,
        split: bool,
        separator: str = ",",
    ) -> Column:
        items = field.items
        if isinstance(items, Mapping):
            specs: dict[str, FieldSpec] = {inner: Expression.read(inner) for inner in items}
            return Column(name, None, place, text, is_list=True, inner=self.columns(specs, items))
        assert items is not None
        if split:
            read = make_reader("list", separator=separator)
        read = read or self._reader(items.reader)
        return Column(name, read, place, text, identity=items.identity, is_list=True, split=split)

    def _reader(self, name: str | None, spec: Mapped | None = None) -> Reader | None:
        if name is None:
            return None
        picture = spec.picture if spec else None
        local = self._local
        return make_reader(
            name,
            currency=local.currency,
            unit=local.unit,
            time_zone=local.time_zone,
            picture=(picture,) if isinstance(picture, str) else picture,
            separator=spec.separator if spec else ",",
            divide_by=spec.divide_by if spec else None,
        )

    def _lookup(self, spec: Mapped) -> Reader:
        table = self._lookups[spec.lookup] if isinstance(spec.lookup, str) else spec.lookup
        assert table is not None
        return make_lookup(table, spec.otherwise, "otherwise" in spec.model_fields_set)

    def _constant(self, value: Any, field: FieldSchema) -> Any:
        """A literal in canonical form: `{value: 0}` is a money's or a quantity's amount as well."""
        if field.is_list or value is None or isinstance(value, bool | dict | list) or field.identity:
            return str(value) if field.identity and value is not None else plain(value)
        if field.reader in ("text", None):
            return str(value) if isinstance(value, str) else value
        read = self._reader(field.reader)
        try:
            return read(str(value)) if read else value
        except Unreadable:
            return value


def _with_default(column: Column, default: Any) -> Column:
    if default is None:
        return column
    return replace(column, default=default)


def _object_fields(field: FieldSchema) -> Mapping[str, FieldSchema]:
    return field.items if isinstance(field.items, Mapping) else {}


LOOKUP = "lookup"
"""Stands in a failure's facts where an id has its kind: what is missing is a key of a table."""
LONGEST_KEY = 200


def make_lookup(table: Mapping[str, Any], otherwise: Any, has_otherwise: bool) -> Reader:
    """A reader by a table whose keys are text. Raises Unreadable `not_in_lookup`."""
    known, otherwise = plain(table), plain(otherwise)
    spelled: Mapping[bool, str] = {True: "true", False: "false"}

    def read(value: Any) -> Any:
        key = spelled[value] if value.__class__ is bool else value
        if key.__class__ is not str:
            key = str(key) if key.__class__ in (int, float) else None
        if key in known:
            return known[key]
        if has_otherwise:
            return otherwise
        shown: Iterable[str] = list(known)[:12]
        facts = {"kind": LOOKUP, "external_id": key} if key is not None and len(key) <= LONGEST_KEY else {}
        raise Unreadable("not_in_lookup", f"{value!r} is not one of {', '.join(map(repr, shown))}", facts)

    return read
