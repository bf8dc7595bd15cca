"""`agentlab export`: a run as one model, or a recording as one file, for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.errors import InputError
from agentlab.recipe import Seed


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Writes extractor and head of a run as one ONNX model from frames to actions, checked against PyTorch; or a
    recording as a Minari dataset of the format hdf5, for readers that open the HDF5 file themselves, such as TorchRL.

    $ agentlab export runs/pong --onnx pong.onnx
    $ agentlab export recordings/pong --minari-hdf5 pong-hdf5

    Minari itself reads a recording as it is: minari.MinariDataset("recordings/pong/data").
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN|REC")]
    """Folder of the run or of the recording."""
    onnx: Path | None = None
    """File to write, of a run."""
    minari_hdf5: Path | None = None
    """Folder to write, of a recording."""
    force: bool = False
    """Replace what is there."""
    seed: Seed = 0
    """Seed of the play on whose frames the model is checked."""


def read(args: Sequence[str]) -> Options:
    options = parse(Options, args, "export")
    if (options.onnx is None) == (options.minari_hdf5 is None):
        found = "neither" if options.onnx is None else "both"
        raise InputError(f"agentlab export: expected --onnx FILE or --minari-hdf5 DIR, found {found}")
    if options.minari_hdf5 is not None and options.seed != Options.seed:
        raise InputError("agentlab export: --seed changes nothing without --onnx")
    return options


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    if options.onnx is not None:
        return _onnx(options, options.onnx)
    assert options.minari_hdf5 is not None
    return _hdf5(options, options.minari_hdf5)


def _hdf5(options: Options, out: Path) -> Result:
    from agentlab.progress import by_steps, on_stderr
    from agentlab.recording import Recording, to_minari_hdf5

    recording = Recording(options.source)
    n_episodes, n_steps = len(recording), recording.total_steps
    with on_stderr().task("export", n_steps, "steps") as task:
        to_minari_hdf5(recording, out, force=options.force, on_step=by_steps(task))
    values = {"recording": str(options.source), "out": str(out), "episodes": n_episodes, "steps": n_steps}
    return Result(values, f"{out}: {n_episodes} episodes, {n_steps:,} steps in data/main_data.hdf5")


def _onnx(options: Options, onnx: Path) -> Result:
    from agentlab.export import export_onnx

    values = export_onnx(options.source, onnx, seed=options.seed, force=options.force)
    return Result(
        values,
        f"{onnx}: differs from PyTorch by at most {values['max_difference']:.2g} on {values['frames_checked']} "
        f"states, equal actions on {values['action_agreement']:.0%}",
    )
