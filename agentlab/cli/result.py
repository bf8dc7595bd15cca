"""What a command found, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """A command's result as JSON values, as a few lines of text, and its exit code."""

    values: Mapping[str, Any]
    text: str
    exit_code: int = 0

    def show(self, *, as_json: bool) -> None:
        """Prints the result on stdout."""
        print(json.dumps(self.values, indent=1) if as_json else self.text)
