"""Image folders: a folder for each class, or Hugging Face's `metadata.jsonl` with a field for each label."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from agentlab.errors import InputError
from agentlab.labels.annotation import Annotation, Project
from agentlab.labels.formats.files import json_of, member, text_of

FILE = "metadata.jsonl"
NAME = "file_name"
UNSORTED = "unsorted"
"""The folder of images that are yet to be sorted into those of the classes."""
PNG = b"\x89PNG\r\n\x1a\n"


def read(path: Path) -> Iterator[Annotation]:
    """One annotation for each line of every `metadata.jsonl`; without one, for each PNG in a folder named as a class.

    Of images only the size that their headers declare is read.
    """
    if not path.is_dir():
        raise InputError(f"{path}: expected a folder of images, found {'a file' if path.exists() else 'nothing'}")
    tables = sorted(path.rglob(FILE))
    return _from_tables(tables) if tables else _from_folders(path)


def write(folder: Path, annotations: Sequence[Annotation], project: Project) -> Mapping[str, int]:
    """Writes `metadata.jsonl`, which holds everything; class folders hold the values of one label."""
    if project.folder_label is not None:
        return Counter(name for each in annotations for name in each.values if name != project.folder_label)
    with (folder / FILE).open("w", encoding="utf-8") as file:
        for annotation in annotations:
            line = {NAME: place(annotation, project), **annotation.values}
            file.write(json.dumps(line) + "\n")
    return Counter()


def place(annotation: Annotation, project: Project) -> str:
    """Where in the folder an image lies."""
    label = project.folder_label
    folder = "images" if label is None else annotation.values.get(label, UNSORTED)
    return f"{folder}/{annotation.image}.png"


def require_folder_names(classes: Sequence[str], label: str) -> None:
    """Raises `InputError` unless the classes can be the names of folders."""
    for name in classes:
        if name == UNSORTED or name.startswith(".") or PurePosixPath(name).parts != (name,) or "\\" in name:
            raise InputError(
                f"label {label!r}: class {name!r} cannot be the name of a folder; export without --label instead"
            )


def _from_tables(tables: Sequence[Path]) -> Iterator[Annotation]:
    for table in tables:
        for number, line in enumerate(text_of(table).split("\n"), start=1):
            if line.strip():
                yield _of_line(line, table, f"{table}: line {number}")


def _of_line(line: str, table: Path, where: str) -> Annotation:
    row = json_of(line, where)
    name = member(row, NAME, str, where)
    values = {label: value for label, value in row.items() if label != NAME and value is not None}
    size = None if _leaves(name) else _declared_size(table.parent / name)
    return Annotation(where, name, values, size=size)


def _from_folders(path: Path) -> Iterator[Annotation]:
    images = sorted(path.rglob("*.png"))
    if not images:
        raise InputError(f"{path}: expected {FILE}, or PNG images in folders named as classes, found neither")
    for image in images:
        name = image.parent.name
        if image.parent == path:
            raise InputError(f"{image}: expected the image in a folder named as its class, found it in none")
        if name != UNSORTED:
            yield Annotation(str(image), image.name, tags=[name], size=_declared_size(image))


def _leaves(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts


def _declared_size(image: Path) -> tuple[int, int] | None:
    """The width and height in the header of a PNG; `None` for anything else."""
    try:
        with image.open("rb") as file:
            header = file.read(24)
    except (OSError, ValueError):
        return None
    if len(header) < 24 or not header.startswith(PNG):
        return None
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])
