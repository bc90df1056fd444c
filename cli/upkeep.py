"""tiffin migrate, tiffin doctor"""

from __future__ import annotations

import errno
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cli.options import data_option, json_option
from cli.output import print_json


@click.command()
@json_option
@data_option
def migrate(as_json: bool, data: Path | None) -> None:
    """Brings the database's schema up to date. Safe to run again.

    \b
    Example:
      tiffin migrate
    """
    from cli.store import settings_of
    from flows.journal import database_url
    from stores.database import open_database
    from stores.schema import migrate as bring_up

    settings = settings_of(data)
    if settings.embedded:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(database_url(settings))
    try:
        before, after = bring_up(database)
    finally:
        database.close()
    if as_json:
        print_json({"before": before, "after": after})
    else:
        click.echo(
            f"schema {after}" + (" (was empty)" if before is None else "" if before == after else f" (was {before})")
        )


Finding = tuple[str, str, str]
"""(what was looked at, "" or what is wrong, what to do)"""


@click.command()
@json_option
@data_option
def doctor(as_json: bool, data: Path | None) -> None:
    """Says what is wrong with a set-up. Exit status 1 when something is.

    \b
    Example:
      tiffin doctor
    """
    from cli.store import settings_of

    settings = settings_of(data)
    looks = (_folder, _key, _database, _providers, _bus, _objects, _redis, _traces)
    findings = [finding for look in looks for finding in _examined(look, settings)]
    if as_json:
        print_json(
            [{"what": what, "ok": not wrong, "problem": wrong, "next_step": todo} for what, wrong, todo in findings]
        )
    else:
        for what, wrong, todo in findings:
            click.echo(
                f"{click.style('bad', fg='red') if wrong else click.style('ok ', fg='green')}  {what}"
                + (f": {wrong}" if wrong else "")
            )
            if wrong:
                click.echo(f"     {todo}")
    if any(wrong for _, wrong, _ in findings):
        sys.exit(1)


def _examined(look: Callable[[Any], Iterator[Finding]], settings: Any) -> list[Finding]:
    """Everything that is wrong, or that nothing is."""
    found = list(look(settings))
    return [one for one in found if one[1]] or found[-1:]


def _folder(settings: Any) -> Iterator[Finding]:
    what = f"data folder {settings.data}"
    if settings.embedded and settings.data.exists() and not settings.data.is_dir():
        yield what, "is not a folder", "Choose another TIFFIN_DATA."
    elif settings.embedded and settings.data.exists() and stat.S_IMODE(settings.data.stat().st_mode) & 0o077:
        yield what, "others may read it", f"chmod 700 {settings.data}"
    if settings.data.is_dir():
        yield from _room(what, settings.data)
    yield what, "", ""


_LEAST_FREE = 256 << 20


def _room(what: str, folder: Path) -> Iterator[Finding]:
    import shutil
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        todo = "Make room on its disk." if error.errno == errno.ENOSPC else "Let the user who runs Tiffin write there."
        yield what, f"cannot be written to: {error.strerror}", todo
        return
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        yield what, f"{free >> 20} MB are free on its disk", "Make room: nothing is acknowledged that cannot be stored."


def _key(settings: Any) -> Iterator[Finding]:
    from flows.journal import secret_box

    what, file = "secret key", settings.data / "secret.key"
    if settings.embedded and not settings.secret_key.get_secret_value() and not file.exists() and _sealed(settings):
        yield what, f"{file} is gone, and secrets were sealed with it", "Bring it back, or set TIFFIN_SECRET_KEY to it."
        return
    if not settings.secret_key.get_secret_value() and file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield what, f"others may read {file}", f"chmod 600 {file}"
    if settings.secret_key.get_secret_value() or file.exists() or not settings.embedded:
        try:
            secret_box(settings)
        except Exception as error:
            yield what, str(error), "Set TIFFIN_SECRET_KEY to the key that secrets were sealed with."
        else:
            if not _opens(settings):
                yield what, "it does not open the secrets of connections", "Set the key that they were sealed with."
    yield what, "", ""


def _sealed(settings: Any) -> list[bytes]:
    """One secret as it is stored; none where the database is away or empty, which is told elsewhere."""
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from flows.journal import database_url
    from stores.database import open_database
    from stores.tables import connection_secrets

    if settings.embedded and not settings.database_url and not (settings.data / "tiffin.db").exists():
        return []
    database = open_database(database_url(settings))
    try:
        with database.engine.connect() as connection:
            return list(connection.scalars(select(connection_secrets.c.value).limit(1)))
    except SQLAlchemyError:
        return []
    finally:
        database.close()


def _opens(settings: Any) -> bool:
    from flows.journal import secret_box

    box = secret_box(settings)
    try:
        for value in _sealed(settings):
            box.unseal(value)
    except Exception:
        return False
    return True


