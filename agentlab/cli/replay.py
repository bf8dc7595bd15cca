"""`agentlab replay`: looking at a recording, and whether it still happens as recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.errors import InputError
from agentlab.recipe import Count, Seed

if TYPE_CHECKING:
    from agentlab.recording import Recording, Verification
    from agentlab.report import Onlooker


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Shows a recording, or makes its environment anew and steps it with the recorded seeds and actions.

    $ agentlab replay recordings/pong --html pong.html --run runs/pong
    $ agentlab replay recordings/pong --video pong.mp4 --episodes 0,3,7-9
    $ agentlab replay recordings/pong --verify

    --verify compares every frame, reward, end and label: exit code 0, or 1 with what has changed since, the usual
    cause, and the first difference, which --html shows with both frames side by side. Labels that label --from
    extractor predicted are on the page where neither --run nor --extractor is named. Without any of these the episodes
    are listed.
    """

    recording: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="REC")]
    """Folder of the recording."""
    verify: bool = False
    """Step again and compare."""
    workers: Count = 1
    """Processes that step episodes again, each in an environment of its own."""
    html: Path | None = None
    """Page to write, one self-contained file that plays the episodes in a browser."""
    run: Path | None = None
    """Folder of a trained run whose values and predicted labels the page shows too."""
    extractor: Path | None = None
    """Folder of an extractor alone, whose predicted labels the page shows too."""
    video: Path | None = None
    """MP4 to write, at the game's own speed."""
    episodes: str | None = None
    """Only these, such as 0,3,7-9."""
    force: bool = False
    """Replace existing files."""
    seed: Seed = 0
    """Unused: a replay takes the recorded seeds."""


def read(args: Sequence[str]) -> Options:
    options = parse(Options, args, "replay")
    writes = options.html or options.video
    for option, needed, changes_nothing in (
        ("--workers", "--verify", options.workers != 1 and not options.verify),
        ("--run", "--html", options.run and not options.html),
        ("--extractor", "--html", options.extractor and not options.html),
        ("--force", "--html or --video", options.force and not writes),
        ("--episodes", "--html or --video", options.episodes is not None and options.verify and not writes),
    ):
        if changes_nothing:
            raise InputError(f"replay: {option} changes nothing without {needed}")
    if options.run and options.extractor:
        raise InputError("replay: expected --run or --extractor, found both; a run has its extractor")
    if options.html and options.html == options.video:
        raise InputError(f"replay: --html and --video: expected two files, found {options.html} twice")
    return options


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.recording import Recording

    recording = Recording(options.recording)
    recording.require_episodes()
    episodes = _chosen(options.episodes, recording)
    _require_outputs(options)
    onlooker = _onlooker(options, recording)
    found = _verified(recording, options.workers) if options.verify else None
    values: dict[str, Any] = {"recording": str(recording.path)}
    lines = []
    if found is not None:
        values |= _values(found)
        lines.append(_text(recording, found))
    if options.html:
        values["html"] = _page(options.html, recording, episodes, onlooker, found)
        lines += _said_of_page(values["html"])
    if options.video:
        values["video"] = _video(options.video, recording, episodes)
        lines.append("{file}: {frames:,} frames, {frames_per_s:g} a second, {bytes:,} bytes".format(**values["video"]))
    if not lines:
        return _listed(recording, episodes)
    return Result(values, "\n".join(lines), exit_code=1 if found and found.difference else 0)


def _chosen(text: str | None, recording: Recording) -> list[int]:
    """The numbers in `0,3,7-9`, all where there is no text; `InputError` for what is none and for what is not there."""
    if text is None:
        return list(range(len(recording)))
    chosen: set[int] = set()
    for part in text.split(","):
        first, dash, last = (end.strip() for end in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise InputError(f"--episodes: expected numbers and ranges such as 0,3,7-9, found {text!r}")
        if int(last or first) >= len(recording):
            raise InputError(
                f"--episodes: expected 0 to {len(recording) - 1}, the episodes of {recording.path}, found {part}"
            )
        chosen |= set(range(int(first), int(last or first) + 1))
    return sorted(chosen)


def _require_outputs(options: Options) -> None:
    """Raises `InputError` for a file that cannot be written, and without the package that writes videos."""
    from agentlab.artefact import require_new_file

    for file in filter(None, (options.html, options.video)):
        require_new_file(file, force=options.force)
    if options.video:
        from agentlab.report.video import require_video_encoder

        require_video_encoder()


def _onlooker(options: Options, recording: Recording) -> Onlooker | None:
    folder = options.run or options.extractor
    if folder is None:
        return None
    from agentlab.report import Onlooker

    make = Onlooker.of_run if options.run else Onlooker.of_extractor
    return make(folder, recording)


def _page(
    file: Path, recording: Recording, episodes: list[int], onlooker: Onlooker | None, found: Verification | None
) -> dict[str, Any]:
    from agentlab.progress import on_stderr
    from agentlab.report import write_recording_page

    write = partial(write_recording_page, recording, file, episodes, verification=found, progress=on_stderr())
    if onlooker is None:
        return write()
    from agentlab import device as devices

    with devices.computing(threads=0):
        return write(onlooker=onlooker)


def _said_of_page(page: dict[str, Any]) -> list[str]:
    from agentlab.report.markup import counted

    held = ", ".join(counted(page[f"{noun}s"], noun) for noun in ("episode", "frame", "byte"))
    lines = [f"{page['file']}: {held}"]
    for episode, frames in page["damaged_frames"].items():
        more = f" and {len(frames) - 10} more" if len(frames) > 10 else ""
        shown = ", ".join(map(str, frames[:10]))
        lines.append(f"episode {episode}: damaged frames, black on the page: {shown}{more}")
    return lines


def _video(file: Path, recording: Recording, episodes: list[int]) -> dict[str, Any]:
    from agentlab.progress import on_stderr
    from agentlab.report import write_video

    return write_video(recording, file, episodes, progress=on_stderr())


def _listed(recording: Recording, indices: list[int]) -> Result:
    episodes = [
        {"episode": e.index, "seed": e.seed, "steps": e.n_steps, "return": float(e.rewards.sum())}
        for e in (recording[index] for index in indices)
    ]
    lines = [f"episode {e['episode']}: seed {e['seed']}, {e['steps']} steps, return {e['return']:g}" for e in episodes]
    return Result({"recording": str(recording.path), "env": recording.env_id, "episodes": episodes}, "\n".join(lines))


def _verified(recording: Recording, workers: int) -> Verification:
    from agentlab.progress import by_steps, on_stderr
    from agentlab.recording import verify

    with on_stderr().task("verify", recording.total_steps, "steps") as task:
        return verify(recording, workers=workers, on_step=by_steps(task))


def _values(found: Verification) -> dict[str, Any]:
    difference = found.difference
    plain = (
        {}
        if difference is None
        else {field.name: getattr(difference, field.name) for field in dataclasses.fields(difference)}
    )
    told = {
        name: value if isinstance(value, int | None) else str(value)
        for name, value in plain.items()
        if "frame" not in name
    }
    return {
        "holds": difference is None,
        "episodes": found.episodes,
        "steps": found.steps,
        "seconds": round(found.seconds, 3),
        "difference": told or None,
        "changed_setup": found.changed_setup,
    }


def _text(recording: Recording, found: Verification) -> str:
    if found.difference is None:
        pace = found.steps / max(found.seconds, 1e-9)
        return f"{recording.path}: {found.episodes} episodes, {found.steps:,} steps equal ({pace:,.0f} steps/s)"
    return "\n".join([*found.changed_setup, f"{recording.path}: differs at {found.difference}"])
