"""One self-contained HTML page for a recording, to play any of its episodes; written as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.artefact import new_file
from agentlab.progress import NoProgress, Progress
from agentlab.report.comparison import Comparison, comparison, frame_to_look_at
from agentlab.report.document import document
from agentlab.report.markup import Html, counted, definitions, join, number, table, tag
from agentlab.report.player import PLAYER_SCRIPTS, PLAYER_STYLE, PlayerData, ending, player_elements
from agentlab.report.sections import section
from agentlab.report.thoughts import Nobody, Reminder

if TYPE_CHECKING:
    from agentlab.recording import Episode, Recording, Verification


def write_recording_page(
    recording: Recording,
    file: Path,
    episodes: Sequence[int] | None = None,
    *,
    onlooker: Nobody | None = None,
    verification: Verification | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes a page of the episodes of these numbers, or all, to `file`, and says what it holds.

    It shows what the `onlooker` makes of each frame, else the stored predictions; with a `verification` the recorded
    frames beside those stepped again, the episode that differs among them. Damaged frames are black and said to be.
    Raises `InputError` for unreadable files, and when the page cannot be written.
    """
    shown = list(range(len(recording)) if episodes is None else episodes)
    if verification and verification.difference:
        shown = sorted({*shown, verification.difference.episode})
    n_frames = sum(recording[index].n_frames for index in shown)
    onlooker = onlooker or Reminder(recording)
    before, after = _document(recording, shown, onlooker, verification)
    comparing: AbstractContextManager[Comparison | None] = nullcontext()
    if verification:
        comparing = comparison(recording, verification)
    with comparing as compared, new_file(file) as temporary, temporary.open("w", encoding="utf-8") as page:
        data = PlayerData(recording, shown, onlooker, compared)
        page.write(before)
        with (progress or NoProgress()).task("page", n_frames, "frames") as task:
            page.writelines(f"{element}\n" for element in data.elements(task.advance))
        page.write(after)
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "episodes": len(shown),
        "frames": n_frames,
        "damaged_frames": data.damaged,
    }


def _document(
    recording: Recording, shown: Sequence[int], onlooker: Nobody, found: Verification | None
) -> tuple[Html, Html]:
    name = recording.path.resolve().name
    held = [f"{counted(len(recording), 'episode')}, {counted(recording.total_steps, 'step')}"]
    if len(shown) < len(recording):
        held.append(f"{len(shown)} of the episodes are on this page")
    if onlooker.name:
        held.append(f"{onlooker.gives} are those of {onlooker.name}")
    return document(
        title=f"{recording.env_id} · agentlab recording {name}",
        header=join(tag("h1", recording.env_id), tag("p", f"agentlab recording {name}: {'; '.join(held)}")),
        main=join(_verdict(found), player_elements(_list(recording, shown, found)), _origin(recording)),
        styles=(PLAYER_STYLE, "recording.css"),
        scripts=PLAYER_SCRIPTS,
    )


def _verdict(found: Verification | None) -> Html | None:
    """What stepping again found."""
    if found is None:
        return None
    if found.difference is None:
        compared = f"{counted(found.episodes, 'episode')}, {counted(found.steps, 'step')}"
        said = f"Stepped again: {compared}, all equal to the recording."
        return tag("p", said, id="verdict", class_="equal")
    said = f"Stepped again: differs from the recording, first in {found.difference}."
    frame = frame_to_look_at(found.difference)
    link = tag("a", f"Look at frame {frame}", href=f"#ep={found.difference.episode}&f={frame}")
    changed = tag("ul", *(tag("li", line) for line in found.changed_setup))
    return tag(
        "div",
        tag("p", said, " ", None if frame is None else link),
        changed if found.changed_setup else None,
        id="verdict",
        class_="differs",
    )


def _list(recording: Recording, shown: Sequence[int], found: Verification | None) -> Html | None:
    if len(recording) == 1:
        return None
    head = ["Episode", "Seed", "Steps", "Return", "End", "Played by"]
    rows = [_row(recording[index]) for index in shown]
    if found is not None:
        head.insert(1, "Stepped again")
        rows = [[row[0], _compared(index, found), *row[1:]] for index, row in zip(shown, rows, strict=True)]
    numeric = frozenset(head.index(name) for name in ("Seed", "Steps", "Return"))
    return tag("div", table(head, rows, "Episodes", numeric), id="episodes")


def _row(episode: Episode) -> list[Any]:
    played_by = str(episode.provenance.get("policy", "–"))
    return [
        tag("a", episode.index, href=f"#ep={episode.index}&f=0"),
        f"{episode.seed:,}",
        f"{episode.n_steps:,}",
        number(float(episode.rewards.sum())),
        ending(episode),
        tag("span", played_by, title=played_by),
    ]


def _compared(index: int, found: Verification) -> str:
    if found.difference is None or index < found.difference.episode:
        return "equal"
    return "differs" if index == found.difference.episode else "not compared"


def _origin(recording: Recording) -> Html:
    """When and by what the recording was made."""
    made = recording.provenance
    known = {
        "Recorded at": made.get("created_at"),
        "Command": made.get("command"),
        "Environment arguments": ", ".join(f"{name}={value}" for name, value in recording.env_kwargs.items()),
        "Versions": ", ".join(f"{name} {version}" for name, version in made.get("versions", {}).items()),
        "Speed": f"{recording.steps_per_second:g} steps a second",
    }
    facts = definitions([(name, value) for name, value in known.items() if value])
    return section("Where it came from", facts, id_="provenance")
