"""What goes wrong, in one line with a next step: the table from exceptions to messages."""

from __future__ import annotations

import click


class InputProblem(click.ClickException):
    """The input has problems: exit status 1."""

    exit_code = 1

    def show(self, file: object = None) -> None:
        click.echo(f"tiffin: {self.message}", err=True)


_NEXT_STEPS = {
    "ProviderFileError": "",
    "FolderInUse": "",
    "FolderMissing": "",
    "SecretKeyError": "",
    "SchemaNewer": "",
    "SchemaNotMigrated": "The database was not brought up to date: {} See: tiffin doctor",
    "UnsafeBind": "",
    "OneWorkerOnly": "",
    "AddressTaken": "",
    "WriterNotStarted": "The writer did not start: {} See: tiffin doctor",
    "ConnectionUnknown": "There is no connection {}. See: tiffin connection list",
    "ConnectionExists": "A connection {} stands already. Choose another --id.",
    "AdminKeyExists": "A key {} stands already. Choose another name, or revoke it first.",
    "AdminKeyUnknown": "There is no key {} to revoke. See: tiffin admin-key list",
    "AlertRefused": "",
    "AlertUnknown": "There is no alert {}. See: tiffin alert list",
    "ArchiveBusy": "",
    "ObjectsAway": "The object store does not answer: {} See: tiffin doctor",
    "SegmentUnreadable": "A segment of the archive cannot be read: {} See: tiffin archive verify",
    "StoreUnavailable": "The database is away. See: tiffin doctor",
    "BusUnavailable": "The bus is away: {} See: tiffin doctor",
    "OperationalError": "The database does not answer: {} See: tiffin doctor",
    "TracesNotInstalled": "",
    "Unsignable": "",
    "ValidationError": "A setting is wrong: {}",
}


def explained(error: Exception) -> click.ClickException | None:
    """The message for a known exception; None for one that is a fault of Tiffin's own."""
    for kind in type(error).__mro__:
        template = _NEXT_STEPS.get(kind.__name__)
        if template is not None:
            text = str(error).splitlines()[0] if kind.__name__ == "OperationalError" else str(error)
            return InputProblem(template.format(text) if template else text)
    return None
