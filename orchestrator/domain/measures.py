"""Measures: the numbers a trial reports, and which pair of target and learner reports which."""

from collections.abc import Callable, Mapping

import torch

from orchestrator.domain.bias_variance import DECOMPOSED, bias_and_variance, is_decomposed
from orchestrator.domain.learner import Estimate, Fit, Learner, Problem
from orchestrator.domain.target import Estimand, Target

Comparison = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""How good estimates (B, d) are, given what was to be estimated, (B, d): float64 (B,)."""

ON_TEST: dict[str, tuple[str, ...]] = {
    "real": ("test_error", "r_squared"),
    "sign": ("test_error", "test_accuracy", "r_squared"),
    "bit": ("test_error", "test_accuracy"),
    "measurement": ("test_error", "r_squared"),
    "vector": ("test_error", "r_squared"),
    "class": ("test_error", "test_accuracy"),
}
"""Measures on test examples, by what the labels are."""


def reported(target: Target, learner: Learner) -> tuple[str, ...]:
    """Names of every measure a trial of this pair stores.

    A linear learner on a linear target is judged by its coefficients (`relative_error`), which
    says more than a test sample would and costs nothing; other pairs are judged on test examples,
    and by the estimate where what the learner gives tells of the target's `estimand`. The
    coefficients of a linear function have a direction. A learner that `smooths` has its test error
    taken apart where the target knows its noise.
    """
    apart = DECOMPOSED if is_decomposed(target, learner) else ()
    names = (*_of_estimate(target, learner), *_on_test(target, learner))
    return (*learner.reports, *apart, *names)


def _of_estimate(target: Target, learner: Learner) -> Mapping[str, Comparison]:
    if target.linear and learner.linear:
        return {"relative_error": relative_error}
    asked = "direction" if target.linear else target.estimand
    given = "direction" if learner.linear else learner.estimates
    return OF_ESTIMATE.get((asked, given), {})


def _on_test(target: Target, learner: Learner) -> tuple[str, ...]:
    by_coefficients = target.linear and learner.linear
    if learner.predicts and target.test_count and not by_coefficients:
        return ON_TEST[target.labels]
    return ()


def judge(problem: Problem, fit: Fit, learner: Learner) -> dict[str, torch.Tensor]:
    """Every measure of `reported`, each float64 (B,) on the CPU."""
    target, measures = problem.target, dict(fit.measures)
    for name, comparison in _of_estimate(target, learner).items():
        assert fit.coefficients is not None
        truth = target.truth(problem.concept, problem.point)
        measures[name] = comparison(fit.coefficients, truth)
    if _on_test(target, learner):
        assert fit.predict is not None
        predicted = fit.predict(problem.test.x)
        measures.update(on_test(predicted, problem.test.y, target.labels))
    if is_decomposed(target, learner):
        measures.update(bias_and_variance(problem, fit))
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
"""The cosine above which a direction counts as found: as reported for Oko et al. (2024),
arXiv:2406.11828. It lies just below 1 / sqrt(2): a line midway between two orthogonal directions
has found both, and one whose cosine with the first exceeds 0.715 has found that one alone."""


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


def leading_recovery(weights: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 where every coordinate of the set `truth` weighs more than all others: float64 (B,).

    So the set is that of the largest weights, as many as it has coordinates. nan where a weight is.
    """
    least = weights.masked_fill(truth == 0, torch.inf).amin(1)
    most = weights.masked_fill(truth != 0, -torch.inf).amax(1)
    recovered = (least > most).to(torch.float64)
    return torch.where(weights.isnan().any(1), torch.nan, recovered)


def support_share(weights: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The share of all weight that lies on the set `truth`: float64 (B,), nan without weight."""
    weights = weights.to(torch.float64)
    return (weights * truth).sum(1) / weights.sum(1)


OF_ESTIMATE: dict[tuple[Estimand | None, Estimate | None], Mapping[str, Comparison]] = {
    ("direction", "direction"): {"squared_overlap": squared_overlap},
    ("directions", "directions"): {"directions_found": directions_found},
    ("set", "set"): {"exact_recovery": exact_recovery},
    ("set", "weights"): {"exact_recovery": leading_recovery, "support_share": support_share},
}
"""Measures of an estimate, by what the target asks for and what the learner gives."""


def on_test(predicted: torch.Tensor, y: torch.Tensor, labels: str) -> dict[str, torch.Tensor]:
    """Measures of predictions (B, m) against labels (B, m), each float64 (B,).

    Sign labels: the sign of the score is the prediction; a score of 0 or nan is wrong. Of classes
    both are (B, m, C) and the largest score is the prediction; where the right class shares it with
    another, or a score is nan, it is wrong. `r_squared` is 1 - mean squared error / variance of y
    on the test examples. Of vectors, (B, m, C), every entry counts as a label, less its
    coordinate's mean for the variance.
    """
    predicted, y = predicted.to(torch.float64), y.to(torch.float64)
    if labels == "vector":
        centre = y.mean(1, keepdim=True)
        predicted, y = (predicted - centre).flatten(1), (y - centre).flatten(1)
    measures: dict[str, torch.Tensor] = {}
    if labels in _RIGHT:
        measures["test_error"] = (~_RIGHT[labels](predicted, y)).to(torch.float64).mean(1)
        measures["test_accuracy"] = 1.0 - measures["test_error"]
    if "r_squared" in ON_TEST[labels]:
        squared = (predicted - y).square().mean(1)
        measures["r_squared"] = 1.0 - squared / y.var(1, correction=0)
        measures.setdefault("test_error", squared)
    return measures


def _right_class(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    own = scores.masked_fill(y == 0, -torch.inf).amax(2)
    others = scores.masked_fill(y != 0, -torch.inf).amax(2)
    return own > others


_RIGHT: dict[str, Comparison] = {
    "bit": torch.eq,
    "sign": lambda predicted, y: predicted * y > 0,
    "class": _right_class,
}
"""Which predictions name the label, bool (B, m), by what the labels are."""
