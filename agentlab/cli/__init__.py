"""The command line: finds the command, runs it, and turns what went wrong into one line and an exit code.

Nothing heavy is imported here, so that `agentlab --help` answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.errors import AgentlabError, InputError, nearest

if TYPE_CHECKING:
    from agentlab.cli.result import Result

COMMANDS = {
    "run": "the whole pipeline: record, fit, train, evaluate, report",
    "record": "record episodes of an environment, played at random, by a trained run or by a person",
    "label": "add labels to a recording, or export frames for people to label",
    "fit": "fit and freeze a feature extractor on labelled recordings",
    "train": "train a head that chooses actions from a frozen extractor's features",
    "search": "run a recipe with other values again and again, and keep the best",
    "evaluate": "score a run on fixed seeds, with a random policy beside it",
    "replay": "look at a recording in a page or as a video, or verify that it still happens as recorded",
    "bench": "measure speed, memory and scores on this machine",
    "export": "write a run as one ONNX model, or a recording as HDF5",
    "inspect": "say what an artefact is and where it came from",
}

INTERRUPTED = 130
READER_GONE = 141
"""As a shell reports other commands whose output is no longer read, such as by `head`."""

ENVIRONMENT = {"OPENCV_LOG_LEVEL": "ERROR", "OMP_WAIT_POLICY": "passive", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
"""Set unless set already: OpenCV complains to nobody, torch's idle threads leave the cores to the game's, and pygame
does not greet on stdout."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0 done, 1 the thing checked does not hold, 2 bad input or usage, 130 interrupted.

    141 means that nobody read its output any more.
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    _set_up()
    try:
        with _termination_as_interrupt():
            code = _dispatch(args)
            sys.stdout.flush()
            return code
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return READER_GONE
        known = _explain(error)
        if known is None or "--debug" in args:
            raise
        message, code = known
        print(f"agentlab: {' '.join(message.split())}", file=sys.stderr)
        return code


def _set_up() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with contextlib.suppress(FileNotFoundError):  # a folder that is gone
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.append(here)  # so that module:Namespace/Name-v0 finds a module in the current folder
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115


def _reader_is_gone() -> bool:
    """Whether nobody reads the output any more, which from then on goes nowhere."""
    output = sys.stdout.fileno()
    pipe = select.poll()
    pipe.register(output, 0)
    is_gone = any(event & select.POLLERR for _, event in pipe.poll(0))
    if is_gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return is_gone


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(_help())
        return 0
    if args[0] == "--version":
        from agentlab import __version__

        print(f"agentlab {__version__}")
        return 0
    if args[0] not in COMMANDS:
        raise InputError(f"unknown command {args[0]!r}.{nearest(args[0], COMMANDS)}")
    command = importlib.import_module(f"agentlab.cli.{args[0]}")
    try:
        options = command.read(args[1:])
    except SystemExit as shown:  # the help
        return int(shown.code or 0)
    try:
        result: Result = command.execute(options, args[1:])
    except SystemExit as exit_:
        called = f"sys.exit({'' if exit_.code is None else repr(exit_.code)})"
        raise InputError(
            f"what ran (an environment, a policy) called {called}, where it may only end its episode"
        ) from exit_
    result.show(as_json=options.json)
    return result.exit_code


def _help() -> str:
    lines = [
        "usage: agentlab COMMAND ...",
        "",
        "Trains an agent to play a game from its screen, on an ordinary computer.",
        "",
        *(f"  {name:<10}{summary}" for name, summary in COMMANDS.items()),
        "",
        "agentlab COMMAND --help explains each in a screen. Start with: agentlab run catch",
    ]
    return "\n".join(lines)


def _explain(error: BaseException) -> tuple[str, int] | None:
    """The line and exit code for an error of the user's making; `None` for any other."""
    if isinstance(error, AgentlabError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what was finished is kept", INTERRUPTED
    if isinstance(error, OSError) and (error.filename or error.errno == errno.ENOSPC):
        return f"{error.filename or 'disk'}: {error.strerror}", InputError.exit_code
    gymnasium: Any = sys.modules.get("gymnasium")
    if gymnasium is not None and isinstance(error, gymnasium.error.Error):
        return str(error), InputError.exit_code
    return None


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Makes SIGTERM end a command as Ctrl-C does: cleanly, with what was reached saved."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
