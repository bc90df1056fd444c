"""WS-Security UsernameToken in the header of a SOAP envelope.

OASIS Web Services Security UsernameToken Profile 1.1: a password is text, or Base64(SHA-1(nonce + created +
password)). The body is parsed here before anything is proved, so document types, entities and network are off.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import timedelta

from lxml import etree

from engine import signature_timestamps
from engine.auth_failures import Presented, body_unreadable, known, matches, refused
from engine.auth_model import WsSecurityScheme
from engine.request_parts import BodyUnread

_SOAP = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_SECURITY = f"{{{_WSS}wssecurity-secext-1.0.xsd}}"
_UTILITY = f"{{{_WSS}wssecurity-utility-1.0.xsd}}"
_DIGEST_TOLERANCE = 300
"""Seconds that a digest holds where the file says nothing: it could be sent again otherwise."""


def check_ws_security(scheme: WsSecurityScheme, shown: Presented) -> None:
    """Raises Unauthorized."""
    pairs = [secret.partition(b":") for secret in known(scheme.secret, shown.secrets)]
    token = _token(shown.parts.request.body)
    name, password = _text(token, f"{_SECURITY}Username"), _text(token, f"{_SECURITY}Password")
    digest = (token.findtext(f"{_SECURITY}Password") is not None) and _is_digest(token)
    if not name or not password:
        raise refused("credentials_missing", "The UsernameToken has no name or no password.", _SEND)
    if digest != (scheme.password == "digest"):  # noqa: S105
        raise refused("credentials_malformed", f"The password is not of the type {scheme.password}.", _SEND)
    created = _text(token, f"{_UTILITY}Created")
    nonce = _nonce(token) if digest else b""
    right = [_join(user, _digested(nonce, created, secret) if digest else secret) for user, _, secret in pairs]
    if not matches([_join(name, password)], right):
        sentence = "User and password are not known."
        raise refused("credentials_mismatch", sentence, "Configure the same user and password on both sides.")
    tolerance = scheme.tolerance if scheme.tolerance is not None else _DIGEST_TOLERANCE if digest else None
    if tolerance is not None:
        _check_created(created, shown, tolerance, scheme.future)


def username_token(user: str, password: str, digest: bool, created: str, nonce: bytes) -> str:
    """The Security element, for trying things out."""
    kind = "PasswordDigest" if digest else "PasswordText"
    token = etree.Element(f"{_SECURITY}Security", nsmap={"wsse": _SECURITY[1:-1], "wsu": _UTILITY[1:-1]})
    inner = etree.SubElement(token, f"{_SECURITY}UsernameToken")
    etree.SubElement(inner, f"{_SECURITY}Username").text = user
    written = etree.SubElement(inner, f"{_SECURITY}Password")
    written.set("Type", f"{_WSS}username-token-profile-1.0#{kind}")
    written.text = _digested(nonce, created.encode(), password.encode()).decode() if digest else password
    etree.SubElement(inner, f"{_SECURITY}Nonce").text = base64.b64encode(nonce).decode()
    etree.SubElement(inner, f"{_UTILITY}Created").text = created
    return etree.tostring(token, encoding="unicode")


def _token(body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise body_unreadable(BodyUnread("The body cannot be read as XML.")) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise body_unreadable(BodyUnread("The XML has a document type, which is refused."))
    space = next((one for one in _SOAP if root.tag == f"{{{one}}}Envelope"), None)
    if space is None:
        raise body_unreadable(BodyUnread("The XML is no SOAP envelope."))
    found = root.findall(f"{{{space}}}Header/{_SECURITY}Security/{_SECURITY}UsernameToken")
    if len(found) > 1:
        raise refused("credentials_malformed", f"There are {len(found)} UsernameTokens.", "Send one.")
    if not found:
        raise refused("credentials_missing", "The SOAP header has no UsernameToken.", _SEND)
    return found[0]


def _text(token: etree._Element, tag: str) -> bytes:
    """The one child's text; empty where there is none. Raises Unauthorized where it stands twice."""
    found = token.findall(tag)
    if len(found) > 1:
        raise refused("credentials_malformed", "A part of the UsernameToken stands in it twice.", "Send it once.")
    if not found or len(found[0]):
        return b""
    return (found[0].text or "").strip().encode()


def _is_digest(token: etree._Element) -> bool:
    written = token.find(f"{_SECURITY}Password")
    return written is not None and (written.get("Type") or "").endswith("#PasswordDigest")


def _nonce(token: etree._Element) -> bytes:
    try:
        found = base64.b64decode(_text(token, f"{_SECURITY}Nonce"), validate=True)
    except binascii.Error:
        found = b""
    if not found:
        raise refused("credentials_malformed", "The UsernameToken has no Nonce in base64.", _SEND)
    return found


def _digested(nonce: bytes, created: bytes, password: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(nonce + created + password, usedforsecurity=False).digest())


def _join(user: bytes, password: bytes) -> bytes:
    return b"%d:%s%s" % (len(user), user, password)


def _check_created(created: bytes, shown: Presented, tolerance: int, future: int) -> None:
    if not created:
        raise refused("timestamp_missing", "The UsernameToken has no Created.", "Send the time of signing.")
    moment: timedelta | None = signature_timestamps.read(created, "rfc3339")
    if moment is None:
        raise refused("timestamp_malformed", "Created is no time in RFC 3339 with a zone.", "Send it so.")
    age = signature_timestamps.age(moment, shown.parts.request.received_at)
    signature_timestamps.check_age(age, tolerance, future)


_SEND = "Send a UsernameToken as the provider file says."
