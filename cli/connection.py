"""tiffin connection …"""

from __future__ import annotations

import ipaddress
import os
import secrets as random
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import data_option, filter_options, json_option, pairs, why_option
from cli.output import print_json, print_table

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def connection() -> None:
    """Connections: tenants' agreements with providers.

    \b
    Example:
      tiffin connection list
    """


@connection.command()
@click.argument("provider")
@click.option("--tenant", required=True, help="Whose connection it is.")
@click.option(
    "--secret", "secrets", multiple=True, help="NAME=VALUE, NAME=@file or NAME=env:VARIABLE; may be repeated."
)
@click.option("--id", "id_", help="Its id, which stands in URLs. [default: made up]")
@click.option("--key", "keys", multiple=True, help="What the file's `connection:` says for it; may be repeated.")
@click.option("--merchant", default="", help="Canonical id of the merchant it speaks for. [default: the tenant]")
@click.option(
    "--store", "stores", multiple=True, help="Canonical id of a store it may speak for; none: all mapped ones."
)
@click.option("--allow", multiple=True, help="CIDR block of addresses that may call; none: any.")
@click.option("--time-zone", help="IANA zone of times without one.")
@click.option("--currency", help="ISO 4217 code of money without one.")
@click.option("--overrides", type=_FILE, help="YAML that changes fields, lookups and defaults of the provider file.")
@why_option
@json_option
@data_option
def add(
    provider: str, tenant: str, secrets: tuple[str, ...], id_: str | None, keys: tuple[str, ...], merchant: str,
    stores: tuple[str, ...], allow: tuple[str, ...], time_zone: str | None, currency: str | None,
    overrides: Path | None, why: str, as_json: bool, data: Path | None,
) -> None:  # fmt: skip
    """Adds a connection and prints its webhook URLs. Secrets are stored encrypted and never shown again.

    \b
    Example:
      tiffin connection add acme --tenant demo --secret token=env:ACME_TOKEN --key R-17
    """
    from cli.store import now, opened, operator
    from engine.messages import Connection
    from flows.golden import webhook_path
    from stores import audit, connections

    with opened(data) as store:
        interpreter = loaded(store.settings, provider)
        made = Connection(
            id=id_ or f"con-{random.token_hex(4)}",
            tenant=tenant,
            provider=provider,
            secrets={name: (value,) for name, value in checked_secrets(interpreter, secrets).items()},
            keys=keys,
            merchant=merchant,
            stores=stores,
            allow=tuple(network(block) for block in allow),
            time_zone=_zone(time_zone),
            currency=_currency(currency),
            overrides=checked_overrides(store.settings, provider, overrides) if overrides else "",
        )
        if not made.id.replace("-", "").replace("_", "").isalnum():
            raise click.UsageError("--id may hold letters, digits, - and _")
        with store.writing() as transaction:
            connections.add(transaction, made, store.box, now())
            told = {"provider": provider, "overrides": made.overrides}
            audit.append(transaction, now(), operator(), "connection.add", made.id, why, told)
        urls = [store.settings.public_url + webhook_path(interpreter, feed, made.id) for feed in interpreter.feeds]
    if as_json:
        print_json({"id": made.id, "tenant": tenant, "provider": provider, "urls": urls})
        return
    click.echo(made.id)
    for url in urls:
        click.echo(f"  {url}")


def checked_overrides(settings: Any, provider: str, file: Path) -> str:
    """The text of overrides that fit the provider's file. Raises InputProblem with everything that is wrong."""
    import schemas
    from cli.provider_check import print_problem
    from engine.checker import check_document
    from engine.extending import overridden, resolve
    from flows.providers import read_source, sources_beside

    path = settings.providers / f"{provider}.yaml"
    source, over = read_source(path), read_source(file)
    document = resolve(source.text, source.file, sources_beside(path))
    problems = check_document(overridden(document, over.text, over.file), schemas.canon())
    # What the provider file says by itself is not this file's matter, unless it keeps it from loading.
    told = [p for p in problems if p.severity == "error" or p.place.file == over.file]
    texts = {source.file: source.text, over.file: over.text, **document.others}
    for problem in told:
        print_problem(problem, texts.get(problem.place.file, ""), err=True)
    if any(problem.severity == "error" for problem in told):
        raise InputProblem(f"{file} does not fit {path}; nothing is stored.")
    return over.text


def loaded(settings: Any, provider: str) -> Any:
    """The interpreter of a provider's file. Raises InputProblem."""
    import schemas
    from flows.providers import load_provider

    path = settings.providers / f"{provider}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in settings.providers.glob("*.yaml"))) or "none"
        raise InputProblem(f"There is no provider {provider}. Known in {settings.providers}: {known}")
    return load_provider(path, schemas.canon(), settings.jsonata).interpreter


