"""`agentlab label`: labels for the frames of a recording, and frames for people to label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.errors import InputError
from agentlab.recipe import Count, Seed

if TYPE_CHECKING:
    from agentlab.labels.adding import Added
    from agentlab.recording import Recording

FileFormat = Literal["csv", "jsonl", "imagefolder", "coco", "label-studio", "cvat"]
SourceName = Literal["env", FileFormat, "extractor"]


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Adds labels to a recording, or exports frames for people to label.

    $ agentlab label rec --export label-studio --out frames --sample 200 --how diverse
    $ agentlab label rec --from label-studio project.json
    $ agentlab label rec --from extractor runs/mine
    $ agentlab label rec --from env

    `--from env` steps the episodes again and takes info["labels"]. Predictions of an extractor are kept apart.
    """

    recording: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="REC")]
    """Folder of the recording."""
    path: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="PATH")] = None
    """The file or folder of a label tool after `--from`, or a run after `--from extractor`."""
    source: Annotated[SourceName | None, tyro.conf.arg(name="from")] = None
    """Where labels come from."""
    export: FileFormat | None = None
    """Write frames as PNG with the labels they have, for this tool."""
    out: Path | None = None
    """Folder of the export."""
    sample: Count | None = None
    """Frames to export, of those that no person has labelled; none exports all frames."""
    how: Literal["uniform", "uncertain", "diverse"] = "uniform"
    """Which: spread evenly, those an extractor is least sure of, or those that look most different."""
    schema: Path | None = None
    """YAML file of the labels, for a recording without; else an import takes what it finds."""
    label: str | None = None
    """The label whose classes are folders or tags."""
    annotator: str | None = None
    """Who annotated, where the file does not say."""
    exported_as: str | None = None
    """The recording's name when its frames were exported."""
    skip_unmatched: bool = False
    """Leave out names that match no frame."""
    strict: bool = False
    """Refuse labels that differ from another source's."""
    force: bool = False
    """Replace an earlier export."""
    seed: Seed = 0
    """Draws the first frame of `--how diverse`."""
    device: str = "auto"
    """Where the extractor works."""


IMPORT = ("path", "schema", "annotator", "exported_as", "skip_unmatched", "strict")
EXPORT = ("out", "sample", "how", "schema", "force", "seed")
TAKES: dict[str, tuple[str, ...]] = {
    "--from env": ("strict",),
    "--from extractor": ("path", "device"),
    **{f"--from {name}": IMPORT for name in ("csv", "jsonl", "coco", "label-studio")},
    **{f"--from {name}": (*IMPORT, "label") for name in ("imagefolder", "cvat")},
    **{f"--export {name}": EXPORT for name in ("csv", "jsonl", "coco", "label-studio", "cvat")},
    "--export imagefolder": (*EXPORT, "label"),
}
"""Which options have to do with what is done; `how` does with a sample only, and `seed` with one that is drawn."""


def read(args: Sequence[str]) -> Options:
    options = parse(Options, _path_last(args), "label")
    if (options.source is None) == (options.export is None):
        found = "neither" if options.source is None else "both"
        raise InputError(f"label: expected --from SOURCE or --export FORMAT --out DIR, found {found}")
    what = f"--from {options.source}" if options.export is None else f"--export {options.export}"
    takes = set(TAKES[what])
    if options.sample is None:
        takes -= {"how"}
    if options.how != "diverse":
        takes -= {"seed"}
    for option in sorted({option for each in TAKES.values() for option in each}):
        flag = "PATH" if option == "path" else f"--{option.replace('_', '-')}"
        if option not in takes and getattr(options, option) != getattr(Options, option):
            raise InputError(f"label {what}: {flag} changes nothing here; see agentlab label --help")
        if option in takes and option in ("path", "out") and getattr(options, option) is None:
            raise InputError(f"label {what}: expected {flag}, found none; see agentlab label --help")
    return options


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.recording import Recording

    recording = Recording(options.recording)
    if options.export is not None:
        return _export(options, recording)
    doing = {"env": _label_from_env, "extractor": _predict}.get(options.source or "", _import)
    return doing(options, recording)


def _path_last(args: Sequence[str]) -> list[str]:
    """The arguments with the PATH that follows `--from SOURCE` after all others, so that REC is read first."""
    rest = list(args)
    for index, arg in enumerate(rest):
        at = index + (2 if arg == "--from" else 1)
        if arg.partition("=")[0] == "--from" and at < len(rest) and not rest[at].startswith("-"):
            return [*rest[:at], *rest[at + 1 :], rest[at]]
    return rest


