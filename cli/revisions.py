"""What commands about revisions share: what stands of a provider, stored texts, and what a shadow found."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import InputProblem

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cli.store import Store
    from flows.observing.counting import Tally
    from flows.providers import LoadedProvider
    from flows.revising import Standing
    from stores.shadows import Shadow


def tally_in(store: Store, found: Shadow) -> Tally:
    """What a shadow has found so far."""
    from flows.observing.counting import tally_of

    return tally_of(found.counts, store.box.unseal(found.examples) if found.examples else b"")


def standing_in(store: Store, transaction: Connection, name: str, at: datetime) -> Standing:
    """Raises InputProblem where the folder has no such file, or not the one that servers have loaded."""
    import schemas
    from flows.providers import load_provider
    from flows.revising import standing_of
    from stores import specs

    path = store.settings.providers / f"{name}.yaml"
    if not path.is_file():
        raise InputProblem(f"There is no {path}. TIFFIN_PROVIDERS must name the folder that the servers have.")
    file = load_provider(path, schemas.canon(), store.settings.jsonata)
    if specs.text(transaction, file.spec_hash) is None:
        raise InputProblem(
            f"No server has loaded {path} as it is now. Start one, or let the running ones take it in, and try again."
        )
    return standing_of(transaction, name, file.spec_hash, at)


def unchanged_in(transaction: Connection, name: str, standing: Standing) -> None:
    """Raises InputProblem where another has promoted or returned meanwhile. Asked once the audit is locked."""
    from flows.revising import standing_of

    if standing_of(transaction, name, standing.file_hash, standing.at).rows != standing.rows:
        raise InputProblem(f"Somebody else has changed what serves of {name} just now. Look, and try again.")


def served(file: LoadedProvider, data: Path | None) -> LoadedProvider:
    """What serves over the folder's file: the file itself, or what was promoted."""
    from cli.store import now, opened
    from flows.revising import standing_of

    with opened(data) as store, store.reading() as transaction:
        standing = standing_of(transaction, file.interpreter.provider.provider, file.spec_hash, now())
        return file if standing.live is None else loaded(transaction, standing.live.hash)


def loaded(transaction: Connection, hash: str) -> LoadedProvider:
    """A stored text. Raises ProviderFileError where it does not check any more."""
    import schemas
    from flows.providers import load_text
    from stores import specs

    text = specs.text(transaction, hash)
    if text is None:
        raise InputProblem(f"The text of revision {hash[:12]} is not in the database.")
    return load_text(text, schemas.canon())
