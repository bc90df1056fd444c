"""A notice of drift as a golden case: its sample, the headers of the case that is most like it, and what comes out."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.decoding.media_types import media_type_of
from engine.interpreter import Interpreter
from engine.signatures import secret_names
from flows import pins
from flows.golden import cases, read_yaml
from flows.pins import Pin

_ENDINGS = {"form": "form", "x12": "txt", "none": ""}
_OWN = frozenset({"why", "headers", "again"})
_INVENTED = "golden-case-secret-0192"


class CaseStands(Exception):
    """A case of this name is there already."""


@dataclass(frozen=True)
class AddedCase:
    """The case that was written, its files, and what it comes to."""

    pin: Pin
    files: tuple[Path, ...]

    @property
    def verdict(self) -> str:
        return str(self.pin.now[0]["verdict"])

    @property
    def commands(self) -> int:
        return len(self.pin.now[0]["commands"])


def case_name(told: Mapping[str, str]) -> str:
    """A name that says what the case shows: `new_field_items_colour`."""
    words = re.sub(r"[^a-z0-9]+", "_", f"{told['what']} {told['path']} {told['value']}".lower()).strip("_")
    return words[:60].rstrip("_")


def add_case(root: Path, interpreter: Interpreter, feed: str, name: str, told: Mapping[str, str]) -> AddedCase:
    """Writes a case under the folder of golden cases and pins it. `told` is what the notice shows.

    Nothing is left behind where it cannot be run. Raises CaseStands, and what signing it raises.
    """
    provider = interpreter.provider.provider
    folder = root / provider / feed / name
    if folder.exists():
        raise CaseStands(f"{folder} stands already.")
    folder.mkdir(parents=True)
    context, made = root / provider / "context.yaml", False
    try:
        files = [*_body(folder, told), *_request(folder, told)]
        if not context.exists():
            context.write_text(_context(interpreter))
            made = True
            files.append(context)
        [case] = [one for one in cases(root, {provider: interpreter}) if one.name == f"{provider}-{feed}-{name}"]
        [pin] = pins.pins(root, [case], {provider: interpreter})
    except BaseException:
        shutil.rmtree(folder)
        if made:
            context.unlink()
        raise
    return AddedCase(pin, (*files, pins.write(root, pin)))


def _body(folder: Path, told: Mapping[str, str]) -> list[Path]:
    format_ = told["format"]
    file = folder / f"body.{_ENDINGS.get(format_, format_)}"
    file.write_bytes(told["sample"].encode())
    return [file]


def _request(folder: Path, told: Mapping[str, str]) -> list[Path]:
    """The request of the case that is most like it, with its own context where it has one."""
    like = folder.parent / told["like"] if told["like"] else None
    said: dict[str, Any] = read_yaml(like / "request.yaml") if like and (like / "request.yaml").exists() else {}
    media_type = media_type_of(told["format"])
    headers = said.get("headers") or ({"Content-Type": media_type} if media_type else {})
    why = f"Seen on {told['at'][:10]}. {told['says']}."
    file = folder / "request.yaml"
    file.write_text(
        yaml.safe_dump({**said, "why": why, "headers": headers}, sort_keys=False, allow_unicode=True, width=110)
    )
    files = [file]
    if like is not None and (like / "context.yaml").exists():
        files.append(Path(shutil.copy(like / "context.yaml", folder)))
    return files


def _context(interpreter: Interpreter) -> str:
    secrets = dict.fromkeys(sorted(secret_names(interpreter.auths)), _INVENTED)
    text = yaml.safe_dump({"connection": {"tenant": "demo", "secrets": secrets}, "mappings": []}, sort_keys=False)
    return f"# The connection and the mappings that the cases start from. Invented.\n{text}"
