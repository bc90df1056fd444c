"""What the Dockerfile and the compose file name exists: settings, commands with their options, folders."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cli.main import tiffin
from flows.settings import settings_table

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
OWN = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "tiffin"}


def commands() -> dict[str, list[str]]:
    found = {name: service["command"] for name, service in OWN.items()}
    [default] = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.M)
    return {**found, "Dockerfile": yaml.safe_load(default)}


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml"])
def test_every_setting_that_is_named_exists(file: str) -> None:
    named = set(re.findall(r"TIFFIN_[A-Z_]+", (ROOT / "deploy" / file).read_text()))
    assert named
    assert named <= {row["name"] for row in settings_table()}


@pytest.mark.parametrize("where", commands())
def test_every_command_and_its_options_exist(where: str) -> None:
    name, *arguments = commands()[where]
    command: Any = tiffin.get_command(click.Context(tiffin), name)
    assert command is not None
    command.make_context(name, arguments, resilient_parsing=False)


def test_every_package_is_copied_into_the_image() -> None:
    copied = set(re.findall(r"^COPY (\w+) ", DOCKERFILE, re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {one.rstrip("*") for one in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert copied == wanted | {"providers"}


def test_the_image_runs_as_nobody_special_on_a_read_only_root() -> None:
    assert re.search(r"^USER [1-9]\d*$", DOCKERFILE, re.M)
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in OWN.values())


def test_no_secret_stands_in_the_compose_file() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|ADMIN_KEY", name):
                assert re.fullmatch(r"\$\{\w+:\?\}", value), name
