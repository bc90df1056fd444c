"""The provider file of sketches as YAML, with a comment where something is only likely."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flows.inferring.sketches import Guess, Rule, Said, Sketch

_PLAIN = re.compile(r"[A-Za-z_$][\w$./-]*(?<![.-])\Z", re.ASCII)
_WORDS = frozenset({"true", "false", "null", "none", "~"})
_WIDEST = 110
SCHEMA_FILE = "schemas/provider.schema.json"
"""Where editors find the language's schema, from the folder that holds providers/."""


@dataclass(frozen=True)
class Header:
    """What stands above the feeds. `guessed` names those of its keys that no sample shows."""

    provider: str
    title: str
    family: str
    currency: str
    unit: str
    time_zone: str
    auth: Mapping[str, Any]
    auth_guess: Guess


def scalar(value: Any) -> str:
    """A scalar of YAML 1.2."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if isinstance(value, str) and (not _PLAIN.match(text) or text.lower() in _WORDS):
        return json.dumps(text, ensure_ascii=False)
    return text


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(k))}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(one) for one in value) + "]"
    return scalar(value)


def provider_file(header: Header, sketches: Iterable[Sketch]) -> str:
    """The file's text."""
    return "\n".join([*_header(header), *(line for sketch in sketches for line in _feed(sketch))]) + "\n"


def _header(header: Header) -> Iterator[str]:
    yield f"# yaml-language-server: $schema=../{SCHEMA_FILE}"
    yield f"# {header.title}: guessed from samples. Read every line; what is doubtful says so."
    yield "spec: tiffin/v1"
    yield f"provider: {header.provider}"
    yield f"title: {scalar(header.title)}"
    yield f"family: {header.family}    # pos | erp | seller | admin"
    yield "revision: 1"
    yield "evidence: observed"
    defaults = {"currency": header.currency, "unit": header.unit, "time_zone": header.time_zone}
    yield f"defaults: {flow(defaults)}    # of values that say none themselves"
    yield ""
    yield f"# {header.auth_guess.word.capitalize()}: {header.auth_guess.because}."
    yield f"auth: {flow(header.auth)}"
    yield ""
    yield "feeds:"


def _feed(sketch: Sketch) -> Iterator[str]:
    yield f"  {scalar(sketch.name)}:"
    if sketch.path and sketch.path != sketch.name:
        yield f"    path: {scalar(sketch.path)}"
    if sketch.method != "POST":
        yield f"    method: {sketch.method}"
    if sketch.accept != "json":
        yield f"    accept: {sketch.accept}"
    if sketch.store is not None:
        yield _noted(f"    scope: {{store: {scalar(sketch.store.text)}}}", sketch.store)
    if sketch.event_id is not None:
        yield _noted(f"    idempotency: {{event_id: [{scalar(sketch.event_id.text)}]}}", sketch.event_id)
    else:
        yield "    # No field names the message: only a repeat of the last one is a duplicate."
        yield "    idempotency: {payload_hash: {against: last}}"
    yield "    commands:"
    for rule in sketch.rules:
        yield from _rule(rule)
    if sketch.unread:
        yield from _unread(sketch.unread)


def _rule(rule: Rule) -> Iterator[str]:
    yield f"      {rule.name}:"
    yield f"        command: {rule.command}"
    if rule.each is not None:
        yield f"        each: {scalar(rule.each)}"
    if rule.version is not None:
        version = {"from": rule.version.text, **rule.version.keys}
        yield _noted(f"        version: {flow(version)}", rule.version)
    yield "        fields:"
    for said in rule.fields:
        yield _noted(f"          {said.name}: {written(said)}", said)


def written(said: Said) -> str:
    """A field's right side."""
    if said.value is not None:
        return flow({"value": said.value})
    if "each" in said.keys:
        return flow(said.keys)
    return flow({"from": said.text, **said.keys}) if said.keys else scalar(said.text)


def _noted(line: str, said: Said) -> str:
    word = Guess("", "", said.sure, "").word
    if word == "sure":
        return line
    noted = f"{line}    # {word}: {said.because}"
    if len(noted) <= _WIDEST:
        return noted
    indent = line[: len(line) - len(line.lstrip())]
    above = textwrap.wrap(
        f"{word}: {said.because}", _WIDEST, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )
    return "\n".join([*above, line])


def _unread(names: Iterable[str]) -> Iterator[str]:
    line = "    # Not read:"
    for name in names:
        if len(line) + len(name) + 2 > _WIDEST:
            yield line.rstrip(",")
            line = "    #"
        line += f" {name},"
    yield line.rstrip(",")
