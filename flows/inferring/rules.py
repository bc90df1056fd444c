"""Which commands the objects of a payload give, and from which of their fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from flows.inferring import readings
from flows.inferring.addons import addon_group, of_addons
from flows.inferring.columns import Column, Kind, expression
from flows.inferring.readings import How
from flows.inferring.sketches import Rule, Said
from flows.inferring.vocabulary import likeness, words

_LEAST = 0.35

Read = Callable[[Column], How | None]


@dataclass(frozen=True)
class Place:
    """Where a rule is looked for: its kind of object, the document round it, and what the file will say."""

    kind: Kind
    outer: Kind | None
    currency: str
    family: str


def rules_of(place: Place) -> list[Rule]:
    """The commands of one kind of object; none where no field identifies anything or nothing is said of it."""
    columns = place.kind.columns()
    find = Finder(columns, place)
    if any(of_addons(step) for step in place.kind.steps):
        group = addon_group(find)
        return [group] if group is not None else []
    stated = (
        _order(find), _store_status(find), *_stock_and_price(find), _availability(find), _category(find)
    )  # fmt: skip
    upsert = _upsert(find)
    found = [rule for rule in (upsert, *stated) if rule is not None]
    if upsert is not None:
        within = {"UpdatePrice", "UpdateItemAvailability", "UpsertCategory", "UpdateOrderStatus", "UpdateStoreStatus"}
        found = [rule for rule in found if rule.command not in within]
    return found


class Finder:
    """Finds which column of a kind of object plays a role."""

    def __init__(self, columns: list[Column], place: Place) -> None:
        self._columns, self.place = columns, place
        self._outer = place.outer.columns() if place.outer is not None and place.kind.each else []

    def best(self, role: str, read: Read, name: str = "", besides: Iterable[Said | None] = ()) -> Said | None:
        """The column that sounds most like a role and can be read as it."""
        taken = {said.column for said in besides if said is not None}
        found: list[tuple[float, Column, How]] = []
        for column in self._columns:
            like = likeness(self._within(column), role)
            if like < _LEAST or column.name in taken:
                continue
            how = read(column)
            if how is not None:
                found.append((like * how.sure, column, how))
        if not found:
            return None
        sure, column, how = max(found, key=lambda one: one[0])
        because = how.because or f"{column.name} sounds like {name or role}"
        return Said(name or role, expression(column.steps), sure, because, how.keys, column.name)

    def of(self, kind: Kind) -> Finder:
        """The same for objects within, which have no document round them."""
        return Finder(kind.columns(), replace(self.place, kind=kind, outer=None))

    def _within(self, column: Column) -> str:
        """`item_name` in a list of items is `name`: what its list is called says nothing new."""
        of = words(self.place.kind.name)
        said = words(column.steps[-1])
        short = said
        for one in (of.removesuffix("s"), of.removesuffix("es")):
            short = said.removeprefix(f"{one}_") if len(one) > 2 and said.startswith(f"{one}_") else short
        return column.name if short == said or short in ("id", "code", "no") else short

    def outside(self, role: str, read: Read, name: str) -> Said | None:
        """The same in the document round the elements."""
        outer = Finder(self._outer, Place(self.place.outer or self.place.kind, None, self.place.currency, ""))
        found = outer.best(role, read, name)
        if found is None:
            return None
        return Said(found.name, f"$$.{found.text}", found.sure, found.because, found.keys, f"$$.{found.column}")

    def money(self, role: str) -> Said | None:
        found = self.best(role, lambda column: readings.money(column, self.place.currency), role)
        if found is None:
            return None
        code = self.best("currency", readings.currency_code) or self.outside(
            "currency", readings.currency_code, "currency"
        )
        keys = {**found.keys, "currency": code.text} if code else found.keys
        return Said(found.name, found.text, found.sure, found.because, keys, found.column)

    def common(self) -> list[Said]:
        """What any command may carry."""
        time = self.best("time", readings.time, "source_time") or self.outside("time", readings.time, "source_time")
        return [said for said in (self.best("store", readings.reference, "store_id"), time) if said is not None]

    def version(self) -> Said | None:
        """What orders updates: a counter, or else a time that says its zone or counts seconds."""
        counter = self.best("version", readings.integer, "version") or self.outside(
            "version", readings.integer, "version"
        )
        if counter is not None and counter.sure > 0.6:
            return Said("version", counter.text, counter.sure, counter.because, {"as": "integer"}, counter.column)
        time = self.best("time", readings.time, "version") or self.outside("time", readings.time, "version")
        if time is None or "picture" in time.keys or "created" in words(time.column):
            return None
        form = "integer" if "as" in time.keys else "timestamp"
        because = f"{time.column} orders updates of one entity; remove it if several may carry the same time"
        return Said("version", time.text, min(time.sure, 0.7), because, {"as": form}, time.column)

    def goods(self, besides: Iterable[Said | None] = ()) -> Said | None:
        """What is sold: a variant where a SKU is named, else an item."""
        besides = tuple(besides)
        variant = self.best("variant", readings.identifier, "variant_id", besides)
        item = self.best("item", readings.identifier, "item_id", besides)
        if variant is not None and (item is None or variant.sure >= item.sure - 0.15):
            return variant
        return item or self._any_id(besides)

    def _any_id(self, besides: Iterable[Said | None]) -> Said | None:
        """A field that ends in id and is no store's, merchant's or the like: better than nothing."""
        taken = {said.column for said in besides if said is not None}
        for column in self._columns:
            said = words(column.steps[-1])
            other = any(
                likeness(column.name, role) > 0.5
                for role in ("store", "merchant", "category", "message", "order", "currency", "unit")
            )
            if said.endswith(("_id", "_code", "_no")) and not other and column.name not in taken:
                how = readings.identifier(column)
                if how is not None:
                    because = f"{column.name} may be an id of what is sold"
                    return Said("item_id", expression(column.steps), 0.4 * how.sure, because, {}, column.name)
        return None


def _made(find: Finder, name: str, command: str, fields: Iterable[Said | None], version: bool = True) -> Rule:
    told = {said.name: said for said in (*fields, *find.common()) if said is not None}
    main = list(told.values())[:2]
    sure = sum(said.sure for said in main) / len(main)
    return Rule(name, command, find.place.kind.each, tuple(told.values()), find.version() if version else None, sure)


def _stock_and_price(find: Finder) -> Iterable[Rule | None]:
    quantity, price = find.best("quantity", _countable), find.money("price")
    goods = find.goods((quantity, price))
    if goods is None:
        return
    if quantity is not None:
        unit = find.best("unit", readings.text)
        keys = {**quantity.keys, "unit": unit.text} if unit else quantity.keys
        level = Said("quantity", quantity.text, quantity.sure, quantity.because, keys, quantity.column)
        yield _made(find, "levels", "UpdateStockLevel", (goods, level))
    if price is not None and (quantity is None or price.column != quantity.column):
        yield _made(find, "prices", "UpdatePrice", (goods, price, find.money("list_price")))


def _countable(column: Column) -> How | None:
    """A count; a field called `available` is one only where its numbers are not a flag's."""
    how = readings.quantity(column)
    if how is not None and words(column.steps[-1]) == "available" and set(column.texts) <= {"0", "1"}:
        return None
    return how


