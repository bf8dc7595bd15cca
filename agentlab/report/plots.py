"""Plots as inline SVG whose text and lines follow the colours of the page, light or dark."""

from __future__ import annotations

import html
import io
import itertools
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agentlab.report.markup import Html, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, RULE, FIRST, SECOND, THIRD = "#010101", "#020202", "#030303", "#040404", "#050505"
"""Stand-ins that become the page's colours once the SVG is written."""

SERIES = (FIRST, SECOND, THIRD, INK)

_PAGE_COLOURS = {
    INK: "currentColor",
    RULE: "var(--rule)",
    FIRST: "var(--series-1)",
    SECOND: "var(--series-2)",
    THIRD: "var(--series-3)",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "agentlab",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}

Points = Sequence[tuple[float, float]]


def curve(
    series: Mapping[str, Points],
    *,
    x: str,
    y: str,
    alt: str,
    levels: Mapping[str, float] | None = None,
    log: bool = False,
) -> Html:
    """Lines over a common x; `levels` are horizontal lines to compare with."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    with _axes(3.6, 2.9) as (axes, written):
        for colour, (name, points) in zip(itertools.cycle(SERIES), series.items(), strict=False):
            axes.plot(
                *np.asarray(points, dtype=float).T,
                color=colour,
                label=name.replace("_", " "),
                marker="o" if len(points) < 3 else None,
            )
        for name, level in (levels or {}).items():
            axes.axhline(level, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(name, (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=9)
        axes.set(xlabel=x, ylabel=y, yscale="log" if log else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(_thousands)
        if log:
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter("{x:g}")
        if len(series) > 1:
            axes.legend(fontsize=9)
    return _themed(written, alt)


def points(pairs: Points, *, x: str, y: str, alt: str) -> Html:
    """A dot for each pair; x by its logarithm where it spans more than a decade."""
    at, heights = np.asarray(pairs, dtype=float).T
    with _axes(3.1, 2.9) as (axes, written):
        axes.plot(at, heights, "o", markersize=5, color=FIRST, alpha=0.7, markeredgewidth=0)
        spans_decades = at.min() > 0 and at.max() > 10 * at.min()
        axes.set(xlabel=x, ylabel=y, xscale="log" if spans_decades else "linear")
    return _themed(written, alt)


def scatter(true: npt.ArrayLike, predicted: npt.ArrayLike, *, unit: str, alt: str) -> Html:
    """Predicted over true values with the line of a perfect prediction; the points are one small picture."""
    x, y = np.asarray(true, dtype=float), np.asarray(predicted, dtype=float)
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    if high - low <= 1e-3 * abs(high):  # a label that never changes
        low, high = low - 1, high + 1
    unit = f" ({unit})" if unit else ""
    with _axes(3.1, 2.9) as (axes, written):
        axes.plot([low, high], [low, high], color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(x, y, ".", markersize=4.5, alpha=0.6, color="#3987e5", markeredgewidth=0, rasterized=True)
        axes.set(xlabel=f"true{unit}", ylabel=f"predicted{unit}")
        axes.locator_params(nbins=4)
    return _themed(written, alt)


def returns_strip(
    returns: Sequence[float], interval: tuple[float, float], marks: dict[str, float], *, alt: str
) -> Html:
    """One dot an episode, the interval as a bar below, and named marks (random, human) to compare with."""
    x = np.asarray(returns, dtype=float)
    height = _stacked(x)
    with _axes(5.0, 1.5) as (axes, written):
        axes.plot(x, 0.35 + 0.65 * height, "o", markersize=5, color=FIRST, alpha=0.55, markeredgewidth=0)
        axes.plot(interval, (0.1, 0.1), color=FIRST, linewidth=5, solid_capstyle="butt")
        for name, value in marks.items():
            axes.axvline(value, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(name, (value, 1.12), ha="center", va="bottom", fontsize=10, annotation_clip=False)
        axes.set(ylim=(0, 1.1), xlabel="return of an episode")
        axes.margins(x=0.06)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
    return _themed(written, alt)


def _thousands(value: float, _: Any) -> str:
    """300k for 300,000."""
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _stacked(x: npt.NDArray[np.float64], bins: int = 90) -> npt.NDArray[np.float64]:
    """Heights from 0 to 1 that keep dots of nearly equal x apart."""
    width = (x.max() - x.min()) / bins or 1.0
    column = np.round((x - x.min()) / width)
    rank = np.array([np.sum(column[:i] == column[i]) for i in range(len(x))], dtype=np.float64)
    heights: npt.NDArray[np.float64] = rank / max(float(rank.max()), 4.0)
    return heights


@contextmanager
def _axes(width_in: float, height_in: float) -> Iterator[tuple[Axes, io.StringIO]]:
    """Axes in the page's style; the figure is written as SVG when the block ends."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written = io.StringIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        canvas = FigureCanvasSVG(figure)
        yield figure.add_subplot(), written
        canvas.print_figure(written, format="svg", dpi=144, metadata={"Date": None})


def _themed(written: io.StringIO, alt: str) -> Html:
    """The SVG alone, scaling with the page, in its colours, with ids of its own."""
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    for stand_in, colour in _PAGE_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    prefix = f"p{zlib.crc32(alt.encode()):08x}-"
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", svg)
    svg = re.sub(r'<svg ([^>]*?)\bwidth="([\d.]+)pt" height="[\d.]+pt"', r'<svg \1style="max-width:\2pt"', svg, count=1)
    labelled = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt)}" ', 1)
    return tag("div", Html(labelled), class_="plot")
