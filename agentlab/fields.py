"""Strict conversion between typed dataclasses and the plain values of YAML, JSON and the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from agentlab.errors import InputError, nearest

Config = TypeVar("Config")

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@dataclass(frozen=True)
class Range:
    """The values a number may take, as the metadata of its type: `Annotated[int, Range(1)]`."""

    low: float = -math.inf
    high: float = math.inf
    above_low: bool = False
    below_high: bool = False

    def holds(self, number: float) -> bool:
        above = number > self.low if self.above_low else number >= self.low
        below = number < self.high if self.below_high else number <= self.high
        return above and below

    def __str__(self) -> str:
        words = []
        if self.low > -math.inf:
            words.append(f"{'above' if self.above_low else 'of at least'} {self.low:.10g}")
        if self.high < math.inf:
            words.append(f"{'below' if self.below_high else 'at most'} {self.high:.10g}")
        return " and ".join(words)


def from_plain(config: type[Config], plain: Any, source: str, path: str = "") -> Config:
    """The dataclass `config` with the values of the mapping `plain`, checked field by field.

    Raises `InputError` naming `source`, the dotted field, what was expected and what was found.
    """
    if not isinstance(plain, Mapping):
        where = f"{source}: field {path!r}" if path else source
        raise InputError(f"{where}: expected a mapping of fields, found {plain!r}")
    hints = get_type_hints(config, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    known = [_dotted(path, name) for name in fields]
    for name in plain:
        if name not in fields:
            raise InputError(
                f"{source}: unknown field {_dotted(path, str(name))!r}.{nearest(_dotted(path, str(name)), known)}"
            )
    for name, field in fields.items():
        if name not in plain and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(
                f"{source}: field {_dotted(path, name)!r}: expected {describe(hints[name])}, found nothing"
            )
    return config(**{name: convert(value, hints[name], source, _dotted(path, name)) for name, value in plain.items()})


def to_plain(config: Any) -> dict[str, Any]:
    """The values of a dataclass as plain mappings, lists and scalars."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def flatten(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a dataclass as its dotted name and value, nested ones in place of what holds them."""
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), _dotted(path, field.name)
        if dataclasses.is_dataclass(value):
            yield from flatten(value, name)
        else:
            yield name, value


def out_of_range(config: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every field of a dataclass whose value its `Range` forbids: dotted name, value and type."""
    hints = get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value, name, hint = getattr(config, field.name), _dotted(path, field.name), hints[field.name]
        if dataclasses.is_dataclass(value):
            yield from out_of_range(value, name)
        elif _has_range(hint) and not fits(value, hint):
            yield name, value, hint


def convert(value: Any, hint: Any, source: str, path: str) -> Any:
    """`value` as the type `hint` says; `InputError` naming `source` and the dotted field `path` when it is not one."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value, source, path)
    try:
        return _convert(value, hint)
    except ValueError as error:
        close = _nearest_choice(value, hint)
        raise InputError(f"{source}: field {path!r}: expected {describe(hint)}, found {value!r}{close}") from error


def from_text(text: Any, hint: Any) -> Any:
    """The text of a command-line option, a list of them or a mapping to them, as the type `hint` says.

    Raises `ValueError` with what was expected and found.
    """
    try:
        return _convert(_read_texts(text, hint), hint)
    except ValueError:
        raise ValueError(f"expected {describe(hint)}, found {text!r}{_nearest_choice(text, hint)}") from None


def fits(value: Any, hint: Any) -> bool:
    """Whether `value` is of the type `hint`."""
    try:
        return bool(_convert(value, hint) == value)
    except ValueError:
        return False


def describe(hint: Any) -> str:
    """The type `hint` in words: `a whole number of at least 1`, `'dqn' or 'ppo'`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " ".join([describe(arguments[0]), *(str(note) for note in arguments[1:] if isinstance(note, Range))])
    if origin is Literal:
        return " or ".join(repr(choice) for choice in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if choice is type(None) else describe(choice) for choice in arguments)
    if origin is tuple:
        return f"a list, each item {describe(arguments[0])}"
    if origin in (dict, Mapping):
        return "a mapping of names to values"
    if dataclasses.is_dataclass(hint):
        return "a mapping of fields"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def _convert(value: Any, hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _within(_convert(value, arguments[0]), arguments[1:])
    if origin is Literal:
        return _require(value in arguments, value)
    if origin in (Union, types.UnionType):
        return _first(value, arguments)
    if origin is tuple:
        _require(isinstance(value, list | tuple), value)
        return tuple(_convert(item, arguments[0]) for item in value)
    if origin in (dict, Mapping):
        _require(isinstance(value, Mapping) and all(isinstance(key, str) for key in value), value)
        return {key: _convert(item, arguments[1]) for key, item in value.items()}
    if hint is float:
        return _number(value)
    exact = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    return _require(exact, value)


def _read_texts(text: Any, hint: Any) -> Any:
    if isinstance(text, list):
        return [_read_texts(item, get_args(hint)[0]) for item in text]
    if isinstance(text, dict):
        return {name: _read_texts(item, get_args(hint)[1]) for name, item in text.items()}
    if text.lower() == "none":
        return None
    with contextlib.suppress(yaml.YAMLError):
        if fits(plain := yaml.safe_load(text), hint):
            return plain
    return text


def _number(value: Any) -> float:
    """A finite float; also from text, because YAML 1.1 reads `1e-3` as text."""
    _require(isinstance(value, int | float | str) and not isinstance(value, bool), value)
    number = float(value)
    _require(math.isfinite(number), value)
    return number


def _first(value: Any, hints: tuple[Any, ...]) -> Any:
    """`value` under the first of the types that takes it, exact types before those that convert."""
    for hint in sorted(hints, key=lambda hint: type(value) is not hint):
        try:
            return _convert(value, hint)
        except ValueError:
            continue
    raise ValueError(value)


def _has_range(hint: Any) -> bool:
    return isinstance(hint, Range) or any(_has_range(part) for part in get_args(hint))


def _within(value: Any, notes: tuple[Any, ...]) -> Any:
    for note in notes:
        if isinstance(note, Range):
            _require(note.holds(value), value)
    return value


def _require(holds: bool, value: Any) -> Any:
    if not holds:
        raise ValueError(value)
    return value


def _nearest_choice(value: Any, hint: Any) -> str:
    """`. Did you mean 'dqn'?` for text that is nearly one of the choices."""
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    close = nearest(value, choices) if isinstance(value, str) else ""
    return f".{close}" if "Did you mean" in close else ""


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_plain(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
