"""Policies to be imported in tests, as users write theirs."""

from __future__ import annotations


def by_brightness(frame, info):  # noqa: ARG001
    return int(frame.mean()) % 3


def by_info(frame, info):  # noqa: ARG001
    return int(info["labels"]["even"])


def always_17(frame, info):  # noqa: ARG001
    return 17


def fails(frame, info):  # noqa: ARG001
    raise KeyError("what I know")


class Counting:
    """Takes the actions in turn; each episode begins where its seed says."""

    def reset(self, seed):
        self.t = seed

    def act(self, frame, info):  # noqa: ARG002
        self.t += 1
        return self.t % 3


class Choosy:
    def __init__(self, taste):
        self.taste = taste

    def act(self, frame, info):  # noqa: ARG002
        return self.taste


class Idle:
    """Cannot act."""


counting = Counting()
number = 3
