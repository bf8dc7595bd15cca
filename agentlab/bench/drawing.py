"""Plots of measurements as SVG files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.artefact import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY = "#2a78d6", "#8a8a85"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "agentlab",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "savefig.facecolor": "white",
}


@contextmanager
def drawn(path: Path, width_in: float, height_in: float) -> Iterator[Axes]:
    """Axes of a figure that is written to `path` as SVG when the block ends."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written = io.StringIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        canvas = FigureCanvasSVG(figure)
        yield figure.add_subplot()
        canvas.print_figure(written, format="svg", metadata={"Date": None})
    write_file(path, written.getvalue())


def bars(values: Mapping[str, float], label: str, path: Path) -> None:
    """A horizontal bar a value, the highest on top; lengths are in proportion."""
    names = sorted(values, key=lambda name: values[name])
    with drawn(path, 7, 0.8 + 0.36 * len(names)) as axes:
        colours = [GREY if name.startswith("SB3") or name == "raw game" else BLUE for name in names]
        axes.barh(names, [values[name] for name in names], color=colours)
        for row, name in enumerate(names):
            axes.annotate(f" {values[name]:,.0f}", (values[name], row), va="center")
        axes.set_xlabel(label)
        axes.margins(x=0.12)