def checked_secrets(interpreter: Any, given: tuple[str, ...], *, complete: bool = True) -> dict[str, bytes]:
    """Secrets by name, read from where they stand and strong enough. Raises InputProblem."""
    from engine.fetching import fetch_secrets
    from engine.handshakes import secret_names_of
    from engine.signatures import UnusableSecret, schemes_of, secret_names, usable_secret

    auth = interpreter.auths
    of_handshakes = secret_names_of(interpreter.provider) | fetch_secrets(interpreter.provider)
    wanted = secret_names(auth) | of_handshakes
    found = {name: secret_value(value) for name, value in pairs(given, "=", "NAME=VALUE")}
    for name, value in found.items():
        if not schemes_of(auth, name) and name not in of_handshakes:
            raise InputProblem(f"The provider has no secret {name}. It has: {', '.join(sorted(wanted)) or 'none'}")
        if not value:
            raise InputProblem(f"The secret {name} is refused: it is empty.")
        for scheme in schemes_of(auth, name):
            try:
                usable_secret(value, scheme)
            except UnusableSecret as error:
                raise InputProblem(f"The secret {name} is refused: {error}") from None
    if complete and wanted and not found:
        raise InputProblem(f"The provider needs --secret {' or '.join(f'{name}=…' for name in sorted(wanted))}")
    return {name: value.encode() for name, value in found.items()}


def secret_value(value: str) -> str:
    """A secret as it is written, or read from NAME=@file or NAME=env:VARIABLE. Raises InputProblem."""
    if value.startswith("@"):
        try:
            return Path(value[1:]).read_text().rstrip("\r\n")
        except OSError as error:
            raise InputProblem(f"The secret's file cannot be read: {error.strerror}") from None
    if value.startswith("env:"):
        if value[4:] not in os.environ:
            raise InputProblem(f"The environment has no {value[4:]}")
        return os.environ[value[4:]]
    return value


def network(block: str) -> str:
    """A CIDR block as it is stored. Raises UsageError."""
    try:
        return str(ipaddress.ip_network(block))
    except ValueError as error:
        raise click.UsageError(f"--allow {block}: {error}") from None


def _zone(name: str | None) -> str | None:
    from zoneinfo import available_timezones

    if name is not None and name not in available_timezones():
        raise click.UsageError(f"--time-zone {name} is not an IANA time zone, such as Asia/Kolkata")
    return name


def _currency(code: str | None) -> str | None:
    from engine.currencies import MINOR_UNITS

    if code is not None and code not in MINOR_UNITS:
        raise click.UsageError(f"--currency {code} is not an ISO 4217 code, such as INR")
    return code


