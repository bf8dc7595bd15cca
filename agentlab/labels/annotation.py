"""What a label tool says of one image, whatever its format, and what it is asked to label."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentlab.labels.schema import LabelSchema

UNKNOWN = "unknown"
"""What tools write for the visibility of a thing of which the annotator cannot tell whether it is there."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around a thing of a category: left, top, width and height, in pixels.

    `where` names the file and the row that say so.
    """

    where: str
    category: str
    x: float
    y: float
    width: float
    height: float
    in_percent: bool = field(default=False, kw_only=True)
    """The four numbers are percentages of the image's size instead."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one row or image of a file says; `where` names both."""

    where: str
    image: str
    """The name of the image, as `names.frame_name` gives it, with or without folders and ending."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Values by label, text where the format has nothing else; `None` says that there is none."""
    boxes: Sequence[Box] = ()
    tags: Sequence[str] = ()
    """Classes and flags that are named without saying of which label they are."""
    answered: Collection[str] = ()
    """The categories of which the absence of a box says that no such thing is visible."""
    size: tuple[int, int] | None = None
    """The declared width and height of the image."""
    annotator: str | None = None
    created_at: str | None = None
    source: str | None = None
    """Where the values come from, if not from the tool."""
    left_out: Sequence[str] = ()
    """Kinds of annotation on the image that stand for no label."""


@dataclass(frozen=True)
class Project:
    """What annotators are asked about each image."""

    schema: LabelSchema
    categories: Sequence[str]
    """The things that they draw boxes around."""
    others: Sequence[str]
    """The labels that they give in other ways."""
    size: tuple[int, int]
    """Width and height of the images."""
    folder_label: str | None = None
    """The category label whose classes are folders, where the format has class folders."""
