"""tiffin bucket"""

from __future__ import annotations

from pathlib import Path

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json


@click.command()
@json_option
@data_option
def bucket(as_json: bool, data: Path | None) -> None:
    """Makes the S3 bucket of TIFFIN_OBJECT_STORE_URL where it is missing. Safe to run again.

    \b
    Example:
      TIFFIN_OBJECT_STORE_URL=s3://tiffin/payloads tiffin bucket
    """
    from cli.store import settings_of
    from flows.journal import object_options
    from stores.buckets import NotABucket, ensure_bucket
    from stores.objects import Objects

    settings = settings_of(data)
    options = object_options(settings)
    objects = Objects(options)
    if objects.folder is not None:
        state = "folder"
    else:
        try:
            state = ensure_bucket(objects, options)
        except NotABucket:
            raise InputProblem(
                f"{settings.object_store_url} is not on S3. Make its bucket or container with its provider's own tools."
            ) from None
    said = {"folder": "a folder, made when it is needed", "stands": "stands", "created": "made"}[state]
    if as_json:
        print_json({"place": objects.place, "state": state})
    else:
        click.echo(f"{objects.place}: {said}")
