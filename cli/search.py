"""tiffin search"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json, print_table


@click.command()
@click.argument("query")
@click.option("--tenant", default="", help="Whose; needed where there are several.")
@click.option("--store", default="", help="Only of this store; of a merchant: what holds in all its stores.")
@click.option("--kind", default="", help="Only of this kind: item, variant, category, addon or store.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="How many at the most.")
@json_option
@data_option
def search(query: str, tenant: str, store: str, kind: str, limit: int, as_json: bool, data: Path | None) -> None:
    """Finds entities of the catalogue by words of their names, SKUs, barcodes, brands, descriptions and tags.

    Beginnings of words are enough, and a mistyped word finds what is like it.

    \b
    Example:
      tiffin search "paner tikka" --store sto_1
    """
    from cli.store import opened
    from flows.consume.reindex import Where, open_index
    from flows.searching import NothingAsked, question_of, shown
    from flows.views import TenantNeeded
    from stores.search.index import SearchAway
    from stores.view_sources import SqlViews

    with opened(data) as opened_store:
        settings = opened_store.settings
        where = Where(settings.search_url.get_secret_value(), settings.embedded, settings.data)
        index = open_index(where, opened_store.reading)
        try:
            with opened_store.reading() as transaction:
                question = question_of(transaction, query, tenant, store, kind, limit, 0)
            hits = index.search(question)
            with opened_store.reading() as transaction:
                found = shown(SqlViews(transaction), question, hits)
        except NothingAsked:
            raise InputProblem(f"{query!r} has no letter and no digit: say what is looked for.") from None
        except TenantNeeded as error:
            raise InputProblem(f"Several tenants are here; add --tenant with one of {error}") from None
        except SearchAway as error:
            raise InputProblem(f"The search index does not answer: {error}. See: TIFFIN_SEARCH_URL") from None
        finally:
            index.close()
    if as_json:
        print_json(found)
        return
    print_table(
        ("kind", "id", "store", "name", "sku", "price", "available"),
        [_row(item) for item in found["items"]],
        empty="Nothing is found.",
    )


def _row(item: dict[str, Any]) -> tuple[Any, ...]:
    price = item.get("price")
    shown = f"{price['amount']} {price['currency']}" if price else ""
    available = item.get("availability", {}).get("available")
    return (item["kind"], item["id"], item.get("store_id", ""), item.get("name", ""), item.get("sku", ""), shown,
            available)  # fmt: skip
