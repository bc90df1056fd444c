"""Every setting: its environment variable, type, default and one line of help."""

from __future__ import annotations

import ipaddress
import re
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

KIB, MIB = 1 << 10, 1 << 20
Consumed = Literal["search", "alike"]
"""What TIFFIN_CONSUME may name."""


def _networks(value: object) -> object:
    """Comma-separated addresses and CIDR blocks; a host bit set in a block is an error."""
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError("a list of CIDR blocks separated by commas is expected")
    return tuple(str(ipaddress.ip_network(part)) for part in parts)


def _names(value: object) -> object:
    """Names separated by commas; `none` for no name."""
    if not isinstance(value, str):
        return value
    return () if value == "none" else tuple(value.replace(",", " ").split())


def _without_slash(value: object) -> object:
    return value.rstrip("/") if isinstance(value, str) else value


def _split(options: SecretStr) -> list[tuple[str, str, str]]:
    return [option.partition("=") for option in options.get_secret_value().split()]


class Settings(BaseSettings):
    """The settings of one process, from TIFFIN_* variables or a .env file beside it. Frozen."""

    model_config = SettingsConfigDict(
        env_prefix="TIFFIN_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # some are secrets
    )

    data: Path = Field(Path("data"), description="Folder of the embedded database, bus and secret key.")
    database_url: str = Field("", description="SQLAlchemy URL of the database; empty: SQLite in the data folder.")
    database_pool: int = Field(
        8,
        ge=2,
        description="Connections to PostgreSQL in a process's pool; a serving one has up to 10 more.",
    )
    kafka_bootstrap: str = Field("", description="Kafka's host:port list; empty: the embedded log in the data folder.")
    kafka_options: SecretStr = Field(
        SecretStr(""),
        description="More librdkafka settings: name=value pairs separated by spaces.",
    )
    object_store_url: str = Field(
        "", description="Object store: file:///folder, s3://bucket/prefix …; empty: a folder in the data folder."
    )
    object_store_endpoint: str = Field("", description="URL of an S3-compatible server; empty: that of AWS.")
    object_store_region: str = Field("", description="Region of the S3 bucket; empty: from the environment.")
    object_store_access_key: SecretStr = Field(
        SecretStr(""), description="Access key id for S3; empty: from the environment or the host's role."
    )
    object_store_secret_key: SecretStr = Field(
        SecretStr(""), description="Secret access key for S3; empty: from the environment or the host's role."
    )
    object_body: int = Field(MIB, ge=0, description="Bodies above this many bytes are stored as objects at once.")
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="Redis, for limits that processes share and the copy of the views; empty: neither.",
    )
    consume: Annotated[tuple[Consumed, ...], NoDecode, BeforeValidator(_names)] = Field(
        ("search", "alike"),
        description="What is made of the catalogue's events, separated by commas: search, alike (suggested mappings); "
        "none: nothing.",
    )
    search_url: SecretStr = Field(
        SecretStr(""),
        description="OpenSearch for GET /v1/search: https://user:password@host:9200/index; empty: the database's own.",
    )
    rate_connection: float = Field(
        0.0, ge=0, description="Requests a second of one connection; beyond it they get busy; 0: no limit."
    )
    rate_address: float = Field(
        0.0, ge=0, description="Requests a second from one address (of IPv6, one /64); 0: no limit."
    )
    rate_burst: float = Field(10.0, gt=0, description="Seconds of a rate that may come at once.")
    connection_share: int = Field(
        50,
        ge=1,
        le=100,
        description="Percent of the room for waiting requests (TIFFIN_QUEUE_ROWS) that one connection may fill.",
    )
    providers: Path = Field(Path("providers"), description="Folder of the provider files.")
    reload: float = Field(
        2.0, ge=0, description="Seconds between two looks at the provider files; changed ones are swapped in; 0: never."
    )
    drift: float = Field(
        5.0,
        ge=0,
        description="Payloads a second that are compared with golden cases at most, after the answer; 0: none.",
    )
    public_url: Annotated[str, BeforeValidator(_without_slash)] = Field(
        "http://127.0.0.1:8000", description="URL at which providers reach this server; signatures cover it."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), description="CIDR blocks of proxies whose X-Forwarded-For is believed, separated by commas."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Seals secrets at rest: 32 bytes in base64; empty, on SQLite: a file in the data folder.",
    )
    secret_key_old: SecretStr = Field(
        SecretStr(""),
        description="Keys that only open what they sealed, separated by commas: those before a rotation.",
    )
    admin_key: SecretStr = Field(
        SecretStr(""), description="Bearer key for every route but webhooks, receipts and health."
    )
    jsonata: Literal["jlens", "jsonata-python"] = Field("jlens", description="The JSONata engine.")
    max_body: int = Field(8 * MIB, ge=1, description="Largest request body in bytes.")
    body_bytes: int = Field(
        64 * MIB, ge=1, description="Bytes of request bodies held at once; beyond it requests get busy."
    )
    body_timeout: float = Field(30.0, gt=0, description="Seconds within which a request body must arrive.")
    large_body: int = Field(64 * KIB, ge=0, description="Bodies above this many bytes are evaluated in threads.")
    queue_rows: int = Field(2_000, ge=1, description="Rows waiting for a commit; beyond it requests get busy.")
    queue_bytes: int = Field(64 * MIB, ge=1, description="Bytes waiting for a commit; beyond it requests get busy.")
    lease: float = Field(60.0, gt=0, description="Seconds after which a silent process's deliveries are taken over.")
    quarantine: int = Field(
        100, ge=0, description="Unverified requests kept per connection and per address; the oldest go first."
    )
    quarantine_bytes: int = Field(
        16 * MIB, ge=0, description="Bytes of unverified requests kept per connection and per address."
    )
    quarantine_days: float = Field(30, ge=0, description="Days that unverified requests are kept; 0: always.")
    keep_deliveries: float = Field(
        90,
        ge=0,
        description="Days that finished deliveries without open failures stay, with their keys; 0: always.",
    )
    keep_published: float = Field(90, ge=0, description="Days that the record of a published command stays; 0: always.")
    alert_networks: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), description="CIDR blocks of own networks that alerts may be sent to, also by http; else: public ones only."
    )
    import_bytes: int = Field(2048 * MIB, ge=1, description="Largest file of an import job in bytes.")
    import_chunk: int = Field(2_000, ge=1, le=20_000, description="Rows of a file that are written at once.")
    import_failures: int = Field(
        100_000, ge=1, description="Rows of a file that may fail; beyond it the import job ends."
    )
    import_jobs: int = Field(100, ge=1, description="Import jobs that may wait; beyond it files get busy.")
    keep_imports: float = Field(30, ge=0, description="Days that the file of a finished import job stays; 0: always.")
    traces: str = Field(
        "", description="OTLP/HTTP endpoint of traces; `on`: OpenTelemetry's own variables say it; empty: no traces."
    )
    traces_trust: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), description="CIDR blocks of callers whose traceparent header is taken on, separated by commas."
    )
    fetch: bool = Field(True, description="Whether this process asks providers for what their events leave out.")
    fetch_allow: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), description="CIDR blocks that are not public and may be fetched from all the same, also without TLS."
    )
    fetch_timeout: float = Field(30.0, gt=0, description="Seconds within which a page that is fetched must arrive.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line.")

    @model_validator(mode="after")
    def _one_body_fits(self) -> Settings:
        if self.body_bytes < self.max_body:
            raise ValueError("TIFFIN_BODY_BYTES must be at least TIFFIN_MAX_BODY")
        return self

    @field_validator("search_url")
    @classmethod
    def _http(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("a URL that begins with http:// or https:// is expected")
        return value

    @field_validator("traces")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        if value not in ("", "on") and not re.match(r"https?://[^/\s]", value):
            raise ValueError("the URL of an OTLP/HTTP endpoint is expected (http://collector:4318), or: on")
        return value

    @field_validator("kafka_options")
    @classmethod
    def _pairs(cls, value: SecretStr) -> SecretStr:
        if any(not name or not sign for name, sign, _ in _split(value)):
            raise ValueError("name=value pairs separated by spaces are expected")
        return value

    @property
    def kafka_settings(self) -> dict[str, str]:
        """TIFFIN_KAFKA_OPTIONS as librdkafka takes it."""
        return {name: given for name, _, given in _split(self.kafka_options)}

    @property
    def embedded(self) -> bool:
        """Whether the database is the SQLite file in the data folder or another SQLite file."""
        return not self.database_url or self.database_url.startswith("sqlite")


def settings_table() -> list[dict[str, str]]:
    """One row a setting: `name` (the variable), `type`, `default` and `help`, as the reference shows them."""
    return [
        {
            "name": f"TIFFIN_{name.upper()}",
            "type": _shown_type(field),
            "default": _shown_default(field),
            "help": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def settings_page() -> str:
    """docs/reference/settings.md."""
    lines = [
        "# Settings",
        "",
        "Environment variables, also read from a `.env` file in the working directory. "
        "Generated from `flows/settings.py`.",
        "",
        "| variable | type | default | what it does |",
        "|---|---|---|---|",
    ]
    for row in settings_table():
        default = f"`{row['default']}`" if row["default"] else ""
        lines.append(f"| `{row['name']}` | {row['type']} | {default} | {row['help']} |")
    return "\n".join(lines) + "\n"


def _shown_type(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if typing.get_origin(kind) is Literal:
        return " or ".join(typing.get_args(kind))
    if isinstance(kind, types.GenericAlias):
        return "list"
    return {SecretStr: "secret", Path: "path", int: "integer", float: "number", str: "text", bool: "true or false"}[
        kind
    ]


def _shown_default(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, SecretStr):
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, bool):
        return str(default).lower()
    return f"./{default}" if isinstance(default, Path) else str(default)
