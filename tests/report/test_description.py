"""What stands above a sweep's runs in MLflow."""

from dataclasses import replace

from orchestrator.report import description
from orchestrator.tracking.names import TEXT_LIMIT
from tests.report.builders import a_small_answer, an_answer, an_empty_answer


def test_it_has_the_question_the_thresholds_and_the_law():
    found = an_answer()
    text = description(found)
    first, standing = text.split("\n\n")[:2]
    assert first == f"**{found.question}**"
    assert standing.startswith("finished, stopped by max_trials: ")
    assert standing.endswith("gaps. Success: `test_accuracy > 0.95`.")
    assert "#### " in text, "arms are told apart"
    assert "| 20 | 2 | 162 | 155 to 169 | found | 80 | 190 |" in text
    assert "| d | k | n* | interval | status | trials | theory |" in text
    assert "above range" in text
    assert "The data prefer a power law with exponent 1.92 in d" in text
    assert len(text) < TEXT_LIMIT


def test_tables_are_tables_whatever_the_names_hold():
    small = a_small_answer()
    arms = (replace(small.arms[0], label="a | b\nc"), small.arms[0])
    text = description(replace(small, arms=arms, question="What | if?\nTwo lines"))
    assert "**What \\| if? Two lines**" in text
    assert "#### a \\| b c" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {7}


def test_a_sweep_that_runs_makes_no_claim_about_now():
    assert "so far: " in description(an_answer(status="running", stopped_by=None))


def test_many_thresholds_are_cut_and_counted():
    small = a_small_answer()
    arm = replace(small.arms[0], thresholds=small.arms[0].thresholds * 20)
    text = description(replace(small, arms=(arm,)))
    assert "and 28 thresholds more" in text


def test_nothing_known_is_said():
    assert "interrupted, stopped by interrupted: 0 trials" in description(an_empty_answer())
