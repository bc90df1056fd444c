"""tiffin provider coverage: what no golden case reaches, what nothing reads, what nothing sets."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import InputProblem
from cli.options import json_option
from cli.output import print_json

if TYPE_CHECKING:
    from engine.interpreter import Interpreter
    from flows.covering.coverage import Coverage
    from flows.golden import Case

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_PAGE = """
<p>{{ found.cases }} cases reach {{ found.points|length - found.missed|length }} of {{ found.points|length }} points
({{ '%.1f'|format(found.percent) }} %). {{ '%.1f'|format(found.read_percent) }} % of the payloads' fields are read.</p>
<h2>Not reached</h2>
{% if found.missed %}<table><thead><tr><th scope="col">kind</th><th scope="col">what</th><th scope="col">where</th></tr>
</thead><tbody>{% for one in found.missed %}<tr><td>{{ one.kind }}</td><td>{{ one.says }}</td>
<td><code>{{ one.place }}</code></td></tr>{% endfor %}</tbody></table>{% else %}<p>Everything is reached.</p>{% endif %}
{% for feed in found.unset %}<h2>{{ feed }}</h2>
<h3>Payload fields that nothing reads</h3>
{% if found.unread[feed] %}<ul>{% for path in found.unread[feed] %}<li><code>{{ path }}</code></li>{% endfor %}</ul>
{% else %}<p>None.</p>{% endif %}
<h3>Command fields that nothing sets</h3>
{% for rule, names in found.unset[feed].items() %}<p><strong>{{ rule }}</strong>: {{ names|join(', ') or 'none' }}</p>
{% endfor %}{% endfor %}
"""


@click.command()
@click.argument("file", type=_FILE)
@click.option("--body", "bodies", type=_FILE, multiple=True, help="A body beside the golden cases; with --feed.")
@click.option("--feed", help="The feed that the bodies go to.")
@click.option(
    "--samples",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder of golden cases. [default: tests/golden of the checkout, if any]",
)
@click.option("--min", "least", type=click.FloatRange(0, 100), help="Exit status 1 below this percentage of points.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page as well.")
@json_option
def coverage(
    file: Path, bodies: tuple[Path, ...], feed: str | None, samples: Path | None, least: float | None,
    html: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Says what of a provider file no golden case reaches, and what of the payloads nothing reads.

    Points are feeds, events, rules, both sides of each `when`, failing checks, lookup entries, defaults and
    handshakes. It also lists the fields of commands that nothing sets.

    \b
    Example:
      tiffin provider coverage providers/acme.yaml --min 80 --html coverage.html
    """
    import schemas
    from flows.covering.coverage import coverage as measured
    from flows.providers import load_provider

    loaded = load_provider(file, schemas.canon())
    assert loaded.origin is not None
    cases, given = _golden(loaded.interpreter, file, samples), _bodies(loaded.interpreter, bodies, feed)
    if not cases and not given:
        raise InputProblem("There is no golden case and no --body: nothing can be reached.")
    found = measured(loaded.interpreter, loaded.origin.document(), cases, given)
    if html is not None:
        from flows.pages import page

        html.write_text(page(_PAGE, f"Coverage of {found.provider}", found=found))
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if least is not None and found.percent < least:
        click.echo(f"tiffin: {found.percent:.1f} % is below {least:g} %", err=True)
        sys.exit(1)


def _golden(interpreter: Interpreter, file: Path, samples: Path | None) -> list[Case]:
    from flows.golden import cases
    from flows.samples import golden_folder

    root = samples or golden_folder(file)
    return list(cases(root, {interpreter.provider.provider: interpreter})) if root is not None else []


def _bodies(interpreter: Interpreter, bodies: tuple[Path, ...], feed: str | None) -> list[Case]:
    from engine.decoding.media_types import media_type_of
    from flows.golden import Case, Context, context_of, make_request

    if not bodies:
        return []
    if feed is None or feed not in interpreter.feeds:
        raise InputProblem(f"Say which feed the bodies go to: --feed {' | '.join(interpreter.feeds)}")
    name = interpreter.provider.provider
    before = context_of(name, {})
    form = media_type_of(next(iter(interpreter.feeds[feed].feed.formats)))
    headers = (("Content-Type", form),) if form else ()
    made = []
    for path in bodies:
        request = make_request(interpreter, feed, path.read_bytes(), received_at=datetime.now(UTC), headers=headers)
        context = Context(before.connection, before.mappings)
        made.append(Case(f"{name}-{feed}-{path.stem}", name, feed, request, context, 0, False, str(path)))
    return made


def _print(found: Coverage) -> None:
    reached = len(found.points) - len(found.missed)
    click.echo(
        f"{found.provider}: {found.cases} cases reach {reached} of {len(found.points)} points ({found.percent:.1f} %)"
    )
    for one in found.missed:
        click.echo(f"  {one.place}  {one.says}")
    for feed, paths in found.unread.items():
        if not found.fields[feed] and not found.unset[feed]:
            continue
        click.echo(f"\n{click.style(feed, bold=True)}")
        click.echo(f"  not read: {', '.join(paths) or 'nothing'} ({found.fields[feed]} fields in all)")
        for rule, names in found.unset[feed].items():
            click.echo(f"  not set by {rule}: {', '.join(names) or 'nothing'}")
