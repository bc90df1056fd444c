from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.addresses import address_allowed, caller

PROXIES = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "allow", "allowed"),
    [
        ("198.51.100.7", (), True),
        ("198.51.100.7", ("198.51.100.0/24",), True),
        ("198.51.100.7", ("198.51.100.7",), True),
        ("198.51.100.7", ("198.51.100.9/24",), True),
        ("198.51.101.7", ("198.51.100.0/24",), False),
        ("::ffff:198.51.100.7", ("198.51.100.0/24",), True),
        ("198.51.100.7", ("::ffff:198.51.100.0/120",), True),
        ("2001:db8::1", ("198.51.100.0/24", "2001:db8::/32"), True),
        ("2001:db9::1", ("2001:db8::/32",), False),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("198.51.100.7", ("nonsense",), False),
        ("nonsense", ("0.0.0.0/0", "::/0"), False),
        ("", ("0.0.0.0/0",), False),
    ],
)
def test_an_allowlist_holds_the_addresses_of_its_blocks(peer: str, allow: tuple[str, ...], allowed: bool) -> None:
    assert address_allowed(peer, allow) is allowed


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("198.51.100.7", ["203.0.113.5"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["1.1.1.1", "203.0.113.5, 10.2.2.2"], "203.0.113.5"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.5, garbage"], "10.0.0.1"),
        ("10.0.0.1", ["garbage, 203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["203.0.113.5:4711"], "203.0.113.5"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("fd00::1", ["::ffff:203.0.113.5"], "203.0.113.5"),
        ("::ffff:10.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("", ["203.0.113.5"], ""),
    ],
)
def test_only_parts_added_by_declared_proxies_count(peer: str, forwarded_for: list[str], expected: str) -> None:
    assert caller(peer, forwarded_for, PROXIES) == expected


def test_without_declared_proxies_the_peer_is_the_caller() -> None:
    assert caller("10.0.0.1", ["203.0.113.5"], ()) == "10.0.0.1"


@settings(max_examples=100)
@given(forged=st.text(max_size=40), real=st.ip_addresses(v=4, network="203.0.113.0/24"))
def test_what_stands_left_of_the_proxys_part_changes_nothing(forged: str, real: object) -> None:
    assert caller("10.0.0.1", [forged, str(real)], PROXIES) == str(real)
