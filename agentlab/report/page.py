"""One self-contained HTML page for a run: no network, no server, pictures and scripts inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agentlab.artefact import write_file
from agentlab.report import sections, strategies
from agentlab.report.document import document
from agentlab.report.markup import Html, join, tag
from agentlab.report.player import PLAYER_SCRIPTS, PLAYER_STYLE
from agentlab.report.source import RunFiles, read_run

REPORT_FILE = "report.html"


def write_run_report(run: Path) -> Path:
    """Writes `report.html` into the folder of a run, finished or interrupted, and gives its path.

    Parts that the run has not reached are said to be absent, unreadable files are listed. Raises `InputError` when
    `run` is no run's folder or cannot be written to.
    """
    page = run / REPORT_FILE
    write_file(page, run_page(read_run(run)))
    return page


def run_page(run: RunFiles) -> str:
    """The page of a run as HTML."""
    shown = (
        sections.problems,
        sections.headline,
        sections.playback,
        sections.learning,
        sections.labels,
        strategies.strategies,
        sections.timings,
        sections.recipe,
        sections.provenance,
    )
    parts = document(
        title=f"{run.env_id} · agentlab run {run.path.resolve().name}",
        header=join(tag("h1", run.env_id), tag("p", f"agentlab run {run.path.resolve().name}")),
        main=join(*(_shown(part, run) for part in shown)),
        styles=(PLAYER_STYLE,),
        scripts=PLAYER_SCRIPTS,
    )
    return "".join(parts)


def _shown(part: Callable[[RunFiles], Html | None], run: RunFiles) -> Html | None:
    """A section, or the reason why files that are JSON, but not as agentlab writes it, do not make one."""
    try:
        return part(run)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        name = part.__name__
        return sections.section(name.capitalize(), sections.absent(f"Cannot be shown: {error!r}"), id_=name)
