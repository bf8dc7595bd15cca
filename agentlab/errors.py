"""The errors a user can cause, each one line that says what was expected, what was found and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class AgentlabError(Exception):
    """An error whose message is meant for the user; the command line prints it without a traceback."""

    exit_code = 1


class InputError(AgentlabError, ValueError):
    """Bad input or usage: exit code 2."""

    exit_code = 2


class InterruptedWorkError(AgentlabError):
    """Long work was stopped by Ctrl-C or SIGTERM; the message says what is kept and how to go on: exit code 130."""

    exit_code = 130


class MissingExtraError(InputError):
    """A package of an optional extra is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: run  pip install 'agentlab[{extra}]'")


@contextmanager
def as_input_errors(field: str, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """Makes errors of a kind, over what a recipe's field says, bad input."""
    try:
        yield
    except InputError:
        raise
    except kind as error:
        raise InputError(f"{field}: {error}") from error


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the known word nearest to `word`, else the list of known words."""
    words = sorted(known)
    by_lower_case = {candidate.lower(): candidate for candidate in words}
    matches = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.5)
    if matches:
        return f" Did you mean {by_lower_case[matches[0]]!r}?"
    return f" Known: {', '.join(words)}." if words else ""
