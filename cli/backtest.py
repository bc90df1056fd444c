"""tiffin backtest: a new provider file over stored deliveries, beside the one that serves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import InputProblem
from cli.options import Moment, data_option, json_option
from cli.output import print_json

if TYPE_CHECKING:
    from flows.backtesting.report import Report
    from flows.providers import LoadedProvider

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_PAGE = """
<p>{{ report.deliveries }} deliveries with {{ report.commands }} commands; {{ report.differing }} differ,
{{ report.alarms }} alarms.{% if stopped %} Stopped before the end.{% endif %}</p>
{% if says %}<h2>What changed</h2><ul>{% for one in says %}<li>{{ one }}</li>{% endfor %}</ul>
<h2>Examples</h2>{% for meaning, found in report.examples.items() %}
{% for one in found %}<section{% if one.difference.alarming %} class="alarm"{% endif %}>
<h3>{{ one.difference.kind|replace('_', ' ') }} {{ one.difference.what }}</h3>
<p>Delivery <code>{{ one.delivery }}</code>{% if one.difference.entity %}, {{ one.difference.entity }}{% endif %}</p>
<p><code>{{ one.difference.before|tojson }}</code> → <code>{{ one.difference.after|tojson }}</code></p>
<pre>{{ one.payload }}</pre></section>{% endfor %}{% endfor %}
{% else %}<p>Nothing changed.</p>{% endif %}
"""


@click.command()
@click.argument("provider")
@click.option("--spec", type=_FILE, required=True, help="The new provider file.")
@click.option("--old", type=_FILE, help="The file to compare with. [default: what serves]")
@click.option("--since", type=Moment(), help="Only what was received since then: 2026-01-18T11:30:00Z, or 7d.")
@click.option("--until", type=Moment(), help="Only what was received before then.")
@click.option("--feed", help="Only this feed's.")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--sample", type=click.IntRange(1), default=1, help="One of so many deliveries, the same ones each time.")
@click.option("--processes", type=click.IntRange(1, 64), help="How many at once. [default: one a processor]")
@click.option("--examples", type=click.IntRange(0, 100), default=3, show_default=True, help="So many of each meaning.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page as well.")
@click.option(
    "--fail-on",
    type=click.Choice(["alarms", "differences", "never"]),
    default="alarms",
    show_default=True,
    help="What ends with exit status 1: changed keys, canonical ids and failure classes, or anything.",
)
@json_option
@data_option
def backtest(
    provider: str, spec: Path, old: Path | None, since: datetime | None, until: datetime | None, feed: str | None,
    tenant: str | None, sample: int, processes: int | None, examples: int, html: Path | None, fail_on: str,
    as_json: bool, data: Path | None,
) -> None:  # fmt: skip
    """Runs the old and a new provider file over stored deliveries, and says what would change by meaning.

    Deliveries come from the database and the archive; nothing is written or sent. Mappings are those of now.
    Quarantined requests are left out.

    \b
    Example:
      tiffin backtest acme --spec acme.new.yaml --since 7d --html backtest.html
    """
    from cli.store import settings_of
    from flows.backtesting.running import Task, Wanted, processors

    settings = settings_of(data)
    before, after = _texts(provider, settings.providers, spec, old, data)
    wanted = Wanted(provider, since, until, feed, tenant, sample)
    task = Task(settings, before.text, after.text, examples)
    report, stopped = _run(task, wanted, processes or processors(), data)
    if html is not None:
        from flows.pages import page

        html.write_text(page(_PAGE, f"Backtest of {provider}", report=report, says=report.says(), stopped=stopped))
    if as_json:
        print_json({**report.to_json(), "stopped": stopped})
    else:
        _print(report, stopped)
    failing = {"alarms": report.alarms, "differences": report.differing, "never": 0}[fail_on]
    if failing or stopped:
        sys.exit(1)


def _texts(
    provider: str, folder: Path, spec: Path, old: Path | None, data: Path | None
) -> tuple[LoadedProvider, LoadedProvider]:
    """Both files. The new one may have any name, but speaks of the same provider."""
    import schemas
    from cli.revisions import served
    from flows.providers import load_candidate

    def loaded(path: Path) -> LoadedProvider:
        made = load_candidate(path, schemas.canon())
        if (name := made.interpreter.provider.provider) != provider:
            raise InputProblem(f"{path} is the file of {name}, not of {provider}.")
        return made

    current = old or folder / f"{provider}.yaml"
    if not current.is_file():
        raise InputProblem(f"There is no {current} to compare with; give --old FILE.")
    before = loaded(current)
    return before if old else served(before, data), loaded(spec)


def _run(task: object, wanted: object, processes: int, data: Path | None) -> tuple[Report, bool]:
    from cli.store import opened
    from flows.backtesting.report import Report
    from flows.backtesting.running import Task, Wanted, backtest, chunks
    from stores import backtests

    assert isinstance(task, Task)
    assert isinstance(wanted, Wanted)
    which = (wanted.provider, wanted.since, wanted.until, wanted.feed, wanted.tenant)
    report = Report(task.examples)
    with opened(data) as store, store.reading() as transaction:
        total = backtests.count(transaction, *which) // wanted.sample
        ids = backtests.ids(transaction, *which, wanted.sample)
        with _progress(total) as done:
            try:
                backtest(task, chunks(ids), processes, done, report)
            except KeyboardInterrupt:
                return report, True
    return report, False


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's standard error; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=total, label="deliveries", file=sys.stderr) as bar:
        yield lambda behind: bar.update(behind - bar.pos)


def _print(report: Report, stopped: bool) -> None:
    from cli.provider_pins import described

    click.echo(f"{report.deliveries} deliveries, {report.commands} commands, {report.differing} differ")
    if stopped:
        click.echo("stopped before the end")
    for reason, count in report.lost.items():
        click.echo(f"{count} could not be run: {reason}")
    for sentence in report.says():
        click.echo(sentence)
    for found in report.examples.values():
        for one in found:
            click.echo(f"\n{one.delivery}  {described(one.difference)}")
            click.echo("\n".join(f"  {line}" for line in one.payload[:400].splitlines()))
    if report.alarms:
        click.echo(click.style(f"\n{report.alarms} alarms: keys, canonical ids or failure classes changed", fg="red"))
