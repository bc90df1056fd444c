"""What the versions of updates put in order: an entity, and each part of it by itself."""

from __future__ import annotations

from tests.engine.invented import interpreter, tried

PRICES = """\
feeds:
  prices:
    idempotency: {event_id: [id]}
    commands:
      prices:
        command: UpdatePrice
        each: prices
        version: at
        fields: {item_id: sku, price: price, channel: channel}
defaults: {currency: INR}
"""


def ordered(*prices: dict[str, str]) -> list[str]:
    trial = tried(interpreter(PRICES), "prices", {"id": "e1", "prices": list(prices)})
    return [command.version.entity for command in trial.outcome.commands if command.version]


def test_prices_of_two_channels_are_ordered_each_by_itself():
    at = "2026-02-03T09:00:00Z"
    one, other, whole = ordered(
        {"sku": "a", "price": "5", "at": at, "channel": "delivery"},
        {"sku": "a", "price": "6", "at": at, "channel": "takeaway"},
        {"sku": "a", "price": "7", "at": at},
    )
    assert len({one, other, whole}) == 3


def test_prices_of_one_channel_are_ordered_together():
    one, other = ordered(
        {"sku": "a", "price": "5", "at": "2026-02-03T09:00:00Z", "channel": "delivery"},
        {"sku": "a", "price": "6", "at": "2026-02-03T10:00:00Z", "channel": "delivery"},
    )
    assert one == other
