"""The topics that Tiffin writes."""

from __future__ import annotations

from typing import Final

CATALOG_COMMANDS: Final = "catalog.commands"
CATALOG_EVENTS: Final = "catalog.events"
PRICING_EVENTS: Final = "pricing.events"
INVENTORY_EVENTS: Final = "inventory.events"
STORE_STATUS_EVENTS: Final = "store-status.events"
INTEGRATION_FAILURES: Final = "integration.failures"

TOPICS: Final = (
    CATALOG_COMMANDS,
    CATALOG_EVENTS,
    PRICING_EVENTS,
    INVENTORY_EVENTS,
    STORE_STATUS_EVENTS,
    INTEGRATION_FAILURES,
)
