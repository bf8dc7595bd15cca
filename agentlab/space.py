"""Search spaces: recipe fields with the values they may take, from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agentlab.errors import InputError, nearest
from agentlab.fields import flatten, from_plain, to_plain
from agentlab.recipe import Recipe

BUILT_IN = Path(__file__).parent / "spaces"


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`; whole if both are, drawn by its logarithm with `log`."""

    low: float
    high: float
    log: bool = False

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def extremes(self) -> tuple[Any, ...]:
        return self.low, self.high


@dataclass(frozen=True)
class OneOf:
    """One of several values."""

    choices: tuple[Any, ...]

    @property
    def extremes(self) -> tuple[Any, ...]:
        return self.choices


Space = Mapping[str, Between | OneOf]
"""What a search varies: dotted recipe fields and their values."""


def built_in() -> dict[str, Path]:
    """The spaces that ship with agentlab, by name."""
    return {file.stem: file for file in sorted(BUILT_IN.glob("*.yaml"))}


def load(name: str, recipe: Recipe) -> Space:
    """The space of a built-in name or in a YAML file, for a recipe.

    Raises `InputError` naming file and field for an unknown field, with the nearest one, and for values that the field
    does not take.
    """
    path = built_in().get(name, Path(name))
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        raise InputError(f"space {name!r}: expected a built-in space or a YAML file.{nearest(name, built_in())}")
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: expected YAML, found a garbled file ({' '.join(str(error).split())})") from error
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: expected fields of a recipe with their ranges, found {content!r}")
    known = dict(flatten(recipe))
    space: dict[str, Between | OneOf] = {}
    for field, spec in content.items():
        if field not in known:
            raise InputError(f"{path}: unknown field {field!r}.{nearest(str(field), known)}")
        space[field] = _values(spec, f"{path}: field {field!r}")
        for value in space[field].extremes:
            with_values(recipe, {field: value}, str(path))
    return space


def with_values(recipe: Recipe, values: Mapping[str, Any], source: str) -> Recipe:
    """The recipe with other values in some of its dotted fields, checked as if it were read from `source`."""
    plain = to_plain(recipe)
    for field, value in values.items():
        *groups, name = field.split(".")
        group = plain
        for part in groups:
            group = group[part]
        group[name] = value
    return from_plain(Recipe, plain, source)


def _values(spec: Any, where: str) -> Between | OneOf:
    expected = "expected {low: L, high: H}, perhaps with log: true, or {choices: [...]}"
    if isinstance(spec, Mapping) and set(spec) == {"choices"}:
        if isinstance(spec["choices"], list) and spec["choices"]:
            return OneOf(tuple(tuple(value) if isinstance(value, list) else value for value in spec["choices"]))
    elif isinstance(spec, Mapping) and {"low", "high"} <= set(spec) <= {"low", "high", "log"}:
        low, high, log = _bound(spec["low"]), _bound(spec["high"]), spec.get("log", False)
        if low is not None and high is not None and isinstance(log, bool):
            if not low < high or (log and low <= 0):
                raise InputError(f"{where}: expected low < high, and with log above 0, found {low} and {high}")
            return Between(low, high, log)
    raise InputError(f"{where}: {expected}, found {spec!r}")


def _bound(value: Any) -> float | None:
    """A number, whole or not; also from text, because YAML 1.1 reads `1e-3` as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
