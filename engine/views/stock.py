"""Quantities: levels and the movements since.

A quantity is unknown until the first level. Movements that came before it are kept, not guessed into one:
a level that is older than they are, by the source's own times, has them added. `Stock` is JSON:

    {"levels": {lot: [amount, unit, on hand or null, position, microseconds or null]},
     "moved": {commandkey: [amount, unit, batch, position, microseconds or null]}}

A lot is "" for all of an item, "batch" or "condition|batch". The level of "" holds for the item; without one
the batches of no said condition are added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

MOST_MOVEMENTS = 200
"""So many movements are kept beside the levels; older ones are added to them for good."""


class Level(NamedTuple):
    """An absolute quantity. `at` is microseconds since 1970, None where the source gives no time."""

    quantity: Mapping[str, str]
    on_hand: Mapping[str, str] | None
    condition: str
    batch: str
    at: int | None


class Movement(NamedTuple):
    """A signed quantity; `balance` is the level afterwards where the source says it."""

    commandkey: str
    quantity: Mapping[str, str]
    balance: Mapping[str, str] | None
    batch: str
    at: int | None


Stock = Mapping[str, Any]


def with_level(stock: Stock, level: Level, position: int) -> Stock | None:
    """The stock once a level is told; None where a newer one stands."""
    lot = f"{level.condition}|{level.batch}" if level.condition else level.batch
    return _levelled(stock, lot, level.quantity, level.on_hand, position, level.at)


def with_movement(stock: Stock, movement: Movement, position: int) -> Stock | None:
    """The stock once a movement is told; one of the same commandkey is replaced."""
    if movement.balance is not None and not movement.batch:
        return _levelled(stock, "", movement.balance, None, position, movement.at)
    entry = [movement.quantity["amount"], movement.quantity["unit"], movement.batch, position, movement.at]
    moved = {**stock.get("moved", {}), movement.commandkey: entry}
    return _folded({**stock, "moved": moved})


def quantity_of(stock: Stock) -> dict[str, str] | None:
    """What can be sold; None where it is not known."""
    levels, moved = stock.get("levels", {}), stock.get("moved", {}).values()
    if "" in levels:
        return _current(levels[""], moved, any_batch=True)
    batches = {lot: level for lot, level in levels.items() if "|" not in lot}
    units = {level[1] for level in batches.values()}
    if len(units) != 1:
        return None
    found = [_current(level, [m for m in moved if m[2] == lot]) for lot, level in batches.items()]
    if None in found:
        return None
    total = sum((Decimal(one["amount"]) for one in found if one), Decimal(0))
    return {"amount": _plain(total), "unit": units.pop()}


def on_hand_of(stock: Stock) -> dict[str, str] | None:
    """What lies there, sold or not, as last told for the item."""
    level = stock.get("levels", {}).get("")
    found: dict[str, str] | None = level[2] if level else None
    return found


def _levelled(
    stock: Stock, lot: str, quantity: Mapping[str, str], on_hand: Any, position: int, at: int | None
) -> Stock | None:
    levels = stock.get("levels", {})
    if lot in levels and levels[lot][3] > position:
        return None
    level = [quantity["amount"], quantity["unit"], None if on_hand is None else dict(on_hand), position, at]
    made = {**levels, lot: level}
    moved = {key: entry for key, entry in stock.get("moved", {}).items() if _counts_somewhere(entry, made)}
    return {"levels": made, "moved": moved} if moved else {"levels": made}


def _counts_somewhere(entry: Any, levels: Mapping[str, Any]) -> bool:
    lots = {"", entry[2]} & set(levels)
    return not lots or any(_after(entry, levels[lot]) for lot in lots)


def _after(entry: Any, level: Any) -> bool:
    """Whether a movement came after a level: by the source's times where both have one, else by position."""
    moved_at, told_at = entry[4], level[4]
    if moved_at is not None and told_at is not None and moved_at != told_at:
        return bool(moved_at > told_at)
    return bool(entry[3] > level[3])


def _current(level: Any, moved: Any, *, any_batch: bool = False) -> dict[str, str] | None:
    amount, unit = Decimal(level[0]), level[1]
    for entry in moved:
        if not _after(entry, level):
            continue
        if entry[1] != unit:
            return None  # pieces and kilograms do not add up: unknown until the next level
        amount += Decimal(entry[0])
    return {"amount": _plain(amount), "unit": unit}


def _folded(stock: Stock) -> Stock:
    """Keeps the newest movements; what is older is added to the item's level, or let go where there is none."""
    moved = stock["moved"]
    if len(moved) <= MOST_MOVEMENTS:
        return stock
    oldest = min(moved, key=lambda key: (moved[key][3], key))
    entry = moved[oldest]
    kept = {key: one for key, one in moved.items() if key != oldest}
    levels = {
        lot: _with(level, entry) if lot in ("", entry[2]) else level for lot, level in stock.get("levels", {}).items()
    }
    return {"levels": levels, "moved": kept} if levels else {"moved": kept}


def _with(level: Any, entry: Any) -> Any:
    if not _after(entry, level) or entry[1] != level[1]:
        return level
    return [_plain(Decimal(level[0]) + Decimal(entry[0])), *level[1:]]


def _plain(amount: Decimal) -> str:
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
