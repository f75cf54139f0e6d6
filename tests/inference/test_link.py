import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.inference.link import FORMS, Form, admissible, chances, offset

levels = st.floats(0.1, 0.9)
forms = st.sampled_from(FORMS)


@given(forms, levels)
def test_success_at_the_crossing_is_the_level(form, level):
    if form not in admissible(FORMS, level):
        return
    success, failure = chances(form, level, np.zeros(1))
    assert success[0] == pytest.approx(level, abs=1e-12)
    assert failure[0] == pytest.approx(1 - level, abs=1e-12)


@given(forms, st.floats(-60, 60), st.floats(0.01, 5))
def test_success_rises_and_both_chances_stay_positive(form, u, step):
    success, failure = chances(form, 0.5, np.array([u, u + step]))
    assert success[1] >= success[0] - 1e-15 > 0
    assert failure[0] >= failure[1] - 1e-15 > 0
    np.testing.assert_allclose(success + failure, 1.0, atol=1e-12)


@pytest.mark.parametrize("link", ["logistic", "early", "late"])
def test_every_link_rises_at_the_crossing_like_a_logistic_curve(link):
    form, level, h = Form(link, 0.0, 0.0, 1.0), 0.3, 1e-6
    success, _ = chances(form, level, np.array([-h, h]))
    assert (success[1] - success[0]) / (2 * h) == pytest.approx(level * (1 - level), rel=1e-6)


def test_early_and_late_are_mirror_images():
    u = np.linspace(-5, 5, 41)
    early, _ = chances(Form("early", 0.0, 0.0, 1.0), 0.5, u)
    _, late = chances(Form("late", 0.0, 0.0, 1.0), 0.5, -u)
    np.testing.assert_allclose(early, late, atol=1e-12)


@given(forms, st.floats(0.15, 0.85))
def test_offset_finds_the_place_of_a_success_chance(form, success):
    found, _ = chances(form, 0.5, np.array([offset(form, 0.5, success)]))
    assert found[0] == pytest.approx(success, abs=1e-9)


def test_a_chance_beyond_reach_is_answered_at_the_end_of_the_reach():
    assert math.isfinite(offset(Form("logistic", 0.1, 0.1, 1.0), 0.5, 0.99))


def test_forms_that_cannot_cross_the_level_are_left_out():
    assert all(f.lapse_high < 0.05 for f in admissible(FORMS, 0.95))
    assert admissible(FORMS, 0.9995)
