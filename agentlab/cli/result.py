"""What a command found, for people and for machines."""

from __future__ import annotations

import json
import os
import sys
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
        """Prints the result on stdout; a reader that has gone, such as `head`, is no error."""
        try:
            print(json.dumps(self.values, indent=1) if as_json else self.text, flush=True)
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes stdout once more at its end
