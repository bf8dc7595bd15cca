"""The section on training strategies: what each did, and what the fit cost."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from agentlab.errors import InputError
from agentlab.report import plots
from agentlab.report.markup import Html, duration, join, number, table, tag
from agentlab.report.sections import absent, figure, section
from agentlab.report.source import RunFiles

SHOWN_CLUSTERS, SHOWN_FRAMES = 8, 4
SHOWN_SUSPECTS = 20
PARTS = ("random", "errors", "similar", "replayed")
"""Why a frame was chosen, in a fit that looks for hard ones."""
FEW = 0.05
"""The share of frames chosen as errors or for likeness to them that makes hardly a difference."""


def strategies(run: RunFiles) -> Html | None:
    """What the fit's strategies did, and what it cost; nothing for a run without a ledger."""
    if not run.ledger:
        return None
    used = run.ledger["strategies"]
    ledgers = [*run.ledger.get("earlier", []), run.ledger]
    fits = {f", refresh {number}" if number else "": ledger for number, ledger in enumerate(ledgers)}
    shown = {"hard-clusters": _hard_clusters, "mode-choice": _mode_choice}
    parts = [
        show(ledger["strategies"][name], which)
        for which, ledger in fits.items()
        for name, show in shown.items()
        if name in ledger["strategies"]
    ]
    if "fixnorm" in used:
        parts.append(_norms(run))
    said = f"Fitted with {', '.join(used)}." if used else "Fitted plainly, with no strategy."
    return section("What the fit cost", tag("p", said), _costs(fits), *parts, id_="strategies")


def _costs(fits: Mapping[str, Mapping[str, Any]]) -> Html:
    ledgers = fits.values()
    rows = [
        ["Samples forward", *(f"{ledger['samples_forward']:,}" for ledger in ledgers)],
        ["Samples backward", *(f"{ledger['samples_backward']:,}" for ledger in ledgers)],
        ["Cost in forward passes", *(f"{ledger['cost']:,}" for ledger in ledgers)],
        ["Time", *(duration(ledger["seconds"]) for ledger in ledgers)],
        ["Peak memory of the process", *(f"{ledger['peak_memory_bytes'] / 1e6:,.0f} MB" for ledger in ledgers)],
    ]
    said = "A sample costs 3 forward passes when trained on, 1 when looked at"
    titles = [f"Fit{which}" for which in fits] if len(fits) > 1 else [""]
    return table(["Ledger", *titles], rows, said, frozenset(range(1, len(fits) + 1)))


def _hard_clusters(entry: Mapping[str, Any], which: str) -> Html:
    rounds = entry["rounds"]
    series = {part: [(number, counts[part]) for number, counts in enumerate(rounds, 1)] for part in PARTS}
    last = ", ".join(f"{rounds[-1][part]:,} {part}" for part in PARTS)
    chosen = figure(
        plots.curve(series, x="rounds", y="frames", alt=f"Frames of each round; in the last {last}"),
        "Why frames were chosen: at random, read wrongly, similar to those, trained on before.",
    )
    clusters = [_cluster(number, cluster) for number, cluster in enumerate(entry["clusters"][:SHOWN_CLUSTERS], 1)]
    mined = sum(counts["errors"] + counts["similar"] for counts in rounds)
    share = mined / sum(counts[part] for counts in rounds for part in PARTS)
    no_help = f"They did not matter here: {share:.1%} of the frames were errors or similar. " if share < FEW else ""
    said = f"{no_help}{last} in the last round. Errors of the last round, by similarity:"
    return join(
        tag("h3", f"Hard clusters{which}"),
        chosen,
        tag("p", said),
        tag("div", *clusters, class_="grid"),
        _suspects(entry["probably_wrong_labels"], rounds[-1]["quarantined"]),
    )


def _cluster(number: int, places: Sequence[Mapping[str, Any]]) -> Html:
    """The frames nearest to the centre of a cluster of errors."""
    pictures = [_picture(place) for place in places[:SHOWN_FRAMES]]
    return tag("figure", *pictures, tag("figcaption", f"Cluster {number}"), class_="frames")


def _picture(place: Mapping[str, Any]) -> Html:
    import cv2

    from agentlab.recording import Recording

    title = f"episode {place['episode']}, step {place['step']}"
    try:
        frame = Recording(place["recording"])[place["episode"]].frame(place["step"])
    except (InputError, IndexError):
        return tag("span", f"{title}: no longer there", class_="absent")
    _, png = cv2.imencode(".png", frame if frame.ndim == 2 else frame[..., ::-1])
    return tag("img", src=f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}", alt=title, title=title)


def _suspects(places: Sequence[Mapping[str, Any]], n_suspects: int) -> Html:
    if not places:
        return tag("p", "No frame seems to be labelled wrongly.")
    rows = [[place["recording"], place["episode"], place["step"]] for place in places[:SHOWN_SUSPECTS]]
    return table(
        ["Recording", "Episode", "Step"],
        rows,
        f"Frames that are probably labelled wrongly, to be looked at: {n_suspects:,}",
    )


def _mode_choice(entry: Mapping[str, Any], which: str) -> Html:
    rows = []
    for comparison in entry["comparisons"]:
        if not comparison["trials"]:
            left_out = "left out: too short a fit to tell modes apart"
            rows.append([comparison["after"], f"{comparison['at_step']:,}", "-", "", "-", left_out])
        for name, trial in comparison["trials"].items():
            said = trial["failed"] or ("chosen" if name == comparison["after"] else "")
            rate = "-" if trial["interval"] is None else number(trial["rate"])
            interval = "" if trial["interval"] is None else " to ".join(map(number, trial["interval"]))
            row = [name, f"{comparison['at_step']:,}", rate, interval, f"{1e3 * trial['step_s']:.1f} ms", said]
            rows.append(row)
    skipped = [tag("p", f"{name}: skipped, for this machine lacks {lack}.") for name, lack in entry["skipped"].items()]
    columns = ["Mode", "At step", "Fall of the loss a second", "95% interval", "A step takes", ""]
    compared = table(columns, rows, "Modes compared", frozenset({1, 2, 3, 4}))
    said = f"At the end: {entry['mode']}."
    if entry["mode"] == entry["basic"]:
        said += " Choosing gained nothing here: it is the basic mode."
    return join(tag("h3", f"Mode choice{which}"), tag("p", said), compared, *skipped)


def _norms(run: RunFiles) -> Html:
    lines = [line for line in run.metrics if line.get("stage") == "fit"]
    names = sorted({name for line in lines for name in line if name.startswith("norm_")})
    series = {name: [(line["step"], line[name]) for line in lines if name in line] for name in names}
    if not series:
        return join(tag("h3", "Fixed norm"), absent("No norms were logged."))
    alt = "Norms of hidden layers: " + ", ".join(f"{name} {points[-1][1]:.3g}" for name, points in series.items())
    return join(
        tag("h3", "Fixed norm"),
        figure(plots.curve(series, x=run.fit_stages, y="norm", alt=alt), "Norms of the weights of hidden layers."),
    )
