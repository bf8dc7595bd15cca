"""Recipes: strict, typed, and the same after a round through YAML."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agentlab import recipe as recipes
from agentlab.errors import InputError
from agentlab.fields import from_plain, out_of_range, to_plain
from agentlab.recipe import ExtractorConfig, HeadConfig, Recipe


def read(text: str, folder: Path) -> Recipe:
    file = folder / "recipe.yaml"
    file.write_text(text)
    return recipes.load(file)


@pytest.mark.parametrize("name", recipes.built_in())
def test_built_in_recipes_load_and_are_in_range(name: str):
    recipe = recipes.load(recipes.find(name))
    assert recipe.env
    assert list(out_of_range(recipe)) == []


def test_a_recipe_survives_yaml(tmp_path: Path):
    recipe = Recipe(
        env="ALE/Pong-v5",
        env_kwargs={"repeat_action_probability": 0.0, "mode": 1, "full_action_space": False, "difficulty": None},
        recordings=("a", "b"),
        extractor=ExtractorConfig(learning_rate=1e-5),
    )
    recipes.save(recipe, tmp_path / "r.yaml")
    assert recipes.load(tmp_path / "r.yaml") == recipe


@given(
    seed=st.integers(0, 989_999_999),
    learning_rate=st.floats(1e-12, 1e3),
    text=st.text(max_size=20),
    kwargs=st.dictionaries(
        st.text(min_size=1, max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    ),
)
def test_any_recipe_survives_yaml(seed: int, learning_rate: float, text: str, kwargs: dict[str, object]):
    recipe = Recipe(env=text, env_kwargs=kwargs, seed=seed, extractor=ExtractorConfig(learning_rate=learning_rate))  # type: ignore[arg-type]
    plain = yaml.safe_load(yaml.safe_dump(to_plain(recipe)))
    assert from_plain(Recipe, plain, "x") == recipe


def test_exponents_without_a_point_are_numbers(tmp_path: Path):
    assert read("env: a\nextractor: {learning_rate: 1e-4}", tmp_path).extractor.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping of fields, found None"),
        ("- env", "expected a mapping of fields, found ['env']"),
        ("seed: 1", "field 'env': expected text, found nothing"),
        ("env: 3", "field 'env': expected text, found 3"),
        ("env: a\nhaed: {}", "unknown field 'haed'. Did you mean 'head'?"),
        ("env: a\nhead: {total_step: 1}", "unknown field 'head.total_step'. Did you mean 'head.total_steps'?"),
        ("env: a\nhead: 5", "field 'head': expected a mapping of fields, found 5"),
        (
            "env: a\nhead: {total_steps: lots}",
            "field 'head.total_steps': expected a whole number of at least 1, found 'lots'",
        ),
        (
            "env: a\nhead: {total_steps: 1.5}",
            "field 'head.total_steps': expected a whole number of at least 1, found 1.5",
        ),
        (
            "env: a\nhead: {total_steps: true}",
            "field 'head.total_steps': expected a whole number of at least 1, found True",
        ),
        ("env: a\nhead: {total_steps: 0}", "field 'head.total_steps': expected a whole number of at least 1, found 0"),
        (
            "env: a\nhead: {dqn: {gamma: 1.0}}",
            "field 'head.dqn.gamma': expected a number of at least 0 and below 1, found 1.0",
        ),
        (
            "env: a\nextractor: {learning_rate: .nan}",
            "field 'extractor.learning_rate': expected a number above 0, found nan",
        ),
        (
            "env: a\nhead: {algorithm: dqm}",
            "field 'head.algorithm': expected 'dqn' or 'ppo', found 'dqm'. Did you mean 'dqn'?",
        ),
        (
            "env: a\nextractor: {holdout: 1}",
            "field 'extractor.holdout': expected a number above 0 and below 1, found 1",
        ),
        ("env: a\nrecordings: rec", "field 'recordings': expected a list, each item text, found 'rec'"),
        (
            "env: a\nrecord: {max_steps: x}",
            "expected a whole number of at least 1 and at most 32767 or nothing, found 'x'",
        ),
        ("env: a\nenv_kwargs: {a: [1]}", "field 'env_kwargs': expected a mapping of names to values, found {'a': [1]}"),
        ("env: a\nseed: -1", "field 'seed': expected a whole number of at least 0 and at most 989999999, found -1"),
        ("env: [", "expected YAML, found a garbled file"),
        ("env: !!python/object/apply:os.system [ls]", "expected YAML, found a garbled file"),
    ],
)
def test_a_bad_recipe_is_named_by_file_and_field(text: str, message: str, tmp_path: Path):
    with pytest.raises(InputError) as caught:
        read(text, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "recipe.yaml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(InputError, match=r"recipe 'pnog': .* Did you mean 'pong'?"):
        recipes.find("pnog")


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read \(No such file or directory\)"):
        recipes.load(recipes.find(str(tmp_path / "none.yaml")))


def test_another_environment_drops_the_recordings_of_the_recipe():
    base = Recipe(env="ALE/Pong-v5", recordings=("mine",))
    other = dataclasses.replace(base, env="ALE/Seaquest-v5")
    assert recipes.resolve(base, base) == base
    assert recipes.resolve(other, base).recordings == ()
    named = dataclasses.replace(other, recordings=("seaquest",))
    assert recipes.resolve(named, base).recordings == ("seaquest",)


def test_samples_that_are_not_installed_are_recorded_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    base = Recipe(env="ALE/Pong-v5", recordings=("samples:pong",))
    monkeypatch.setattr(recipes, "SAMPLES", tmp_path)
    assert recipes.resolve(base, base).recordings == ()
    (tmp_path / "pong").mkdir()
    assert recipes.resolve(base, base).recordings == ("samples:pong",)
    assert recipes.recording_path("samples:pong") == tmp_path / "pong"
    assert recipes.recording_path("rec/mine") == Path("rec/mine")


def test_the_first_difference_is_named():
    began = Recipe(env="a", head=HeadConfig(total_steps=10))
    now = Recipe(env="a", head=HeadConfig(total_steps=20))
    assert recipes.first_difference(began, began) is None
    assert recipes.first_difference(now, began) == ("head.total_steps", 20, 10)


def test_what_another_environment_is_made_with_stays_within_its_family():
    base = Recipe(env="ALE/Pong-v5", env_kwargs={"repeat_action_probability": 0.0})
    for env, kept in (("ALE/Seaquest-v5", True), ("agentlab/Catch-v0", False), ("CarRacing-v3", False)):
        resolved = recipes.resolve(replace(base, env=env), base)
        assert resolved.env_kwargs == (base.env_kwargs if kept else {})
    named = replace(base, env="agentlab/Catch-v0", env_kwargs={"size": 9})
    assert recipes.resolve(named, base).env_kwargs == {"size": 9}
