"""tiffin view"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json, print_table

tenant_option = click.option("--tenant", default="", help="Whose; needed where several tenants have the id.")


@click.group()
def view() -> None:
    """What stores and items are now, and the views themselves.

    \b
    Example:
      tiffin view store sto_1
    """


@view.command()
@click.argument("id_", metavar="ID")
@tenant_option
@json_option
@data_option
def store(id_: str, tenant: str, as_json: bool, data: Path | None) -> None:
    """Shows a store: its status, and what it sells for how much.

    \b
    Example:
      tiffin view store sto_1
    """
    from flows import views

    found = _read(data, lambda stored: views.menu(stored, id_, tenant, limit=sys.maxsize - 1))
    if as_json:
        print_json(found)
        return
    told = found["store"] or {}
    click.echo(f"{id_}  {told.get('name', '')}  {told.get('status') or 'status unknown'}".rstrip())
    print_table(
        ("item", "name", "price", "available", "quantity", "since"),
        [row for item in found["items"] for row in _rows(item)],
        empty="No items.",
    )


@view.command()
@click.argument("id_", metavar="ID")
@tenant_option
@json_option
@data_option
def item(id_: str, tenant: str, as_json: bool, data: Path | None) -> None:
    """Shows an item, variant or addon in every store that has it.

    \b
    Example:
      tiffin view item itm_1
    """
    from flows import views

    found = _read(data, lambda stored: views.item(stored, id_, tenant))
    if as_json:
        print_json(found)
        return
    print_table(
        ("store", "kind", "name", "price", "available", "quantity", "since", "retired"),
        [
            (place.get("store_id", ""), place["kind"], place.get("name", ""), _money(place.get("price")),
             *_stock(place.get("availability")), place["retired"])
            for place in found["places"]
        ],
    )  # fmt: skip


@view.command()
@click.option("--check", is_flag=True, help="Only compare; exit status 1 where the views are not what the log says.")
@json_option
@data_option
def rebuild(check: bool, as_json: bool, data: Path | None) -> None:
    """Makes the views again from the log, and compares. No event goes out; readers notice nothing.

    \b
    Example:
      tiffin view rebuild
    """
    from bus import BusUnavailable, open_bus
    from cli.store import opened
    from flows.rebuild import LogTruncated, NeverStill
    from flows.rebuild import rebuild as made_again

    with opened(data) as store:
        settings = store.settings
        bus = open_bus(settings.kafka_bootstrap, settings.data)
        try:
            settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = made_again(bus, settings.data, store.reading, store.writing, replace=not check)
        except (LogTruncated, NeverStill, BusUnavailable) as error:
            raise InputProblem(str(error)) from None
        finally:
            bus.close()
    if as_json:
        print_json({**found._asdict(), "same": found.same})
    elif found.same:
        click.echo(f"The views are what the log says: {found.commands} commands, hash {found.log}")
    else:
        done = "They were replaced." if found.replaced else "Replace them: tiffin view rebuild"
        click.echo(f"The views were {found.stood}; the log gives {found.log}. {done}")
    if check and not found.same:
        sys.exit(1)


@view.command("rebuild-copy")
@click.option("--check", is_flag=True, help="Only compare; exit status 1 where the copy shows something else.")
@json_option
@data_option
def rebuild_copy(check: bool, as_json: bool, data: Path | None) -> None:
    """Makes the copy of the views in Redis again from SQL. Readers are served from SQL until it is there.

    It heals by itself once Redis is back; this fills it at once, and with --check says whether it is right.

    \b
    Example:
      tiffin view rebuild-copy
    """
    from cli.store import opened
    from flows.consume import recopying
    from stores.view_copy import CopyAway

    with opened(data) as store:
        url = store.settings.redis_url.get_secret_value()
        if not url:
            raise InputProblem("There is no copy: TIFFIN_REDIS_URL is not set.")
        try:
            if check:
                found = recopying.compare(url, store.reading, _progress)
            else:
                found = recopying.rebuild(url, store.reading, store.writing, _progress)
        except CopyAway as error:
            raise InputProblem(f"Redis does not answer ({error}). See: tiffin doctor") from None
        except recopying.CopyMissing:
            raise InputProblem("No copy is in step with SQL now. Make it: tiffin view rebuild-copy") from None
    if as_json:
        print_json(found._asdict())
    else:
        said = f"{found.different} differ" if check else "copied"
        click.echo(f"{found.entities} entities of {found.owners} stores' and merchants' views: {said}")
    if found.different:
        sys.exit(1)


@view.command("rebuild-search")
@json_option
@data_option
def rebuild_search(as_json: bool, data: Path | None) -> None:
    """Makes the search index again from the views. Searches find the old one until it is done.

    \b
    Example:
      tiffin view rebuild-search
    """
    from bus import open_bus
    from cli.store import opened
    from flows.consume.reindex import Where, open_index, rebuild
    from stores.search.index import SearchAway

    with opened(data) as store:
        settings = store.settings
        where = Where(settings.search_url.get_secret_value(), settings.embedded, settings.data)
        index = open_index(where, store.writing, write=True)
        try:
            count = rebuild(
                index,
                lambda: open_bus(settings.kafka_bootstrap, settings.data, settings.kafka_settings),
                store.reading,
                told=_counted,
            )
        except SearchAway as error:
            raise InputProblem(f"The search index does not answer: {error}. See: TIFFIN_SEARCH_URL") from None
        finally:
            index.close()
    if as_json:
        print_json({"documents": count})
    else:
        click.echo(f"{count} documents")


def _counted(docs: Any) -> Any:
    with _progress(docs) as shown:
        yield from shown


def _progress(rows: Any) -> Any:
    return click.progressbar(rows, label="filling", show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty())


@view.command()
@data_option
def rewind(data: Path | None) -> None:
    """Has the projection read the log from the beginning again. What was applied before changes nothing.

    \b
    Example:
      tiffin view rewind
    """
    from cli.store import now, opened, operator
    from stores import audit, views

    with opened(data) as store, store.writing() as transaction:
        count = views.rewind(transaction)
        audit.append(transaction, now(), operator(), "view.rewind", "views", data={"partitions": count})
    click.echo(f"Rewound {count} partition{'' if count == 1 else 's'}.")


def _read(data: Path | None, job: Any) -> Any:
    from cli.store import opened
    from flows.views import TenantNeeded, UnknownId
    from stores.view_sources import SqlViews

    try:
        with opened(data) as store, store.reading() as transaction:
            return job(SqlViews(transaction))
    except UnknownId as error:
        raise InputProblem(f"No view knows {error}. Canonical ids are listed by: tiffin mapping list") from None
    except TenantNeeded as error:
        raise InputProblem(f"Several tenants have it; add --tenant with one of {error}") from None


def _rows(item: dict[str, Any]) -> Any:
    yield (
        item["item_id"],
        item.get("name", ""),
        _money(item.get("price")),
        *_stock(item.get("availability")),
    )
    for variant in item["variants"]:
        name = f"  {variant.get('name', '')}"
        yield f"  {variant['variant_id']}", name, _money(variant.get("price")), *_stock(variant.get("availability"))


def _money(price: dict[str, str] | None) -> str:
    return f"{price['amount']} {price['currency']}" if price else ""


def _stock(availability: dict[str, Any] | None) -> tuple[Any, Any, Any]:
    """(available, quantity, since)"""
    if availability is None:
        return None, None, None
    quantity = availability["quantity"]
    return availability["available"], quantity and f"{quantity['amount']} {quantity['unit']}", availability["since"]
