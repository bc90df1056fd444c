from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flows.fetching import Fetcher, FetchFailed, is_public

HOST = "certs.example"


class Answers(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host']}{self.path}")
        status = {"/moved": 302, "/gone": 404, "/broken": 500, "/busy": 429}.get(self.path, 200)
        body = b"x" * 70_000 if self.path == "/large" else b"a certificate"
        self.send_response(status)
        self.send_header("Location", f"https://{HOST}/here")
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return None


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, ssl.SSLContext]]:
    folder: Path = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + private)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(folder / "both.pem")
    server.socket = own.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, ssl.create_default_context(cadata=pem.decode())
    server.shutdown()


def fetcher(served: tuple[int, ssl.SSLContext], **changed: Any) -> Fetcher:
    options = {"resolve": lambda host: ["127.0.0.1"], "public": lambda address: True, "timeout": 5.0}
    return Fetcher(port=served[0], **{"context": served[1], **options, **changed})


def test_a_document_is_fetched_by_https_with_its_hosts_name(served: Any) -> None:
    assert fetcher(served).fetch(f"https://{HOST}/here") == b"a certificate"
    assert Answers.asked[-1] == f"{HOST}/here"


@pytest.mark.parametrize(
    ("path", "lasting"),
    [("/moved", True), ("/gone", True), ("/large", True), ("/broken", False), ("/busy", False)],
)
def test_anything_but_a_small_200_fails(served: Any, path: str, lasting: bool) -> None:
    with pytest.raises(FetchFailed) as failed:
        fetcher(served).fetch(f"https://{HOST}{path}")
    assert failed.value.lasting is lasting
    assert Answers.asked[-1] == f"{HOST}{path}"


@pytest.mark.parametrize(
    "url",
    ["http://certs.example/here", "https://certs.example:8443/", "https://u:p@certs.example/", "file:///etc/passwd"],
)
def test_what_is_not_plain_https_is_not_asked(served: Any, url: str) -> None:
    before = len(Answers.asked)
    with pytest.raises(FetchFailed, match="not plain https"):
        fetcher(served).fetch(url)
    assert len(Answers.asked) == before


def test_a_host_with_an_address_that_is_not_public_is_not_asked(served: Any) -> None:
    before = len(Answers.asked)
    with pytest.raises(FetchFailed, match="not public"):
        fetcher(served, public=is_public).fetch(f"https://{HOST}/here")
    with pytest.raises(FetchFailed, match="not public"):
        fetcher(served, public=is_public, resolve=lambda host: ["8.8.8.8", "10.0.0.1"]).fetch(f"https://{HOST}/here")
    assert len(Answers.asked) == before


def test_a_server_whose_certificate_is_not_trusted_is_not_asked(served: Any) -> None:
    with pytest.raises(FetchFailed, match="SSLCertVerificationError"):
        fetcher(served, context=ssl.create_default_context()).fetch(f"https://{HOST}/here")


def test_a_server_with_another_name_is_not_asked(served: Any) -> None:
    with pytest.raises(FetchFailed, match="SSLCertVerificationError"):
        fetcher(served).fetch("https://other.example/here")


def test_a_host_that_is_not_known_may_be_asked_again(served: Any) -> None:
    def unknown(host: str) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(FetchFailed) as failed:
        fetcher(served, resolve=unknown).fetch(f"https://{HOST}/here")
    assert failed.value.lasting is False


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_only_addresses_of_the_public_internet_are_connected_to(address: str, public: bool) -> None:
    assert is_public(address) is public
