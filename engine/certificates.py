"""Certificates whose URL a request names: which URLs are believed, and the keys that certificates hold."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.auth_failures import KeyNeeded, Presented, refused
from engine.auth_model import Certificate
from engine.locations import location

if TYPE_CHECKING:
    from engine.public_keys import PublicKey

_URL = re.compile(r"https://[a-z0-9.-]+/[A-Za-z0-9._~/-]{1,300}")


def key_of(certificate: Certificate, shown: Presented, family: str) -> PublicKey:
    """The key of the certificate that the request names.

    Raises KeyNeeded where it is not at hand, Unauthorized for a URL that is not believed and for a certificate
    that cannot be used or was not valid when the request was received, PartError for a body that cannot be read.
    """
    where, name = location(certificate.certificate)
    value = shown.parts.value(where, name)
    if not value:
        sentence = "The request does not name the signer's certificate."
        raise refused("signature_missing", sentence, "Turn signing on at the sender.")
    url = value.decode("utf-8", "replace")
    if not believed(url, certificate.hosts):
        sentence = "The certificate's URL is not an https URL of a host that the provider file believes."
        raise refused(
            "certificate_not_allowed", sentence, "Look at who sent it; add the host where it is the sender's."
        )
    if url not in shown.fetched:
        raise KeyNeeded(url)
    from engine.public_keys import certificate_key

    pem = shown.fetched[url]
    found = certificate_key(pem, family)
    if found is None or not _valid(pem, shown.parts.request.received_at):
        sentence = "What the certificate's URL holds is no certificate that was valid when the request was received."
        raise refused("certificate_unusable", sentence, "Have the sender sign with a valid certificate.")
    return found


def believed(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether a URL is plain https, of one of the hosts, without port, credentials, query or dot segments."""
    if not _URL.fullmatch(url) or "/.." in url or "/./" in url:
        return False
    host = urlsplit(url).netloc
    return any(_pattern(one).fullmatch(host) for one in hosts)


@lru_cache(256)
def _pattern(host: str) -> re.Pattern[str]:
    return re.compile(r"\.".join("[a-z0-9-]+" if label == "*" else re.escape(label) for label in host.split(".")))


@lru_cache(64)
def _period(pem: bytes) -> tuple[datetime, datetime]:
    from cryptography import x509

    found = x509.load_pem_x509_certificate(pem)
    return found.not_valid_before_utc, found.not_valid_after_utc


def _valid(pem: bytes, at: datetime) -> bool:
    begin, end = _period(pem)
    return begin <= at <= end