def _label_from_env(options: Options, recording: Recording) -> Result:
    from agentlab.labels.from_env import label_from_env
    from agentlab.progress import by_steps, on_stderr

    with on_stderr().task("label", recording.total_steps, "steps") as task:
        added = label_from_env(recording, on_step=by_steps(task), strict=options.strict)
    return _added(options, added, {}, [])


def _predict(options: Options, recording: Recording) -> Result:
    from agentlab.extractor import FrozenExtractor
    from agentlab.labels.from_extractor import extractor_folder, predict_labels
    from agentlab.progress import on_stderr

    extractor = FrozenExtractor.load(extractor_folder(_given(options.path)), options.device)
    frames = predict_labels(recording, extractor, progress=on_stderr())
    values = {"recording": str(options.recording), "predicted": frames, "extractor": extractor.fingerprint}
    return Result(values, f"{options.recording}: labels of {frames:,} frames predicted, kept apart from its labels")


def _import(options: Options, recording: Recording) -> Result:
    from agentlab.labels.importing import Source, import_labels
    from agentlab.progress import on_stderr

    source = Source(
        str(options.source),
        _given(options.path),
        schema=_schema(options),
        folder_label=options.label,
        annotator=options.annotator,
        exported_as=options.exported_as,
        skip_unmatched=options.skip_unmatched,
    )
    found = import_labels(recording, source, strict=options.strict, progress=on_stderr())
    schema = None if found.inferred is None else found.inferred.to_dict()
    lines = [f"{name}: {_kind(label)}, taken from {options.path}" for name, label in (schema or {}).items()]
    if found.unmatched:
        lines.append(f"{len(found.unmatched):,} names matched no frame: {_first(found.unmatched)}")
    if found.left_out:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.left_out.items()))
        lines.append(f"left out, for they stand for no label: {counts}")
    more = {"unmatched": list(found.unmatched), "left_out": dict(found.left_out), "schema": schema}
    return _added(options, found.added, more, lines)


def _added(options: Options, added: Added, more: Mapping[str, Any], lines: Sequence[str]) -> Result:
    examples = [str(each) for each in added.disagreements[:5]]
    values = {
        "recording": str(options.recording),
        "frames": added.frames,
        "disagreements": len(added.disagreements),
        "examples": examples,
        **more,
    }
    text = [f"{options.recording}: {added.frames:,} frames labelled", *lines]
    if examples:
        text += [f"{len(added.disagreements):,} values differ from another source's, the last one wins:", *examples]
    return Result(values, "\n".join(text))


def _export(options: Options, recording: Recording) -> Result:
    from agentlab.labels.exporting import Request, export_frames, require_exportable
    from agentlab.labels.formats import FORMATS
    from agentlab.labels.sampling import all_frames, choose_frames
    from agentlab.progress import on_stderr

    out, format, progress = _given(options.out), str(options.export), on_stderr()
    request = Request(format, schema=_schema(options), folder_label=options.label)
    require_exportable(recording, request, out, force=options.force)
    request = replace(request, frames=all_frames(recording))
    if options.sample is not None:
        frames = choose_frames(recording, options.sample, options.how, seed=options.seed, progress=progress)
        request = replace(request, frames=frames, sampled={"how": options.how, "seed": options.seed})
    found = export_frames(recording, request, out, force=options.force, progress=progress)
    lines = [f"{out}: {found.frames:,} frames, {found.labelled:,} of them labelled"]
    if options.sample is not None and found.frames < options.sample:
        lines.append(f"no more than {found.frames:,} frames are not labelled by a person yet")
    if found.not_held:
        counts = ", ".join(f"{name} of {count:,} frames" for name, count in sorted(found.not_held.items()))
        lines.append(f"not in it, for {format} cannot hold them: {counts}")
    lines += [advice] if (advice := FORMATS[format].advice) else []
    values = {
        "out": str(out),
        "format": format,
        "frames": found.frames,
        "labelled": found.labelled,
        "not_held": dict(found.not_held),
    }
    return Result(values, "\n".join(lines))


def _schema(options: Options) -> Any:
    from agentlab.labels import LabelSchema

    return None if options.schema is None else LabelSchema.load(options.schema)


def _kind(label: Mapping[str, Any]) -> str:
    match label["kind"]:
        case "number":
            return f"a number from {label['low']:g} to {label['high']:g} {label['unit']}".rstrip()
        case "category":
            return f"one of {', '.join(label['classes'])}"
        case _:
            return "a flag"


def _first(names: Sequence[str], n: int = 10) -> str:
    return ", ".join(names[:n]) + (f" and {len(names) - n:,} more" if len(names) > n else "")


def _given(path: Path | None) -> Path:
    assert path is not None, "read() requires it"
    return path
