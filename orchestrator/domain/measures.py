"""Measures: the numbers a trial reports, and which pair of target and learner reports which."""

from collections.abc import Callable

import torch

from orchestrator.domain.learner import Fit, Learner, Problem
from orchestrator.domain.target import Target

ON_TEST: dict[str, tuple[str, ...]] = {
    "real": ("test_error", "r_squared"),
    "sign": ("test_error", "test_accuracy", "r_squared"),
    "bit": ("test_error", "test_accuracy"),
}
"""Measures on fresh examples, by what the labels are."""
OF_ESTIMATE = {
    "direction": "squared_overlap",
    "directions": "directions_found",
    "set": "exact_recovery",
}
"""The measure of an estimate, by what is estimated."""


def reported(target: Target, learner: Learner) -> tuple[str, ...]:
    """Names of every measure a trial of this pair stores.

    A linear learner on a linear target is judged by its coefficients (`relative_error`), which
    says more than a test sample would and costs nothing; other pairs are judged on test examples,
    and by the estimate where the learner gives what the target's `estimand` is. The coefficients of
    a linear function have a direction.
    """
    return (*learner.reports, *_judged(target, learner))


def _judged(target: Target, learner: Learner) -> tuple[str, ...]:
    if target.linear and learner.linear:
        return ("relative_error",)
    return (*_of_estimate(target, learner), *_on_test(target, learner))


def _of_estimate(target: Target, learner: Learner) -> tuple[str, ...]:
    asked = "direction" if target.linear else target.estimand
    given = "direction" if learner.linear else learner.estimates
    return (OF_ESTIMATE[asked],) if asked is not None and asked == given else ()


def _on_test(target: Target, learner: Learner) -> tuple[str, ...]:
    if learner.predicts and target.test_count:
        return ON_TEST[target.labels]
    return ()


def judge(problem: Problem, fit: Fit, learner: Learner) -> dict[str, torch.Tensor]:
    """Every measure of `reported`, each float64 (B,) on the CPU."""
    measures = dict(fit.measures)
    names = _judged(problem.target, learner)
    for name in names:
        if name in BY_ESTIMATE:
            assert fit.coefficients is not None
            truth = problem.target.truth(problem.concept, problem.point)
            measures[name] = BY_ESTIMATE[name](fit.coefficients, truth)
    if "test_error" in names:
        assert fit.predict is not None
        predicted = fit.predict(problem.test.x)
        measures.update(on_test(predicted, problem.test.y, problem.target.labels))
    return {name: value.detach().to("cpu", torch.float64) for name, value in measures.items()}


def relative_error(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Euclidean |estimate - truth| / |truth| of each trial: (B, d), (B, d) -> float64 (B,)."""
    difference = (estimate - truth).to(torch.float64)
    return difference.square().sum(1).sqrt() / truth.to(torch.float64).square().sum(1).sqrt()


def squared_overlap(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """<estimate, truth>^2 / (|estimate|^2 |truth|^2) of each trial: (B, d), (B, d) -> float64 (B,).

    The squared cosine of the angle between two lines, in [0, 1]; nan where either is zero.
    """
    estimate, truth = estimate.to(torch.float64), truth.to(torch.float64)
    lengths = estimate.square().sum(1) * truth.square().sum(1)
    return (estimate * truth).sum(1).square() / lengths


FOUND = 0.7
"""The cosine above which a direction counts as found: above 1 / sqrt(2), no line can be that close
to two orthogonal ones, so one estimate finds one direction. Rounded down, chosen by hand."""


def directions_found(estimates: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The share of true directions near one of the estimates, up to sign: float64 (B,).

    Estimates (B, J, d), truth (B, M, d), of any lengths; near is a cosine above `FOUND` in size.
    """
    estimates, truth = estimates.to(torch.float64), truth.to(torch.float64)
    lengths = estimates.square().sum(2).sqrt()[:, None] * truth.square().sum(2).sqrt()[:, :, None]
    cosines = torch.bmm(truth, estimates.mT).abs() / lengths
    return (cosines > FOUND).any(2).to(torch.float64).mean(1)


def exact_recovery(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 where the sets (B, d) are equal, else 0: float64 (B,)."""
    return (estimate == truth).all(1).to(torch.float64)


BY_ESTIMATE: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "relative_error": relative_error,
    "squared_overlap": squared_overlap,
    "directions_found": directions_found,
    "exact_recovery": exact_recovery,
}
"""How an estimate is compared with the truth, by measure."""


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
