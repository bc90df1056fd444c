"""Object storage: a folder, S3 or another that obstore knows.

    ObjectsAway     it does not answer, or not in time
    BucketMissing   it answers, and has no such bucket
    ObjectMissing   there is no such object

obstore is imported when the first object is touched: a server that stores none need not carry it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

SECONDS: Final = 10
"""How long one request may take; it is tried again within RETRY_SECONDS."""
RETRY_SECONDS: Final = 15

_NOT_FOUND: Final = "404 Not Found"


class ObjectsAway(Exception):
    """The object store does not answer."""


class BucketMissing(ObjectsAway):
    """It answers, and has no such bucket."""


class ObjectMissing(Exception):
    """There is no such object."""


class ObjectStoreOptions(NamedTuple):
    """Where objects go. `url` "" is the folder; the others are for S3, and "" leaves them to the environment."""

    url: str
    folder: Path
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""


class Objects:
    """Objects by key. What `put` returned from survives a crash. May be used from any thread."""

    def __init__(self, options: ObjectStoreOptions) -> None:
        """Nothing is opened before the first call."""
        self._options = options
        self._folder = _folder(options)
        self._opened: Any = None

    @property
    def folder(self) -> Path | None:
        """The folder that they are in; None where they are elsewhere."""
        return self._folder

    @property
    def place(self) -> str:
        """Where objects are, for a person."""
        return self._options.url or str(self._options.folder)

    def put(self, key: str, data: bytes) -> None:
        """Stores or replaces an object. Raises ObjectsAway."""
        import obstore

        with _reported(key):
            obstore.put(self._store(), key, data)
            if self._folder is not None:
                _make_durable(self._folder, key)

    def get(self, key: str) -> bytes:
        """Raises ObjectMissing and ObjectsAway."""
        import obstore

        with _reported(key):
            return bytes(obstore.get(self._store(), key).bytes())

    def reader(self, key: str) -> io.RawIOBase:
        """A file that is read in parts. Raises ObjectMissing and ObjectsAway, also when it is read."""
        import obstore

        with _reported(key):
            return _Reader(key, obstore.open_reader(self._store(), key))

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error. Raises ObjectsAway."""
        import obstore

        try:
            with _reported(key):
                obstore.delete(self._store(), key)
        except ObjectMissing:
            return

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix that ends with a slash. Raises ObjectsAway."""
        import obstore

        with _reported(prefix):
            for chunk in obstore.list(self._store(), prefix=prefix):
                yield from (str(found["path"]) for found in chunk)

    def ping(self) -> None:
        """Raises ObjectsAway and BucketMissing."""
        try:
            next(self.keys("ping/"), None)
        except ObjectsAway as error:
            # obstore has no error of its own for it.
            if _NOT_FOUND in str(error):
                raise BucketMissing(f"there is no bucket for {self.place}") from None
            raise

    def _store(self) -> Any:
        if self._opened is None:
            self._opened = _open(self._options, self._folder)
        return self._opened


class _Reader(io.RawIOBase):
    """obstore's reader as a file of Python's."""

    def __init__(self, key: str, reader: Any) -> None:
        self._key, self._reader = key, reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())

    def readinto(self, buffer: Any) -> int:
        with _reported(self._key):
            data = bytes(self._reader.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)


def _folder(options: ObjectStoreOptions) -> Path | None:
    if not options.url:
        return options.folder.absolute()
    parts = urlsplit(options.url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _open(options: ObjectStoreOptions, folder: Path | None) -> Any:
    from obstore.store import LocalStore

    if folder is None:
        return opened(options)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return LocalStore(prefix=folder, automatic_cleanup=True)


def opened(options: ObjectStoreOptions) -> Any:
    """obstore's own store, of a URL that is no folder's."""
    from obstore.store import from_url

    given = {
        "endpoint": options.endpoint,
        "region": options.region,
        "access_key_id": options.access_key,
        "secret_access_key": options.secret_key,
    }
    config: Mapping[str, Any] = {name: value for name, value in given.items() if value}
    client: Any = {"timeout": timedelta(seconds=SECONDS), "connect_timeout": timedelta(seconds=3)}
    if options.endpoint.startswith("http://"):
        client["allow_http"] = True
    retry: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
    return from_url(options.url, client_options=client, retry_config=retry, **config)


def _make_durable(folder: Path, key: str) -> None:
    """The store renames a whole file into its place but leaves it to the system when that reaches the disk."""
    path = folder / key
    _sync(path)
    while path != folder:
        path = path.parent
        _sync(path)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _reported(key: str) -> Iterator[None]:
    from obstore.exceptions import BaseError, NotFoundError

    try:
        yield
    except (FileNotFoundError, NotFoundError):
        raise ObjectMissing(key) from None
    except (BaseError, OSError, ValueError) as error:
        raise ObjectsAway(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
