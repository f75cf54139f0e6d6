"""MLflow knows everything, once, after its server was killed and replies were lost."""

import pytest

from benchmarks.mirror.faults import told_through


@pytest.mark.parametrize("kills", [0, pytest.param(5, marks=pytest.mark.slow)])
def test_a_server_that_is_killed_and_replies_that_are_lost_change_nothing(kills: int):
    trials = 1_280 + 3_200 * kills
    told = told_through(kills, trials)
    assert told.kills == kills
    assert told.lost > 0
    assert told.trials == trials
    assert told.differences == ()
