"""Makes the S3 bucket that objects go to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from stores.objects import BucketMissing, Objects, ObjectsAway, ObjectStoreOptions, opened

_SECONDS: Final = 30
_NO_CONSTRAINT: Final = ("", "us-east-1")
"""Regions that S3 takes no constraint for."""
_OWN: Final = (200, 409)
"""Made, or made by another meanwhile; one that is another account's shows when it is used."""


class NotABucket(Exception):
    """The object store is not S3, so that there is no bucket that we could make."""


def ensure_bucket(objects: Objects, options: ObjectStoreOptions) -> Literal["stands", "created"]:
    """Makes the bucket where it is missing (CreateBucket of the S3 API). Raises NotABucket and ObjectsAway."""
    parts = urlsplit(options.url)
    if parts.scheme != "s3":
        raise NotABucket(options.url)
    try:
        objects.ping()
        return "stands"
    except BucketMissing:
        _create(options, f"s3://{parts.netloc}")
    objects.ping()
    return "created"


def _create(options: ObjectStoreOptions, bucket: str) -> None:
    import httpx
    import obstore

    # The bucket's own address is that of an object without a name: obstore signs for it as for any.
    store: Any = opened(options._replace(url=bucket))
    url = obstore.sign(store, "PUT", "", timedelta(seconds=_SECONDS))
    body = b"" if options.region in _NO_CONSTRAINT else _constraint(options.region)
    try:
        answer = httpx.put(url, content=body, timeout=_SECONDS)
    except httpx.HTTPError as error:
        raise ObjectsAway(type(error).__name__) from None
    if answer.status_code not in _OWN:
        raise ObjectsAway(f"{bucket} was not made: HTTP status {answer.status_code}")


def _constraint(region: str) -> bytes:
    return (
        '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<LocationConstraint>{escape(region)}</LocationConstraint></CreateBucketConfiguration>"
    ).encode()
