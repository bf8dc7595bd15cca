"""Artefacts on disk: folders with a `meta.json`, written whole or not at all, never overwritten by accident."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentlab.errors import InputError

META = "meta.json"
EXPORTED_FRAMES = "exported frames"
"""The kind, in its `meta.json`, of a folder of frames exported for annotation."""
MARKS = (META, "data/metadata.json")
"""What tells an artefact from any other folder: the second is a recording's, as Minari wants it."""


@contextmanager
def new_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yields a temporary folder beside `path` that takes its place, fsynced, when the block ends without an error.

    Raises `InputError` before anything is written when `path` may not be replaced or cannot be written to.
    """
    require_room(path, force=force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        for file in (temporary, *temporary.rglob("*")):
            _fsync(file)
        _take_place(temporary, path)
        _fsync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_room(path: Path, *, force: bool = False) -> None:
    """Raises `InputError` unless a new folder may stand at `path`: nothing is there, or an artefact and `force`."""
    require_absent(path, force=force)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: expected a folder to replace, found a file")
    if path.exists() and any(path.iterdir()) and not any((path / mark).exists() for mark in MARKS):
        raise InputError(f"{path}: expected an artefact of agentlab to replace, found a folder without {META}")


def require_absent(path: Path, *, force: bool = False) -> None:
    """Raises `InputError` when `path` exists and `force` is not given."""
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; choose another --out, or add --force to replace it")


def require_writable(path: Path) -> None:
    """Raises `InputError` unless files can be written in a folder at `path`, which may be yet to be made."""
    nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not nearest.is_dir():
        raise InputError(f"{path}: expected a folder, found a file at {nearest}; choose another --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{path}: {nearest} cannot be written in; choose another --out")


def require_new_file(path: Path, *, force: bool = False) -> None:
    """Raises `InputError` unless a file can be written at `path`: nothing is there, or a file and `force`."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: expected a file to write, found a folder or device; choose another name")
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; choose another name, or add --force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"{path}: its folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: its folder {path.parent} cannot be written in; choose another")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yields a temporary file beside `path` that takes its place, fsynced, when the block ends without an error.

    Raises `InputError` when it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            _fsync(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def write_file(path: Path, content: str | bytes) -> None:
    """Writes `path` atomically: temporary name, flush, fsync, rename."""
    with new_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` atomically as indented JSON."""
    write_file(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path, hint: str = "") -> dict[str, Any]:
    """The JSON object in `path`; `InputError` when it is missing (told with `hint`), unreadable or no object."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file" + (f"; {hint}" if hint else "")) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, found a truncated or garbled file ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def read_meta(folder: Path, kind: str, version: int, fields: Mapping[str, type] | None = None) -> dict[str, Any]:
    """The `meta.json` of the artefact in `folder`.

    Raises `InputError` unless it is of this kind and format version and has all `fields`, each of its type.
    """
    meta = read_json(folder / META, hint=f"expected the folder of a trained {kind}")
    if meta.get("kind") != kind:
        raise InputError(f"{folder / META}: field 'kind': expected {kind!r}, found {meta.get('kind')!r}")
    if meta.get("format_version") != version:
        raise InputError(
            f"{folder / META}: field 'format_version': this agentlab reads {version}, "
            f"found {meta.get('format_version')!r}"
        )
    for name, of_type in (fields or {}).items():
        if not isinstance(meta.get(name), of_type):
            raise InputError(
                f"{folder / META}: field {name!r}: expected a {of_type.__name__}, found {meta.get(name)!r}"
            )
    return meta


def require_unchanged(path: Path, digest: object) -> None:
    """Raises `InputError` unless the SHA-256 of the file `path` is `digest`, which was written down with it."""
    found = sha256(path)
    if found != digest:
        raise InputError(f"{path}: garbled: expected the SHA-256 {str(digest)[:12]}, found {found[:12]}; make it again")


IDENTITY = "identity.json"


def claim(checkpoint: Path, identity: Mapping[str, Any]) -> None:
    """Writes down in the folder `checkpoint` what it is of; `InputError` when it is one of something else."""
    file = checkpoint / IDENTITY
    wanted = json.loads(json.dumps(identity))
    if not file.exists():
        checkpoint.mkdir(parents=True, exist_ok=True)
        write_json(file, wanted)
        return
    found = read_json(file)
    for name in wanted:
        if found.get(name) != wanted[name]:
            raise InputError(
                f"{file}: field {name!r}: interrupted with {found.get(name)!r}, now {wanted[name]!r}; "
                "go on with equal options and inputs, or begin anew with --force"
            )


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _take_place(new: Path, path: Path) -> None:
    """Renames `new` to `path`; what was there is moved aside first and deleted last."""
    if not path.exists():
        new.rename(path)
        return
    old = new.with_name(f"{new.name}.old")
    path.rename(old)
    new.rename(path)
    shutil.rmtree(old)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
