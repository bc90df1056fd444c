"""The command `tiffin`. Command groups are imported when they are used, so that each starts at once."""

from __future__ import annotations

import sys
from typing import Any

import click

from cli.lazy import Later, LazyGroup

_COMMANDS = {
    "serve": ("cli.serve", "serve", "Serve webhooks, relay commands to the bus."),
    "worker": ("cli.serve", "worker", "Relay and recover alone, without serving."),
    "provider": ("cli.provider", "provider", "Check, try and test provider files."),
    "connection": ("cli.connection", "connection", "Connections: tenants' agreements with providers."),
    "mapping": ("cli.mapping", "mapping", "External ids and their canonical ids."),
    "delivery": ("cli.delivery", "delivery", "Look at deliveries, replay them."),
    "failure": ("cli.failure", "failure", "Look at failures, resolve and replay them."),
    "notice": ("cli.notice", "notice", "What handshakes brought, and what is new in payloads."),
    "alert": ("cli.alert", "alert", "Rules of which a webhook is told."),
    "archive": ("cli.archive", "archive", "Pack older payloads into object storage; verify them."),
    "import": ("cli.imports", "import_", "Import a file of any size."),
    "job": ("cli.job", "job", "Import jobs: look at them, cancel, resume."),
    "fetch": ("cli.fetch", "fetch", "What is fetched from providers: look at it, begin it, retry."),
    "backtest": ("cli.backtest", "backtest", "Run a new provider file over stored deliveries."),
    "tail": ("cli.tail", "tail", "Print the messages of a topic."),
    "view": ("cli.view", "view", "What stores and items are now."),
    "search": ("cli.search", "search", "Find items, stores and categories by words."),
    "topics": ("cli.topics", "topics", "Create Kafka's topics, or check them."),
    "bucket": ("cli.bucket", "bucket", "Make the bucket of the object store."),
    "ledger": ("cli.ledger", "ledger", "Count deliveries and commands; the difference is 0."),
    "migrate": ("cli.upkeep", "migrate", "Bring the database's schema up to date."),
    "doctor": ("cli.upkeep", "doctor", "Say what is wrong with a set-up."),
    "retention": ("cli.retention", "retention", "Remove what has been kept for long enough."),
    "desk": ("cli.desk", "desk", "Sign in to the support desk."),
    "admin-key": ("cli.admin_key", "admin_key", "Keys of the admin API and the support desk."),
    "secret-key": ("cli.secret_key", "secret_key", "Replace the key that seals secrets at rest."),
    "audit": ("cli.audit", "audit", "What operators did."),
}


class _Explained(LazyGroup):
    """Errors of a known kind become a sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        from cli.errors import explained

        try:
            return super().invoke(ctx)
        except Exception as error:
            told = explained(error)
            if told is None:
                raise
            raise told from None


@click.group(
    cls=_Explained,
    later={name: Later(*found) for name, found in _COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="tiffin", prog_name="tiffin")
def tiffin() -> None:
    """One stable integration surface for commerce: provider webhooks in, canonical commands out.

    \b
    Example:
      tiffin serve --demo
    """


def main() -> None:
    """Exit status: 0 all well, 1 the input has problems, 2 wrong usage."""
    try:
        tiffin(prog_name="tiffin")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
