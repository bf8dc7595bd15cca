"""The schema of labels: each label's name and kind, and the conversion of values to and from rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import yaml

from agentlab.errors import InputError, nearest

ABSENT = math.nan
"""An absent value in an encoded row."""


POINTS = "points"
"""The unit of scores."""

KEYS = {"number": ("low", "high", "unit", "tolerance"), "category": ("classes",), "flag": ()}
"""What the plain form of a label has beside its kind."""

NUMBERS = (int, float, np.integer, np.floating)
TRUTHS = (bool, np.bool_)

FLAG_TEXTS = {"true": True, "false": False, "1": True, "0": False}
"""How files that hold only text write flags."""


@dataclass(frozen=True)
class Number:
    """A quantity between `low` and `high`, in `unit`."""

    low: float
    high: float
    unit: str = ""
    tolerated: float | None = None
    """The `tolerance` as it was given."""

    @property
    def tolerance(self) -> float:
        """The largest error that does not count as one: as given, or else a hundredth of the range."""
        return (self.high - self.low) / 100 if self.tolerated is None else self.tolerated

    @property
    def counts_points(self) -> bool:
        """Whether it is a score."""
        return self.unit == POINTS

    def encode(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, NUMBERS):
            raise ValueError(f"expected a number, found {value!r}")
        if not self.low <= value <= self.high:
            raise ValueError(f"expected a number from {self.low:g} to {self.high:g}, found {value!r}")
        return float(value)

    def decode(self, code: float) -> float:
        return float(min(max(code, self.low), self.high))  # float32 rounds some bounds to beyond them

    def parse(self, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"expected a number, found {text!r}") from None

    def to_dict(self) -> dict[str, Any]:
        plain = {"kind": "number", "low": self.low, "high": self.high, "unit": self.unit}
        return plain if self.tolerated is None else {**plain, "tolerance": self.tolerated}


@dataclass(frozen=True)
class Category:
    """One of several named classes."""

    classes: tuple[str, ...]

    def encode(self, value: Any) -> float:
        if value not in self.classes:
            raise ValueError(f"expected one of the classes, found {value!r}.{nearest(str(value), self.classes)}")
        return float(self.classes.index(value))

    def decode(self, code: float) -> str:
        return self.classes[int(code)]

    def parse(self, text: str) -> str:
        return text

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "category", "classes": list(self.classes)}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def encode(self, value: Any) -> float:
        if not isinstance(value, TRUTHS) and value not in (0, 1):
            raise ValueError(f"expected true or false, found {value!r}")
        return float(value)

    def decode(self, code: float) -> bool:
        return bool(code)

    def parse(self, text: str) -> bool:
        if text.lower() not in FLAG_TEXTS:
            raise ValueError(f"expected true or false, found {text!r}")
        return FLAG_TEXTS[text.lower()]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "flag"}


Label: TypeAlias = Number | Category | Flag


class LabelSchema(Mapping[str, Label]):
    """The labels of a game by name, in a fixed order.

    An encoded row holds one float32 per label in that order: a number's value, a category's class index, a flag's 0 or
    1, and `ABSENT` (NaN) where a label has no value.
    """

    def __init__(self, labels: Mapping[str, Label]) -> None:
        self._labels = dict(labels)

    @classmethod
    def from_dict(cls, schema: Mapping[str, Any], where: str) -> LabelSchema:
        """The schema in its plain form, `{"ball_x": {"kind": "number", "low": 0, "high": 83}}`; `where` is its source.

        A number may have a `unit` and a `tolerance`, a category has `classes`, a flag nothing more.

        Raises `InputError` naming the label, what was expected and what was found.
        """
        if not isinstance(schema, Mapping) or not schema:
            raise InputError(f"{where}: label schema: expected a mapping with at least one label, found {schema!r}")
        for name in schema:
            if not isinstance(name, str):
                raise InputError(f"{where}: label {name!r}: expected a name that is text")
        return cls({name: _label(spec, f"{where}: label {name!r}") for name, spec in schema.items()})

    @classmethod
    def load(cls, path: Path) -> LabelSchema:
        """The schema in a YAML file, in its plain form; `InputError` when it is missing, no YAML or no schema."""
        try:
            return cls.from_dict(yaml.safe_load(path.read_bytes()), str(path))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        except (yaml.YAMLError, RecursionError) as error:
            raise InputError(f"{path}: expected YAML, found a truncated or garbled file") from error

    def to_dict(self) -> dict[str, Any]:
        return {name: label.to_dict() for name, label in self._labels.items()}

    def encode(self, values: Mapping[str, Any], where: str) -> npt.NDArray[np.float32]:
        """One row of codes for the values of one frame, in the order of the schema; missing or `None` is `ABSENT`.

        Raises `InputError` for a name outside the schema and a value outside its label; `where` names the frame.
        """
        return np.array(self.codes(values, where), dtype=np.float32)

    def codes(self, values: Mapping[str, Any], where: str) -> list[float]:
        """The same as a list."""
        if not values.keys() <= self._labels.keys():
            self._require_known(values, where)
        codes = []
        for name, label in self._labels.items():
            value = values.get(name)
            try:
                codes.append(ABSENT if value is None else label.encode(value))
            except ValueError as error:
                raise InputError(f"{where}: label {name!r}: {error}") from error
        return codes

    def plain(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The values as numbers, class names, booleans and `None`; text is read as its label's kind.

        Raises what `encode` raises.
        """
        self._require_known(values, where)
        return {
            name: None if value is None else self[name].decode(self._code(name, value, where))
            for name, value in values.items()
        }

    def decode(self, row: npt.NDArray[np.float32]) -> dict[str, Any]:
        """The values of one encoded row, `None` where absent."""
        return {
            name: None if math.isnan(code) else label.decode(code)
            for (name, label), code in zip(self._labels.items(), row.tolist(), strict=True)
        }

    def _require_known(self, values: Mapping[str, Any], where: str) -> None:
        for name in values:
            if name not in self._labels:
                raise InputError(f"{where}: label {name!r} is not in the schema.{nearest(name, self._labels)}")

    def _code(self, name: str, value: Any, where: str) -> float:
        label = self._labels[name]
        try:
            return label.encode(label.parse(value) if isinstance(value, str) else value)
        except ValueError as error:
            raise InputError(f"{where}: label {name!r}: {error}") from error

    def __getitem__(self, name: str) -> Label:
        return self._labels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelSchema) and list(self.items()) == list(other.items())

    def __hash__(self) -> int:
        return hash(tuple(self._labels.items()))

    def __repr__(self) -> str:
        return f"LabelSchema({self._labels!r})"


