"""What is known about a frame: the schema of labels and where labels come from."""

from agentlab.labels.schema import ABSENT, Category, Flag, Label, LabelSchema, Number

__all__ = ["ABSENT", "Category", "Flag", "Label", "LabelSchema", "Number"]
