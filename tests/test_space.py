"""Search spaces: fields of a recipe with values that they take."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentlab import space
from agentlab.errors import InputError
from agentlab.recipe import Recipe
from agentlab.space import Between, OneOf

RECIPE = Recipe(env="agentlab/Catch-v0")


def read(text: str, folder: Path) -> space.Space:
    file = folder / "space.yaml"
    file.write_text(text)
    return space.load(str(file), RECIPE)


@pytest.mark.parametrize("name", space.built_in())
def test_built_in_spaces_fit_recipes(name: str):
    assert space.load(name, RECIPE)


def test_ranges_and_choices_are_read(tmp_path: Path):
    text = """
extractor.learning_rate: {low: 1e-4, high: 1.0e-1, log: true}
head.dqn.n_steps: {low: 1, high: 10}
extractor.weight_decay: {low: 1e-5, high: 1e-2}
head.dqn.hidden: {choices: [[64], [256, 256]]}
"""
    found = read(text, tmp_path)
    assert found == {
        "extractor.learning_rate": Between(1e-4, 1e-1, log=True),
        "head.dqn.n_steps": Between(1, 10),
        "extractor.weight_decay": Between(1e-5, 1e-2),
        "head.dqn.hidden": OneOf(((64,), (256, 256))),
    }
    assert found["head.dqn.n_steps"].is_whole


def test_values_take_their_place_in_a_recipe():
    changed = space.with_values(RECIPE, {"head.dqn.n_steps": 3, "seed": 7, "head.dqn.hidden": (32,)}, "x")
    assert (changed.head.dqn.n_steps, changed.seed, changed.head.dqn.hidden) == (3, 7, (32,))
    assert changed.extractor == RECIPE.extractor


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected fields of a recipe with their ranges, found None"),
        ("extractor.chanels: {choices: [1]}", "unknown field 'extractor.chanels'. Did you mean 'extractor.channels'"),
        ("extractor.channels: {choices: []}", "field 'extractor.channels': expected {low: L, high: H}"),
        ("extractor.channels: 5", "field 'extractor.channels': expected {low: L, high: H}"),
        ("extractor.channels: {low: 4, high: 2}", "expected low < high, and with log above 0, found 4 and 2"),
        ("extractor.dropout: {low: 0.0, high: 0.5, log: true}", "expected low < high, and with log above 0"),
        ("extractor.channels: {low: 0, high: 2}", "field 'extractor.channels': expected a whole number of at least 1"),
        ("extractor.channels: {choices: [4, many]}", "field 'extractor.channels': expected a whole number"),
        ("extractor.channels: {low: 1, high: 2, steps: 3}", "expected {low: L, high: H}"),
        ("extractor.channels: [", "expected YAML, found a garbled file"),
    ],
)
def test_errors_name_file_and_field(text: str, message: str, tmp_path: Path):
    with pytest.raises(InputError) as error:
        read(text, tmp_path)
    assert message in str(error.value)
    assert "space.yaml" in str(error.value)


def test_an_unknown_space_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"space 'architektur'.*Did you mean 'architecture'"):
        space.load("architektur", RECIPE)
