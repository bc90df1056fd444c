import pytest

from server.peers import peer_reader

BEHIND_PROXIES = peer_reader(("10.0.0.0/8", "2001:db8::/32"))


def forwarded(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", value.encode("latin-1")) for value in values]


def test_without_declared_proxies_the_header_is_not_believed():
    assert peer_reader(())("198.51.100.9", forwarded("203.0.113.1")) == "198.51.100.9"


def test_a_stranger_that_is_no_proxy_cannot_name_itself_otherwise():
    assert BEHIND_PROXIES("198.51.100.9", forwarded("203.0.113.1")) == "198.51.100.9"


@pytest.mark.parametrize(
    ("values", "peer"),
    [
        (("203.0.113.1",), "203.0.113.1"),
        (("198.51.100.66, 203.0.113.1",), "203.0.113.1"),
        (("198.51.100.66", "203.0.113.1"), "203.0.113.1"),
        (("198.51.100.66, 203.0.113.1, 10.1.1.1",), "203.0.113.1"),
        (("10.2.2.2, 10.1.1.1",), "10.2.2.2"),
        (("203.0.113.1, 2001:db8::7",), "203.0.113.1"),
        (("203.0.113.1, evil",), "10.0.0.1"),
        (("\xff\x00",), "10.0.0.1"),
        ((",, ,",), "10.0.0.1"),
        ((), "10.0.0.1"),
    ],
)
def test_only_what_a_declared_proxy_added_counts(values, peer):
    assert BEHIND_PROXIES("10.0.0.1", forwarded(*values)) == peer


def test_a_peer_without_an_address_is_left_as_it_is():
    assert BEHIND_PROXIES("", forwarded("203.0.113.1")) == ""
