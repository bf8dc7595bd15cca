"""Reads the files of label tools: what is missing, no text, truncated or of the wrong kind is told in one line."""

from __future__ import annotations

import json
import math
import reprlib
from pathlib import Path
from typing import Any

from agentlab.errors import InputError

MOST_BYTES = 2**30
"""Of a file, which is read into memory; /dev/zero has more."""
MOST_SHOWN = 120
"""Characters of a value in a message."""
ZIP = b"PK\x03\x04"
WORDS = {str: "text", int: "a whole number", float: "a finite number", list: "a list", dict: "an object"}


def file_in(path: Path, name: str) -> Path:
    """`path` itself, or the file `name` in it where it is a folder."""
    return path / name if path.is_dir() else path


def bytes_of(path: Path) -> bytes:
    """The content of a file; `InputError` when it cannot be read, is too large or an archive."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: expected at most {MOST_BYTES:,} bytes, found more; import it in parts")
    if content.startswith(ZIP):
        raise InputError(f"{path}: expected an annotation file, found a zip archive; unpack it and name the file in it")
    return content


def text_of(path: Path) -> str:
    """The content of a text file in UTF-8."""
    try:
        return bytes_of(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text in UTF-8, found other bytes at position {error.start:,}") from error


def json_of(text: str, where: str) -> Any:
    """The value of a JSON text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: expected JSON, found a truncated or garbled text ({error})") from error


def member(row: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """The member `name` of a JSON object; `InputError` unless it is there and of the kind."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected an object, found {shown(row)}")
    value = row.get(name)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(WORDS[each] for each in kinds)
        raise InputError(f"{where}, field {name!r}: expected {expected}, found {shown(value)}")
    return value


def finite(value: Any, where: str) -> float:
    """A finite number, also from text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: expected a finite number, found {shown(value)}")
    return number


def size_of(row: Any, where: str) -> tuple[int, int] | None:
    """The width and height that an image declares; `None` where it declares none."""
    if row.get("width") is None and row.get("height") is None:
        return None
    width, height = (finite(row.get(name), f"{where}, field {name!r}") for name in ("width", "height"))
    return int(width), int(height)


def shown(value: Any) -> str:
    """A value as a message shows it, long and deep ones shortened."""
    text = reprlib.repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
