"""Provider files that extend others: what is loaded, hashed and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

import schemas
from engine.problems import ProviderFileError
from flows.providers import MOST_OVERRIDDEN, load_provider, load_providers, load_text, with_overrides
from tests.flows.scenery import ACME

VARIANT = """\
spec: tiffin/v1
provider: acme-two
revision: 1
extends: acme@1
feeds:
  slow: null
  stock: {commands: {stock: {fields: {quantity: left}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acme.yaml").write_text(ACME)
    (tmp_path / "acme-two.yaml").write_text(VARIANT)
    return tmp_path


def load(folder: Path, name: str = "acme-two"):
    return load_provider(folder / f"{name}.yaml", schemas.canon())


def test_a_file_that_extends_nothing_is_kept_as_it_is_written(folder):
    assert load(folder, "acme").text == ACME


def test_what_is_kept_of_a_file_that_extends_another_needs_no_other_file(folder):
    loaded = load(folder)
    alone = load_text(loaded.text, schemas.canon())
    assert alone.spec_hash == loaded.spec_hash
    assert alone.interpreter.provider == loaded.interpreter.provider


def test_the_hash_changes_with_what_the_base_says(folder):
    before = load(folder).spec_hash
    (folder / "acme.yaml").write_text(ACME.replace("item_id: sku", "item_id: code"))
    assert load(folder).spec_hash != before


def test_the_hash_stays_when_the_base_is_only_laid_out_differently(folder):
    before = load(folder).spec_hash
    (folder / "acme.yaml").write_text("# Acme\n" + ACME.replace("each: items", "each: 'items'"))
    assert load(folder).spec_hash == before


def test_a_folder_loads_bases_and_variants_in_any_order(folder):
    loaded = load_providers(folder, schemas.canon())
    assert {name: list(one.interpreter.feeds) for name, one in loaded.items()} == {
        "acme": ["stock", "slow"],
        "acme-two": ["stock"],
    }


def test_a_problem_of_a_base_is_told_once_for_all_that_extend_it(folder):
    (folder / "acme.yaml").write_text(ACME.replace("each: items", "each: items["))
    (folder / "acme-three.yaml").write_text(VARIANT.replace("acme-two", "acme-three"))
    with pytest.raises(ProviderFileError) as raised:
        load_providers(folder, schemas.canon())
    places = [str(problem.place) for problem in raised.value.problems]
    assert len(places) == len(set(places))
    assert {problem.place.file for problem in raised.value.problems} == {str(folder / "acme.yaml")}


def test_a_base_of_another_revision_is_refused(folder):
    (folder / "acme.yaml").write_text(ACME.replace("revision: 1", "revision: 2"))
    with pytest.raises(ProviderFileError, match="revision 2, not 1"):
        load(folder)


def test_equal_overrides_are_compiled_once(folder):
    loaded = load(folder)
    assert with_overrides(loaded, "defaults: {unit: kg}") is with_overrides(loaded, "defaults: {unit: kg}")


def test_compiled_overrides_are_bounded(folder):
    loaded = load(folder)
    first = with_overrides(loaded, "defaults: {unit: u0}")
    for n in range(1, MOST_OVERRIDDEN + 1):
        with_overrides(loaded, f"defaults: {{unit: u{n}}}")
    again = with_overrides(loaded, "defaults: {unit: u0}")
    assert again is not first
    assert again.spec_hash == first.spec_hash


def test_no_overrides_are_the_provider_itself(folder):
    loaded = load(folder)
    assert with_overrides(loaded, "") is loaded


def test_what_is_kept_of_overrides_needs_no_other_file(folder):
    made = with_overrides(load(folder), "feeds: {stock: {commands: {stock: {fields: {quantity: rest}}}}}")
    alone = load_text(made.text, schemas.canon())
    assert alone.spec_hash == made.spec_hash
    assert alone.interpreter.provider == made.interpreter.provider
