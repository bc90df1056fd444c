"""Writes what is made from the provider file's models: `python -m schemas.generate`.

schemas/provider.schema.json, docs/reference/provider-file.md and docs/reference/diagnostics.md; and, from the
canonical schemas, schemas/asyncapi.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.model import Provider
from schemas.asyncapi import asyncapi
from schemas.diagnostics import Diagnostic, diagnostics

ROOT = Path(__file__).resolve().parent.parent
_ID = "https://tiffin.dev/schemas/provider.schema.json"


def provider_schema() -> dict[str, Any]:
    """The provider file as JSON Schema 2020-12, for editors."""
    made = Provider.model_json_schema(by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _ID}
    made.pop("title", None)
    definitions = made.pop("$defs")
    widened: dict[str, Any] = _any_of({**head, "title": "Provider file", "$defs": definitions, **_or_extending(made)})
    return widened


_HEAD = ("spec", "provider", "title", "family", "revision", "evidence", "extends")


def _or_extending(whole: dict[str, Any]) -> dict[str, Any]:
    """A file that extends another holds parts, which only together with the other's can be judged."""
    known = {key: whole["properties"][key] if key in _HEAD else True for key in whole["properties"]}
    part = {"properties": known, "required": ["spec", "provider", "revision", "extends"], "additionalProperties": False}
    return {"description": whole["description"], "type": "object",
            "if": {"required": ["extends"]}, "then": part, "else": whole}  # fmt: skip


def _any_of(part: Any) -> Any:
    """A literal document may hold anything, also what `{expr: …}` looks like: members are not exclusive."""
    if isinstance(part, list):
        return [_any_of(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    return {"anyOf" if key == "oneOf" else key: _any_of(inner) for key, inner in part.items()}


def schema_text() -> str:
    return json.dumps(provider_schema(), indent=2, ensure_ascii=False) + "\n"


def reference_text() -> str:
    """Every key of the language, model by model."""
    schema = provider_schema()
    parts = [
        "# The provider file\n\nGenerated from `engine/model.py` by `python -m schemas.generate`. An *expression* is "
        "JSONata; everything else is literal. Keys marked * must be there.\n"
    ]
    parts.append(_section("Provider", schema["else"]))
    parts += [_section(name, part) for name, part in schema["$defs"].items()]
    return "\n".join(parts)


def _section(name: str, schema: Mapping[str, Any]) -> str:
    said = schema.get("description", "").split("\n")[0]
    if "properties" not in schema:
        return f"\n## {name}\n\n{said}\n"
    rows = [f"\n## {name}\n\n{said}\n", "| key | what it takes | default | what it does |", "|---|---|---|---|"]
    for key, field in schema.get("properties", {}).items():
        star = "*" if key in schema.get("required", ()) else ""
        default = f"`{json.dumps(field['default'])}`" if field.get("default") not in (None, [], {}) else ""
        rows.append(f"| `{key}`{star} | {_takes(field)} | {default} | {_cell(field.get('description', ''))} |")
    return "\n".join(rows) + "\n"


def _takes(field: Mapping[str, Any]) -> str:
    if field.get("x-jsonata"):
        return "expression"
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in field:
            members = [m for m in field[key] if m.get("type") != "null"]
            return " or ".join(dict.fromkeys(_takes(m) for m in members))
    if "const" in field:
        return f"`{_literal(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{_literal(value)}`" for value in field["enum"])
    return _plain(field)


def _plain(field: Mapping[str, Any]) -> str:
    kind = field.get("type", "any value")
    if kind == "array":
        return f"list of {_takes(field.get('items', {}))}"
    if kind == "object":
        return (
            f"mapping to {_takes(inner)}" if isinstance(inner := field.get("additionalProperties"), dict) else "mapping"
        )
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(kind, str(kind))


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def diagnostics_text() -> str:
    """Every code with its sentence, what to do, the smallest mistake that shows it and the same mended."""
    parts = [
        "# Diagnostics\n\nWhat `tiffin provider check` says. Generated from `schemas/diagnostics.yaml` by "
        "`python -m schemas.generate`; a test runs every example. Only errors keep a file from loading. An example is "
        "a part of a file that is right otherwise, or a whole file.\n"
    ]
    for one in diagnostics():
        parts.append(f"\n## `{one.code}`\n\n{one.severity.capitalize()}. {one.says}\n\n{one.advice}\n")
        if not one.example:
            continue
        parts.append(f"\nTold at line {one.line}, column {one.column} {_of(one)}:\n\n{_block(one.example)}")
        same = one.fixed == one.example
        parts.append("\nWith a golden case it is well.\n" if same else f"\nMended:\n\n{_block(one.fixed)}")
    return "".join(parts)


def _of(one: Diagnostic) -> str:
    payloads = "".join(f" `{json.dumps(payload)}`" for payload in one.samples or ())
    sampled = f", with the sample{payloads}" if payloads else ""
    return f"of a connection's overrides{sampled}" if one.at == "overrides" else f"of this{sampled}"


def _block(text: str) -> str:
    shown = "".join(line if len(line) < 160 else f"{line[:156].rstrip()}…\n" for line in text.splitlines(True))
    return f"```yaml\n{_visible(shown)}```\n"


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def asyncapi_text() -> str:
    """What stands on the bus, for whoever reads it."""
    return json.dumps(asyncapi("1"), indent=2, ensure_ascii=False) + "\n"


Files = Mapping[str, Callable[[], str]]

FILES: Files = {
    "schemas/provider.schema.json": schema_text,
    "docs/reference/provider-file.md": reference_text,
    "docs/reference/diagnostics.md": diagnostics_text,
    "schemas/asyncapi.json": asyncapi_text,
}
"""What is written where, from the repository's root."""


def outdated(files: Files = FILES) -> list[str]:
    """The files that are not what they would be written as."""
    return [path for path, text in files.items() if not _current(ROOT / path, text())]


def _current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main(module: str = "schemas.generate", files: Files = FILES) -> int:
    """Writes the files of a module, or with --check names those that are not current; the exit status."""
    if sys.argv[1:] == ["--check"]:
        old = outdated(files)
        for path in old:
            print(f"{path} is not current: run python -m {module}")
        return 1 if old else 0
    for path, text in files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
