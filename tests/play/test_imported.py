"""A function, a class or an object of one's own plays, and what is wrong with it is said in a line."""

from __future__ import annotations

import pytest

from agentlab.recording import Recording

CATCH = ["record", "agentlab/Catch-v0", "--episodes", "2", "--max-steps", "12", "--seed", "7"]


def actions(path):
    return [episode.actions.tolist() for episode in Recording(path)]


@pytest.mark.parametrize("name", ["by_brightness", "Counting", "counting"])
def test_it_plays(name, agentlab, tmp_path):
    assert agentlab(*CATCH, "--out", tmp_path / "r", "--policy", f"players:{name}").code == 0
    assert {episode.provenance["policy"] for episode in Recording(tmp_path / "r")} == {f"players:{name}"}
    if name == "by_brightness":
        expected = [[int(episode.frame(t).mean()) % 3 for t in range(12)] for episode in Recording(tmp_path / "r")]
    else:
        expected = [[(seed + 1 + t) % 3 for t in range(12)] for seed in (7, 8)]
    assert actions(tmp_path / "r") == expected
    assert agentlab("replay", tmp_path / "r", "--verify").code == 0


def test_it_is_told_the_info(agentlab, tmp_path):
    game = ["playing_games:Play/Chatty-v0", "--episodes", "1", "--out", tmp_path / "r"]
    assert agentlab("record", *game, "--policy", "players:by_info").code == 0
    (episode,) = Recording(tmp_path / "r")
    assert episode.actions.tolist() == [(t + 1) % 2 for t in range(episode.n_steps)]


def test_each_copy_has_a_player_of_its_own(agentlab, tmp_path):
    args = [*CATCH, "--episodes", "4", "--policy", "players:Counting"]
    assert agentlab(*args, "--out", tmp_path / "r", "--n-envs", "2").code == 0
    played = {episode.seed: episode.actions.tolist() for episode in Recording(tmp_path / "r")}
    assert played == {seed: [(seed + 1 + t) % 3 for t in range(12)] for seed in (7, 8, 9, 10)}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("no_such_module:act", "module 'no_such_module' cannot be imported"),
        ("players:by_brigthness", "players has no 'by_brigthness'. Did you mean 'by_brightness'?"),
        ("players:number", "expected a function of frame and info, or something with act(frame, info), found 3"),
        ("players:Idle", "expected a class with act(frame, info)"),
        ("players:Choosy", "cannot be made without arguments: TypeError"),
        ("players:", "players has no ''"),
    ],
)
def test_what_cannot_play_is_refused(policy, message, refused, tmp_path):
    line = refused(*CATCH, "--out", tmp_path / "r", "--policy", policy)
    assert f"policy {policy!r}: {message}" in line
    assert not (tmp_path / "r").exists()


def test_one_object_for_several_copies_is_refused(refused, tmp_path):
    line = refused(*CATCH, "--out", tmp_path / "r", "--policy", "players:counting", "--n-envs", "2")
    assert "expected a class, so that each of 2 copies has a player of its own, found one Counting" in line


@pytest.mark.parametrize("copies", [1, 2])
def test_an_action_that_there_is_not_names_episode_and_step(copies, agentlab, tmp_path):
    out = tmp_path / "r"
    assert agentlab(*CATCH, "--out", out, "--policy", "random").code == 0
    before = Recording(out).fingerprint()
    outcome = agentlab(*CATCH, "--out", out, "--policy", "players:always_17", "--append", "--n-envs", copies)
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].endswith(
        "episode with seed 9, step 0: action: expected one in Discrete(3), found 17"
    )
    assert Recording(out).fingerprint() == before


def test_a_failure_in_it_is_told_with_its_place(agentlab, tmp_path):
    outcome = agentlab(*CATCH, "--out", tmp_path / "r", "--policy", "players:fails")
    assert outcome.code == 2
    line = outcome.err.splitlines()[-1]
    assert "policy 'players:fails': KeyError in " in line
    assert "players.py, line " in line
    assert "Traceback" not in outcome.err