def _upsert(find: Finder) -> Rule | None:
    name = find.best("name", readings.text)
    if name is None or likeness(find.place.kind.name or "x", "category") > 0.5 or _of_categories(find):
        return None
    item = find.best("item", readings.identifier, "item_id", (name,))
    variant = find.best("variant", readings.identifier, "sku", (name,))
    if item is None and variant is not None:
        item, variant = Said("item_id", variant.text, variant.sure, variant.because, {}, variant.column), None
    if item is None:
        return None
    stored = find.place.family == "pos" and (
        find.best("store", readings.identifier) or find.outside("store", readings.identifier, "store")
    )
    category = find.best("category", readings.reference, "category_ids", (name, item))
    price, list_price = find.money("price"), find.money("list_price")
    if price is None and list_price is not None:
        price, list_price = replace(list_price, name="price"), None
    fields = (
        item, name, price, list_price, find.best("description", readings.text), variant,
        find.best("brand", readings.text), find.best("barcodes", readings.texts), category,
        find.best("available", readings.flag), find.best("active", readings.flag),
        find.best("image_urls", readings.texts), find.best("tags", readings.texts), find.best("rank", readings.integer),
    )  # fmt: skip
    if len([said for said in fields if said is not None]) < 3:
        return None
    return _made(find, "items", "UpsertMenuItem" if stored else "UpsertCatalogItem", fields)


def _availability(find: Finder) -> Rule | None:
    flag = find.best("available", readings.flag)
    goods = find.goods((flag,))
    if flag is None or goods is None:
        return None
    return _made(find, "availability", "UpdateItemAvailability", (goods, flag, find.best("reason", readings.text)))


def _of_categories(find: Finder) -> bool:
    return words(find.place.kind.name) in ("categories", "category", "departments", "sections", "menu_categories")


def _category(find: Finder) -> Rule | None:
    if not _of_categories(find):
        return None
    id_ = find.best("category", readings.identifier, "category_id") or find.best(
        "item", readings.identifier, "category_id"
    )
    name = find.best("name", readings.text)
    if id_ is None or name is None:
        return None
    fields = (id_, name, find.best("rank", readings.integer), find.best("active", readings.flag))
    return _made(find, "categories", "UpsertCategory", fields)


def _order(find: Finder) -> Rule | None:
    order = find.best("order", readings.identifier, "order_id")
    status = find.best("status", lambda column: readings.status(column, "order"))
    if order is None or status is None:
        return None
    told = Said("provider_status", status.text, status.sure, status.because, {}, status.column)
    return _made(find, "statuses", "UpdateOrderStatus", (order, status, told, find.best("reason", readings.text)))


def _store_status(find: Finder) -> Rule | None:
    read: Read = lambda column: readings.status(column, "store")  # noqa: E731
    store = find.best("store", readings.identifier, "store_id")
    status = find.best("open", read, "status") or find.best("status", read)
    if store is None or status is None or find.goods((store, status)) or find.best("order", readings.identifier):
        return None
    return _made(find, "status", "UpdateStoreStatus", (store, status, find.best("reason", readings.text)))


def thin(place: Place) -> Rule | None:
    """A message that only says that something changed: what it is about is asked for again."""
    find = Finder(place.kind.columns(), place)
    id_ = find.goods() or find.best("order", readings.identifier, "id")
    if id_ is None:
        return None
    kind = Said(
        "kind",
        "",
        0.4,
        "no field was taken for stock, price, name or status: see what is not read, and correct it",
        value="item",
    )
    return _made(find, "changes", "RequestRefresh", (kind, Said("id", id_.text, id_.sure, id_.because, {}, id_.column)))