def _label(spec: Any, where: str) -> Label:
    if not isinstance(spec, Mapping):
        raise InputError(f"{where}: expected a mapping with the key 'kind', found {spec!r}")
    kind = spec.get("kind")
    if kind not in KEYS:
        raise InputError(f"{where}: unknown kind {kind!r}.{nearest(str(kind), KEYS)}")
    for key in spec:
        if key not in ("kind", *KEYS[kind]):
            raise InputError(f"{where}: a {kind} has no key {key!r}.{nearest(str(key), KEYS[kind])}")
    if kind == "number":
        return _number(spec, where)
    return _category(spec, where) if kind == "category" else Flag()


def _number(spec: Mapping[str, Any], where: str) -> Number:
    try:
        low, high = float(spec["low"]), float(spec["high"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: expected numbers 'low' and 'high', found {dict(spec)!r}") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"{where}: expected finite low < high, found low {low:g}, high {high:g}")
    tolerated = spec.get("tolerance")
    is_number = isinstance(tolerated, int | float) and not isinstance(tolerated, bool)
    if tolerated is not None and not (is_number and 0 < tolerated < math.inf):
        raise InputError(f"{where}: expected a 'tolerance' above 0, found {tolerated!r}")
    return Number(low, high, str(spec.get("unit", "")), None if tolerated is None else float(tolerated))


def _category(spec: Mapping[str, Any], where: str) -> Category:
    classes = spec.get("classes")
    if not isinstance(classes, list | tuple) or len(classes) < 2 or len(set(map(str, classes))) != len(classes):
        raise InputError(f"{where}: expected 'classes', a list of at least two distinct names, found {classes!r}")
    return Category(tuple(str(name) for name in classes))
