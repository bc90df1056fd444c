"""What providers call things: the words by which a field of a payload is guessed. No provider's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping

ROLES: Mapping[str, tuple[str, ...]] = {
    "variant": ("variant_id", "sku", "sku_id", "sku_code", "variant_code", "variation_id", "seller_sku", "variant",
                "article_number", "article", "stock_keeping_unit", "merchant_sku", "item_sku", "product_sku"),
    "item": ("item_id", "product_id", "item_code", "product_code", "article_id", "external_id", "listing_id", "plu",
             "item_no", "material", "code", "id", "item", "product", "uid", "item_number", "part_number", "ref",
             "dish_id", "dish_code", "meal_id", "entry_id", "goods_id"),
    "category": ("category_id", "cat_id", "category_code", "categoryid", "category", "department_id", "department"),
    "order": ("order_id", "order_no", "order_number", "order_ref", "order_code", "order"),
    "store": ("store_id", "store_code", "outlet_id", "location_id", "shop_id", "facility_code", "facility_id",
              "warehouse_id", "warehouse_code", "branch_id", "branch_code", "restaurant_id", "site_id", "hub_id",
              "store", "outlet", "location", "shop", "facility", "warehouse", "branch", "restaurant", "site", "hub",
              "depot", "outlet_code", "location_code", "store_number", "site_code", "rest_id", "store_ref",
              "outlet_ref",
              "location_ref", "wh", "wh_id", "wh_code", "dark_store", "dark_store_id", "store_no", "branch_no"),
    "merchant": ("merchant_id", "seller_id", "merchant", "seller", "merchant_code", "vendor_id"),
    "quantity": ("quantity", "qty", "stock", "stock_level", "available_quantity", "available_qty", "inventory",
                 "available_stock", "on_shelf", "stock_quantity", "stock_qty", "inventory_level", "level", "units",
                 "on_hand", "quantity_available", "qty_available", "balance", "count", "inventory_quantity",
                 "stock_count", "free_stock", "saleable", "available", "avail", "avail_qty", "qty_avail", "qoh",
                 "soh", "atp",
                 "on_hand_qty", "in_hand", "remaining", "left"),
    "price": ("price", "selling_price", "sale_price", "unit_price", "sell_price", "current_price", "offer_price",
              "item_price", "price_amount", "retail_price", "rate", "amount", "sp", "net_price", "gross_price",
              "price_cents", "price_minor", "price_paise", "unit_amount", "price_value", "gross", "gross_cents",
              "gross_paise", "net", "net_cents", "net_paise", "amount_cents", "cents", "price_in_cents"),
    "list_price": ("list_price", "mrp", "msrp", "rrp", "compare_at_price", "regular_price", "original_price",
                   "strike_price", "full_price", "base_price"),
    "currency": ("currency", "currency_code", "ccy", "iso_currency", "price_currency"),
    "unit": ("unit", "uom", "unit_of_measure", "quantity_unit", "stock_unit", "measure"),
    "name": ("name", "title", "item_name", "product_name", "display_name", "label", "product_title", "item_title"),
    "description": ("description", "desc", "long_description", "blurb", "item_description", "product_description",
                    "details",
                    "short_description"),
    "brand": ("brand", "brand_name", "manufacturer"),
    "barcodes": ("barcodes", "barcode", "ean", "gtin", "upc", "ean13", "bar_code", "eans"),
    "available": ("available", "is_available", "in_stock", "availability", "is_in_stock", "item_in_stock", "instock",
                  "sellable", "orderable"),
    "active": ("active", "is_active", "enabled", "is_enabled", "published", "visible", "is_visible", "listed"),
    "image_urls": ("image_urls", "image_url", "images", "image", "photo", "picture", "photo_url", "picture_url",
                   "thumbnail", "img"),
    "tags": ("tags", "keywords", "labels"),
    "rank": ("rank", "sort_order", "position", "display_order", "item_rank", "sort", "priority"),
    "status": ("status", "order_status", "state", "store_status", "order_state", "new_status", "current_status"),
    "open": ("open", "is_open", "store_open", "online", "is_online", "accepting_orders"),
    "reason": ("reason", "cancel_reason", "reject_reason", "cancellation_reason", "status_reason", "comment"),
    "time": ("updated_at", "modified_at", "last_updated", "last_modified", "changed_at", "occurred_at", "event_time",
             "timestamp", "sent_at", "updated_on", "modified_on", "update_time", "last_update", "as_of", "event_date",
             "created_at", "time", "ts", "updated", "modified", "date", "datetime", "date_time", "generated_at",
             "issued_at", "issued_on", "exported_at", "sent_on", "raised_at", "emitted_at", "published_at"),
    "version": ("version", "revision", "sequence", "seq", "sequence_number", "sequence_no", "rev"),
    "message": ("event_id", "message_id", "notification_id", "delivery_id", "webhook_id", "msg_id", "request_id",
                "idempotency_key", "batch_id", "transaction_id", "feed_id", "uuid", "message_uuid", "event_uuid",
                "correlation_id", "export_id", "uid", "event_uid", "message_uid", "notification_uid"),
    "addon_group": ("addon_group_id", "modifier_group_id", "option_group_id", "choice_group_id", "group_id", "id",
                    "code",
                    "group_code", "modifier_set_id"),
    "addon": ("addon_id", "modifier_id", "option_id", "choice_id", "topping_id", "addon_item_id", "id", "code",
              "item_id",
              "sku", "plu"),
    "min": ("min", "minimum", "min_select", "min_selection", "min_selections", "min_quantity", "min_qty",
            "min_permitted",
            "minimum_selection", "min_required", "min_choices", "at_least"),
    "max": ("max", "maximum", "max_select", "max_selection", "max_selections", "max_quantity", "max_qty",
            "max_permitted",
            "maximum_selection", "max_allowed", "max_choices", "at_most"),
    "event": ("event_type", "event", "topic", "event_name", "notification_type", "action", "type"),
}  # fmt: skip
"""By role, the names it goes by, best first."""

CASED = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

ORDER_STATUSES: Mapping[str, tuple[str, ...]] = {
    "placed": ("placed", "new", "created", "pending", "received", "open"),
    "accepted": ("accepted", "confirmed", "acknowledged", "approved"),
    "preparing": ("preparing", "in_progress", "processing", "in_kitchen", "cooking", "picking", "started"),
    "ready": ("ready", "food_ready", "packed", "ready_for_pickup", "prepared", "ready_to_ship"),
    "dispatched": ("dispatched", "shipped", "out_for_delivery", "picked_up", "on_the_way", "in_transit"),
    "delivered": ("delivered", "completed", "fulfilled", "complete", "done", "closed"),
    "cancelled": ("cancelled", "canceled", "void", "voided", "cancel"),
    "rejected": ("rejected", "declined", "denied", "refused", "failed"),
}
STORE_STATUSES: Mapping[str, tuple[str, ...]] = {
    "open": ("open", "opened", "online", "active", "1", "true", "on", "yes", "enabled", "available"),
    "closed": ("closed", "close", "offline", "inactive", "0", "false", "off", "no", "disabled", "paused", "shut"),
    "busy": ("busy", "throttled", "rush"),
}
FLAGS: Mapping[bool, tuple[str, ...]] = {
    True: ("available", "in_stock", "instock", "active", "enabled", "published", "visible", "live", "on_sale", "t",
           "yes", "y", "true", "1", "on", "listed"),
    False: ("unavailable", "out_of_stock", "oos", "sold_out", "inactive", "disabled", "unpublished", "hidden", "draft",
            "archived", "f", "no", "n", "false", "0", "off", "unlisted", "discontinued"),
}  # fmt: skip


def words(name: str) -> str:
    """A name in lower case with one underscore between its words: `itemCode`, `Item-Code` → `item_code`."""
    return re.sub(r"[^0-9a-z\u0080-\uffff]+", "_", CASED.sub("_", name).lower()).strip("_")


def likeness(name: str, role: str) -> float:
    """How much a field's name sounds like a role, from 0 to 1. `a.b` counts as `a_b` and, less, as `b`."""
    known = ROLES[role]
    parts = [words(part) for part in name.split(".")]
    best = 0.0
    for said, worth in ((parts[-1], 0.95 if len(parts) == 1 else 0.75), ("_".join(parts), 0.9)):
        if said in known:
            best = max(best, worth - 0.01 * known.index(said))
        elif said.replace("_", "") in {one.replace("_", "") for one in known}:
            best = max(best, worth - 0.1 - 0.01 * [one.replace("_", "") for one in known].index(said.replace("_", "")))
        else:
            ending = next((one for one in known if "_" in one and said.endswith(f"_{one}")), None)
            best = max(best, worth - 0.35) if ending else best
    return best


def meaning(value: str, table: Mapping[bool, tuple[str, ...]] | Mapping[str, tuple[str, ...]]) -> str | bool | None:
    """What a word stands for by a table; None for a word that is in none of its lines."""
    said = words(value)
    return next((meant for meant, known in table.items() if said in known), None)
