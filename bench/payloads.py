"""Payloads of the benchmarks, made by rule: every value is invented."""

from __future__ import annotations

from typing import Any


def menu(items: int = 300) -> dict[str, Any]:
    """A menu of so many items: with its categories, addon groups and variants about 800 commands."""
    return {
        "outlet": "R-1",
        "categories": [
            {"categoryid": f"C{n}", "categoryname": f"Category {n}", "categoryrank": str(n), "active": "1"}
            for n in range(20)
        ],
        "addongroups": [
            {"groupid": f"G{n}", "groupname": f"Extras {n}", "addons": [_addon(n, i) for i in range(4)]}
            for n in range(30)
        ],
        "taxes": [{"taxid": "11", "taxname": "CGST", "tax": "2.5"}, {"taxid": "12", "taxname": "SGST", "tax": "2.5"}],
        "items": [_item(n) for n in range(items)],
    }


def _addon(group: int, n: int) -> dict[str, Any]:
    return {"id": f"A{group}-{n}", "name": f"Extra {n}", "price": f"{10 + n}.50", "active": "1"}


def _item(n: int) -> dict[str, Any]:
    variants = [
        {"id": f"V{n}-{i}", "name": name, "groupname": "Portion", "price": f"{90 + n + 40 * i}", "active": "1",
         "variationrank": str(i)}
        for i, name in enumerate(("Half", "Full", "Family"))
    ] if n % 2 else []  # fmt: skip
    return {
        "itemid": f"I{n}",
        "itemname": f" Dish {n} ",
        "itemdescription": f"The kitchen's own dish number {n}, cooked to order with seasonal produce.",
        "item_categoryid": f"C{n % 20}",
        "price": "0" if variants else f"{120 + n}.00",
        "in_stock": "2" if n % 7 else "0",
        "active": "1",
        "itemrank": str(n),
        "item_attributeid": ("1", "2", "24")[n % 3],
        "item_image_url": f"https://images.example/dish-{n}.jpg",
        "tax_inclusive": False,
        "item_tax": "11,12",
        "addon": [{"groupid": f"G{n % 30}", "min": "0", "max": "3"}],
        "variation": variants,
    }
