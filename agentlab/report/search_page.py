"""One self-contained HTML page for a search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentlab.artefact import read_json, write_file
from agentlab.report import plots
from agentlab.report.document import document
from agentlab.report.markup import Html, duration, join, table, tag
from agentlab.report.sections import figure, section

SEARCH_FILE = "search.html"


def write_search_report(folder: Path) -> Path:
    """Writes `search.html` into the folder of a search, and gives its path."""
    found = read_json(folder / "search.json")
    title = f"agentlab search {folder.resolve().name}"
    page = folder / SEARCH_FILE
    header = join(tag("h1", title))
    main = join(_best(found), _progress(found), _values(found), _trials(found))
    write_file(page, "".join(document(title=title, header=header, main=main)))
    return page


def _best(found: Mapping[str, Any]) -> Html:
    best = found["best"]
    rows = [[field, _brief(value)] for field, value in best["values"].items()]
    said = f"Trial {best['number']} scored {best['score']:.4f}; {best['folder']} holds it."
    patience = found["patience"]
    spent = ""
    if patience is not None:
        spent = f" Patience drawn: {patience['patience']}; rounds: {patience['rounds_done']} of {patience['rounds']}."
        spent += " It saved none." if patience["rounds_done"] >= patience["rounds"] else ""
    return section("Best", tag("p", said + spent), table(["Field", "Value"], rows, "Its values"), id_="best")


def _progress(found: Mapping[str, Any]) -> Html:
    scored = _scored(found)
    best_so_far = [
        (number, max(score for _, score in scored[: index + 1])) for index, (number, score) in enumerate(scored)
    ]
    alt = f"Scores of {len(scored)} trials, the best {found['best']['score']:.4f}"
    picture = plots.curve({"score": scored, "best so far": best_so_far}, x="trial", y="score", alt=alt)
    return section("Progress", figure(picture, "The score of each trial, and the best until then."), id_="progress")


def _values(found: Mapping[str, Any]) -> Html:
    """A plot for each field that is a number."""
    fields = found["best"]["values"]
    figures = []
    for field, value in fields.items():
        if _is_number(value):
            tried = [(trial["values"][field], trial["score"]) for trial in found["trials"]]
            points = sorted((at, score) for at, score in tried if _is_number(at) and score is not None)
            figures.append(figure(plots.points(points, x=field, y="score", alt=f"Scores over {field}"), field))
    return section("Values", tag("div", *figures, class_="grid"), id_="values")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _trials(found: Mapping[str, Any]) -> Html:
    rows = [
        [
            trial["number"],
            ", ".join(f"{field} {_brief(value)}" for field, value in trial["values"].items()),
            f"{trial['budget']:.0%}",
            trial["error"] or f"{trial['score']:.4f}",
            "" if trial["seconds"] is None else duration(trial["seconds"]),
        ]
        for trial in found["trials"]
    ]
    return section("Trials", table(["Trial", "Values", "Budget", "Score", "Time"], rows, "All trials"), id_="trials")


def _scored(found: Mapping[str, Any]) -> list[tuple[float, float]]:
    return [(trial["number"], trial["score"]) for trial in found["trials"] if trial["score"] is not None]


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
