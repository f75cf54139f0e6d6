"""Measures: the numbers a trial reports, and which pair of target and learner reports which."""

import torch

from orchestrator.domain.learner import Fit, Learner, Problem
from orchestrator.domain.target import Target

ON_TEST: dict[str, tuple[str, ...]] = {
    "real": ("test_error", "r_squared"),
    "sign": ("test_error", "test_accuracy", "r_squared"),
    "bit": ("test_error", "test_accuracy"),
}
"""Measures on fresh examples, by what the labels are."""


def reported(target: Target, learner: Learner) -> tuple[str, ...]:
    """Names of every measure a trial of this pair stores.

    A linear learner on a linear target is judged by its coefficients (`relative_error`), which
    says more than a test sample would and costs nothing; other pairs are judged on test examples.
    """
    return (*learner.reports, *_judged(target, learner))


def _judged(target: Target, learner: Learner) -> tuple[str, ...]:
    if target.linear and learner.linear:
        return ("relative_error",)
    if learner.predicts and target.test_count:
        return ON_TEST[target.labels]
    return ()


def judge(problem: Problem, fit: Fit, learner: Learner) -> dict[str, torch.Tensor]:
    """Every measure of `reported`, each float64 (B,) on the CPU."""
    measures = dict(fit.measures)
    names = _judged(problem.target, learner)
    if names == ("relative_error",):
        assert fit.coefficients is not None
        measures["relative_error"] = relative_error(fit.coefficients, problem.concept)
    elif names:
        assert fit.predict is not None
        predicted = fit.predict(problem.test.x)
        measures.update(on_test(predicted, problem.test.y, problem.target.labels))
    return {name: value.detach().to("cpu", torch.float64) for name, value in measures.items()}


def relative_error(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Euclidean |estimate - truth| / |truth| of each trial: (B, d), (B, d) -> float64 (B,)."""
    difference = (estimate - truth).to(torch.float64)
    return difference.square().sum(1).sqrt() / truth.to(torch.float64).square().sum(1).sqrt()


def on_test(predicted: torch.Tensor, y: torch.Tensor, labels: str) -> dict[str, torch.Tensor]:
    """Measures of predictions (B, m) against labels (B, m), each float64 (B,).

    Sign labels: the sign of the score is the prediction; a score of 0 or nan is wrong.
    `r_squared` is 1 - mean squared error / variance of y on the test examples.
    """
    predicted, y = predicted.to(torch.float64), y.to(torch.float64)
    measures: dict[str, torch.Tensor] = {}
    if labels == "bit":
        measures["test_error"] = (predicted != y).to(torch.float64).mean(1)
    elif labels == "sign":
        measures["test_error"] = (~(predicted * y > 0)).to(torch.float64).mean(1)
    if measures:
        measures["test_accuracy"] = 1.0 - measures["test_error"]
    if labels != "bit":
        squared = (predicted - y).square().mean(1)
        measures["r_squared"] = 1.0 - squared / y.var(1, correction=0)
        measures.setdefault("test_error", squared)
    return measures