@connection.command("list")
@filter_options("provider", "tenant")
@json_option
@data_option
def list_(provider: str | None, tenant: str | None, as_json: bool, data: Path | None) -> None:
    """Lists connections; the values of secrets are never shown.

    \b
    Example:
      tiffin connection list --provider acme
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores import connections

    with opened(data) as store, store.reading() as transaction:
        rows = connections.rows(transaction, provider, tenant)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("id", "provider", "tenant", "keys", "merchant", "stores", "secrets", "since", "disabled"),
        [
            (r.id, r.provider, r.tenant, r.keys, r.merchant, r.stores, sorted({s[0] for s in r.secrets}), r.created_at,
             r.disabled_at)
            for r in rows
        ],
        "No connections. Add one: tiffin connection add PROVIDER --tenant T --secret NAME=VALUE",
    )  # fmt: skip


@connection.command()
@click.argument("id_", metavar="ID")
@click.option("--secret", "secrets", multiple=True, required=True, help="NAME=VALUE, NAME=@file or NAME=env:VARIABLE.")
@click.option("--overlap", default="24h", show_default=True, help="How long the old one stays valid: 0s, 30m, 24h, 7d.")
@why_option
@json_option
@data_option
def rotate(
    id_: str, secrets: tuple[str, ...], overlap: str, why: str, as_json: bool, data: Path | None
) -> None:  # fmt: skip
    """Gives a connection a new secret; the old one stays valid for a while.

    \b
    Example:
      tiffin connection rotate con-1a2b3c4d --secret token=@new-token --overlap 2h
    """
    from cli.store import now, opened, operator
    from engine.model import seconds_of
    from stores import audit, connections

    try:
        seconds = seconds_of(overlap)
    except Exception:
        raise click.UsageError(f"--overlap {overlap}: write 0s, 30m, 24h or 7d") from None
    assert isinstance(seconds, int)
    with opened(data) as store:
        with store.reading() as transaction:
            row = next((r for r in connections.rows(transaction) if r.id == id_), None)
        if row is None:
            raise connections.ConnectionUnknown(id_)
        found = checked_secrets(loaded(store.settings, row.provider), secrets)
        until = now() + timedelta(seconds=seconds)
        with store.writing() as transaction:
            for name, value in found.items():
                connections.rotate(transaction, id_, name, value, store.box, now(), until)
            audit.append(transaction, now(), operator(), "connection.rotate", id_, why, {"secrets": sorted(found)})
    _say(
        as_json,
        {"id": id_, "secrets": sorted(found), "older_until": until},
        f"{id_}: {', '.join(sorted(found))} replaced; older values hold until {until:%Y-%m-%d %H:%M:%S} UTC",
    )


@connection.command()
@click.argument("id_", metavar="ID")
@why_option
@json_option
@data_option
def disable(id_: str, why: str, as_json: bool, data: Path | None) -> None:
    """Disables a connection: its requests are answered as unauthorized.

    \b
    Example:
      tiffin connection disable con-1a2b3c4d
    """
    from cli.store import now, opened, operator
    from stores import audit, connections

    with opened(data) as store, store.writing() as transaction:
        connections.disable(transaction, id_, now())
        audit.append(transaction, now(), operator(), "connection.disable", id_, why)
    _say(as_json, {"id": id_, "enabled": False}, f"{id_} is disabled")


@connection.command()
@click.argument("id_", metavar="ID")
@click.argument("file", type=_FILE, required=False)
@click.option("--none", "nothing", is_flag=True, help="Override nothing from now on.")
@why_option
@json_option
@data_option
def override(
    id_: str, file: Path | None, nothing: bool, why: str, as_json: bool, data: Path | None
) -> None:  # fmt: skip
    """Changes fields, lookups and defaults of the provider file for one connection, from the next delivery on.

    FILE holds parts of a provider file: what it says merges by key, null removes. It is checked together with
    the provider file before it is stored.

    \b
    Example:
      tiffin connection override con-1a2b3c4d overrides.yaml
    """
    from cli.store import now, opened, operator
    from stores import audit, connections

    if (file is None) == (not nothing):
        raise click.UsageError("give a FILE, or --none")
    with opened(data) as store:
        with store.reading() as transaction:
            row = next((r for r in connections.rows(transaction) if r.id == id_), None)
        if row is None:
            raise connections.ConnectionUnknown(id_)
        loaded(store.settings, row.provider)
        text = checked_overrides(store.settings, row.provider, file) if file else ""
        with store.writing() as transaction:
            connections.override(transaction, id_, text, now())
            told = {"before": row.overrides, "after": text}
            audit.append(transaction, now(), operator(), "connection.override", id_, why, told)
    said = f"{id_} overrides {file or 'nothing'} from now on"
    _say(as_json, {"id": id_, "before": row.overrides, "after": text}, said)


@connection.command()
@click.argument("id_", metavar="ID")
@click.argument("rate", type=click.FloatRange(min=0), required=False)
@click.option("--default", "reset", is_flag=True, help="TIFFIN_RATE_CONNECTION holds again.")
@why_option
@json_option
@data_option
def limit(
    id_: str, rate: float | None, reset: bool, why: str, as_json: bool, data: Path | None
) -> None:  # fmt: skip
    """Sets how many requests a second a connection may send; 0: no limit. Beyond it they get busy.

    \b
    Example:
      tiffin connection limit con-1f2e3d4c 50
    """
    from cli.store import now, opened, operator
    from flows.limits import SETTING
    from stores import audit, connections

    if (rate is None) != reset:
        raise click.UsageError("give a RATE, or --default")
    with opened(data) as store, store.writing() as transaction:
        connections.set_setting(transaction, id_, SETTING, rate, now())
        audit.append(transaction, now(), operator(), "connection.limit", id_, why, {"rate": rate})
    said = "the default" if rate is None else "no limit" if not rate else f"{rate:g} requests a second"
    _say(as_json, {"id": id_, "rate": rate}, f"{id_}: {said}")


def _say(as_json: bool, facts: dict[str, Any], text: str) -> None:
    if as_json:
        print_json(facts)
    else:
        click.echo(text)


def _add_others() -> None:
    # Imported last because they read secrets and blocks as this module does.
    from cli.connection_access import allow, enable, share
    from cli.connection_secrets import secret
    from cli.verify_again import verify_again

    for command in (secret, enable, allow, share, verify_again):
        connection.add_command(command)


_add_others()