def _database(settings: Any) -> Iterator[Finding]:
    from flows.journal import database_url
    from stores.database import open_database
    from stores.durability import weaknesses
    from stores.schema import latest_version, version

    what = "database"
    if settings.embedded and not (settings.data / "tiffin.db").exists() and not settings.database_url:
        yield f"{what} (not made yet)", "", ""
        return
    try:
        database = open_database(database_url(settings), pool=settings.database_pool)
        found, weak = version(database), weaknesses(database)
        database.close()
    except Exception as error:
        yield what, f"away: {_reason(error)}", "Start it, or correct TIFFIN_DATABASE_URL."
        return
    if found is not None and found > latest_version():
        yield what, f"schema {found}, this Tiffin knows up to {latest_version()}", "Install a newer Tiffin."
    elif found != latest_version():
        yield what, f"schema {found}, needed {latest_version()}", "tiffin migrate"
    for problem, todo in weak:
        yield what, problem, todo
    yield what, "", ""


def _reason(error: Exception) -> str:
    """The first line of what the driver says, without the statement that it came by."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _providers(settings: Any) -> Iterator[Finding]:
    import schemas
    from engine.problems import ProviderFileError
    from flows.providers import load_providers

    what = f"provider files in {settings.providers}"
    try:
        loaded = load_providers(settings.providers, schemas.canon())
    except ProviderFileError as error:
        yield what, str(error).splitlines()[0], "tiffin provider check"
        return
    if not loaded:
        yield what, "there are none", "Set TIFFIN_PROVIDERS to the folder that holds them."
    yield what, "", ""


def _bus(settings: Any) -> Iterator[Finding]:
    from bus import open_bus
    from bus.topics import CATALOG_COMMANDS

    what = f"bus {settings.kafka_bootstrap or '(embedded log)'}"
    if not settings.kafka_bootstrap and not Path(settings.data / "bus.db").exists():
        yield f"{what} (not made yet)", "", ""
        return
    if settings.kafka_bootstrap:
        yield from _topics(what, settings)
        yield what, "", ""
        return
    try:
        bus = open_bus("", settings.data)
        bus.end_offset(CATALOG_COMMANDS)
        bus.close()
    except Exception as error:
        yield what, str(error) or type(error).__name__, "Bring back the file, or the right to read it."
    yield what, "", ""


def _topics(what: str, settings: Any) -> Iterator[Finding]:
    from bus import TOPICS, BusUnavailable
    from bus.kafka_topics import KafkaTopics, Wanted

    least = Wanted(partitions=1, replication=1, min_insync=1, retention_ms=0)
    try:
        found = KafkaTopics(settings.kafka_bootstrap, settings.kafka_settings).check(TOPICS, least)
    except BusUnavailable as error:
        todo = "Start it, or correct TIFFIN_KAFKA_BOOTSTRAP and TIFFIN_KAFKA_OPTIONS."
        yield what, str(error), todo
        return
    for topic in found:
        for problem in topic.problems:
            todo = "tiffin topics" if topic.state == "missing" else "tiffin topics --check"
            yield what, f"topic {topic.name}: {problem}", todo


def _objects(settings: Any) -> Iterator[Finding]:
    from flows.journal import objects_of
    from stores.objects import BucketMissing, ObjectsAway

    objects = objects_of(settings)
    what = f"object store {objects.place}"
    if not settings.object_store_url and not (settings.data / "objects").exists():
        yield f"{what} (not made yet)", "", ""
        return
    try:
        objects.ping()
        objects.put("doctor", b"written by tiffin doctor")
        objects.delete("doctor")
    except BucketMissing as error:
        yield what, str(error), "tiffin bucket"
    except ObjectsAway as error:
        yield what, f"away: {error}", "Start it, or correct TIFFIN_OBJECT_STORE_URL and its endpoint, region and keys."
    yield what, "", ""


def _redis(settings: Any) -> Iterator[Finding]:
    what, url = "redis", settings.redis_url.get_secret_value()
    if not url:
        yield f"{what} (not set: each process counts its limits for itself)", "", ""
        return
    import asyncio

    from stores.shared_buckets import RedisAway, SharedBuckets

    async def ping() -> None:
        buckets = SharedBuckets(url)
        try:
            await buckets.ping()
        finally:
            await buckets.close()

    try:
        asyncio.run(ping())
    except (RedisAway, ValueError) as error:
        yield what, f"does not answer ({error})", "Start it, or correct TIFFIN_REDIS_URL."
    yield what, "", ""


def _traces(settings: Any) -> Iterator[Finding]:
    if not settings.traces:
        yield "traces (not set: none are sent)", "", ""
        return
    what = "traces"
    try:
        import flows.spans  # noqa: F401 whether it is there is all that is asked
    except ImportError:
        yield what, "what sends them is not installed", "pip install 'tiffin[traces]'"
    yield what, "", ""
