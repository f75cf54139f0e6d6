"""The suite of engine speed: what it prints, and that its stand-ins are what they claim to be."""

import time
from pathlib import Path

import pytest

from benchmarks.engine.by_hand import train
from benchmarks.engine.goals import Line
from benchmarks.engine.processes import TreeCpu
from benchmarks.engine.sizes import Size
from benchmarks.engine.sweeps import nothing_words, staged


@pytest.mark.parametrize(("result", "verdict"), [(5000.0, "met"), (4999.0, "MISSED")])
def test_a_result_on_the_wrong_side_of_its_goal_is_missed(result: float, verdict: str):
    assert str(Line("committed", result, "trials/s", at_least=5000.0)).endswith(verdict)
    mirrored = str(Line("cost", 2.0 - result, at_most=-4998.0))
    assert mirrored.endswith(verdict)


def test_a_line_without_a_goal_judges_nothing():
    assert "met" not in str(Line("told", 1.0)).lower()


def test_cpu_of_the_tree_counts_what_this_process_burns():
    cpu, until = TreeCpu(), time.process_time() + 0.2
    while time.process_time() < until:
        pass
    assert 0.15 < cpu.seconds() < 10.0


def test_the_net_written_by_hand_learns_what_ours_learns():
    found = train(Size("tiny", 6, 64, 64), seed=3)
    assert found.measures["test_accuracy"] > 0.75  # guessing gives 0.5
    assert found.cpu_s > 0.0


def test_a_learner_that_does_nothing_is_committed_and_counted(tmp_path: Path):
    with staged(nothing_words(200, 10), tmp_path, mirrored=False) as stage:
        stage.answer()
        members = stage.ledger.members()
    assert [member.state for member in members] == ["done"] * 200
