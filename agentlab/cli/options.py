"""From a command's dataclass to its parser, its help and errors of one line."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from agentlab import recipe as recipes
from agentlab.errors import InputError, nearest
from agentlab.fields import describe, fits, flatten, from_text, out_of_range
from agentlab.recipe import Recipe, Strategy

Options = TypeVar("Options", bound="Common")


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command takes, its `--seed` apart."""

    json: bool = False
    """Print the result as JSON on stdout."""
    debug: bool = False
    """Show the traceback of an error."""


def parse(
    options: type[Options],
    args: Sequence[str],
    command: str,
    default: Options | None = None,
    *,
    compact: bool = False,
) -> Options:
    """The options of `agentlab COMMAND` from its arguments; values not given come from `default`, if there is one.

    The help of a `compact` command shows a line an option, with `-H` all. Raises `InputError` of one line for unknown
    options and values that do not fit; `--help` exits with 0.
    """
    prog = f"agentlab {command}"
    boxed = io.StringIO()
    try:
        with contextlib.redirect_stderr(boxed):
            parsed, unknown = tyro.cli(
                options,
                prog=prog,
                args=args,
                return_unknown_args=True,
                compact_help=compact,
                config=(tyro.conf.FlagCreatePairsOff,),
                registry=_values(),
                default=tyro.MISSING_NONPROP if default is None else default,
            )
    except SystemExit as exit_:
        if not exit_.code:
            raise
        raise InputError(f"{_one_line(boxed.getvalue())}; see {prog} --help") from None
    if unknown:
        raise InputError(_unknown(unknown[0], parsed, prog))
    for name, value, hint in out_of_range(parsed):
        raise InputError(f"{_flag(name)}: expected {describe(hint)}, found {value!r}; see {prog} --help")
    return cast(Options, parsed)


def strategies_named(args: Sequence[str]) -> list[str]:
    """The arguments with what `--with NAME,NAME` names at the end, as `--strategies NAME NAME`.

    Raises `InputError` where it names none or an unknown one, with the nearest.
    """
    plain: list[str] = []
    names: list[str] = []
    rest = iter(args)
    for arg in rest:
        flag, equals, value = arg.partition("=")
        if flag == "--with":
            names += _known_strategies(value if equals else next(rest, ""))
        else:
            plain.append(arg)
    return [*plain, "--strategies", *names] if names else plain


def recipe_named(command: str, options: type[Common], args: Sequence[str]) -> tuple[str, Recipe, list[str]]:
    """The recipe that stands first among the arguments of a command, its name, and the other arguments.

    `--help` in its place shows the help of `options`; raises `InputError` where there is none.
    """
    if not args or args[0].startswith("-"):
        if {"-h", "--help"} & set(args):
            parse(options, ["--help"], f"{command} RECIPE")
        known = ", ".join(recipes.built_in())
        found = repr(args[0]) if args else "nothing"
        raise InputError(f"agentlab {command}: expected a RECIPE first ({known}, or a YAML file), found {found}")
    name, *rest = strategies_named(args)
    return name, recipes.load(recipes.find(name)), rest


def _known_strategies(text: str) -> list[str]:
    known, names = get_args(Strategy), text.split(",")
    for name in names:
        if not name or name.startswith("-"):
            raise InputError(f"--with: expected strategies, such as hard-clusters,fixnorm, found {text!r}")
        if name not in known:
            raise InputError(f"--with: unknown strategy {name!r}.{nearest(name, known)}")
    return names


def _flag(name: str) -> str:
    """The option of a field; those of a dataclass held as `recipe` or `config` stand at the top."""
    return "--" + name.removeprefix("recipe.").removeprefix("config.").replace("_", "-")


def _switch(flag: str) -> str:
    """What switches off what is on."""
    group, dot, name = flag.rpartition(".")
    return f"{group}{dot}no-{name}" if dot else f"--no-{flag.removeprefix('--')}"


def _unknown(token: str, parsed: Common, prog: str) -> str:
    if not token.startswith("-"):
        return f"{prog}: unexpected argument {token!r}; see {prog} --help"
    known = [_switch(_flag(name)) if value is True else _flag(name) for name, value in flatten(parsed)]
    close = nearest(token.partition("=")[0], known)
    return f"{prog}: unknown option {token!r}.{close if 'Did you mean' in close else f' See {prog} --help'}"


def _one_line(boxed: str) -> str:
    """The first section of the framed message that tyro prints on stderr."""
    rows = [line.strip("│|╭╮╰╯+").rstrip() for line in boxed.splitlines()[1:-1]]
    if rows and rows[0].strip().startswith("Missing from"):
        return "missing " + ", ".join(row.strip() for row in rows if re.match(r" {5}\S", row) and "--help" not in row)
    sections = itertools.groupby(rows, key=lambda row: bool(row.strip()) and set(row.strip()) <= {"─", "-"})
    first = next((" ".join(map(str.strip, section)) for is_rule, section in sections if not is_rule), boxed)
    return re.sub(r"^Error parsing (\S+): ", r"\1: ", first).rstrip(".")


def _values() -> ConstructorRegistry:
    """How tyro reads values: as a recipe's YAML is read, with its words for what was expected and found."""
    registry = ConstructorRegistry()
    registry.primitive_rule(_value_rule)
    return registry


def _value_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    if info.type not in (int, float) and info.type_origin not in (Literal, Union, UnionType, tuple, Mapping):
        return None
    if Path in get_args(info.type):
        return None
    many = info.type_origin in (tuple, Mapping)
    return PrimitiveConstructorSpec(
        nargs="*" if many else 1,
        metavar=_metavar(info.type),
        instance_from_str=lambda texts: _read(texts, info.type),
        is_instance=lambda value: fits(value, info.type),
        str_from_instance=lambda value: (
            _texts(value) if many else [str(value).lower() if value is None else str(value)]
        ),
    )


def _read(texts: list[str], hint: Any) -> Any:
    if get_origin(hint) is Mapping:
        return from_text(dict(_pair(text) for text in texts), hint)
    return from_text(texts if get_origin(hint) is tuple else texts[0], hint)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"expected NAME=VALUE, found {text!r}")
    return name, value


def _texts(value: Mapping[str, Any] | Sequence[Any]) -> list[str]:
    return [f"{name}={item}" for name, item in value.items()] if isinstance(value, Mapping) else [str(x) for x in value]


def _metavar(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _metavar(arguments[0])
    if origin is Mapping:
        return "NAME=VALUE..."
    if origin is tuple:
        return f"{_metavar(arguments[0])}..."
    if origin is Literal:
        return "{" + ",".join(str(choice) for choice in arguments) + "}"
    if arguments:
        return "|".join("none" if choice is type(None) else _metavar(choice) for choice in arguments)
    return str(hint.__name__).upper()
