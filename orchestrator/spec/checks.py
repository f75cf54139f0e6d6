"""Faults that no part shows alone: a k above d, a measure nobody reports, a grid too large."""

from collections.abc import Mapping, Sequence

from orchestrator.domain.measures import reported
from orchestrator.inference.law import FEWEST
from orchestrator.spec.arithmetic import ExpressionError
from orchestrator.spec.axes import MOST_POINTS, Axes, Range
from orchestrator.spec.parts import Arm, Criterion, Search, Tunable
from orchestrator.spec.theory import Theory
from orchestrator.spec.wording import Findings, number, unknown_word

MOST_THRESHOLDS = 1000
"""Thresholds one arm asks of an adaptive search, which fits them jointly; chosen by hand."""
MOST_CELLS = 1_000_000
"""Points of a grid, all arms together; chosen by hand."""
MOST_TOLD = 5
"""Points at which one complaint of a target is repeated; chosen by hand."""

Pairs = Sequence[tuple[int, int]]


def check_arms(arms: Sequence[Arm], findings: Findings) -> None:
    """Every learner can learn from its target's labels."""
    for arm in arms:
        if arm.target.labels not in arm.learner.reads:
            reads = " or ".join(sorted(arm.learner.reads))
            findings.once(
                "learner",
                f"{arm.learner.kind} reads {reads} labels, and {arm.target.kind} has "
                f"{arm.target.labels} labels; choose another learner or target",
            )


def check_success(arms: Sequence[Arm], success: Criterion, findings: Findings) -> None:
    """Every arm reports the measure that decides."""
    for arm in arms:
        names = reported(arm.target, arm.learner)
        if arm.target.labels in arm.learner.reads and success.measure not in names:
            pair = f"{arm.learner.kind} on {arm.target.kind}"
            findings.once(
                "success.measure", f"{pair}: {unknown_word(success.measure, names, 'measure')}"
            )


def check_points(arms: Sequence[Arm], axes: Axes, search: Search, findings: Findings) -> None:
    """Every point can be drawn, and there are not too many."""
    if axes.most_pairs > MOST_POINTS:
        findings.add("axes", f"{axes.most_pairs:,} points (d, k), above {MOST_POINTS:,}")
        return
    pairs: dict[int, Pairs] = {}
    for arm in arms:
        default_k = arm.target.default_k
        if default_k not in pairs:
            pairs[default_k] = axes.pairs(default_k, findings)
        _check_drawable(arm, pairs[default_k], axes, findings)
        _check_supply(arm, pairs[default_k], axes, findings)
    for default_k, found in pairs.items():
        _check_n(axes, found, default_k, search, findings)
    if not findings.touch("axes"):
        _check_count(arms, axes, pairs, search, findings)


def _check_drawable(arm: Arm, pairs: Pairs, axes: Axes, findings: Findings) -> None:
    path = "axes.k" if axes.k is not None else "axes.d" if axes.d is not None else "axes"
    told: list[str] = []
    for d, k in pairs:
        told += arm.target.faults(d, k)
    for message in dict.fromkeys(told[:MOST_TOLD]):
        line = f"{arm.target.kind}: {message}"
        if all(fault.message != line for fault in findings.faults):
            findings.add(path, line)
    if len(told) > MOST_TOLD:
        findings.once("axes.points", f"{len(told) - MOST_TOLD} more points have such a fault")


def _check_supply(arm: Arm, pairs: Pairs, axes: Axes, findings: Findings) -> None:
    """No n exceeds the examples that a target has."""
    for d, k in pairs:
        most = arm.target.most_n(d, k)
        ends = axes.n_range(d, k, arm.target.default_k, Findings())
        if most is not None and ends and ends[1] > most:
            findings.once(
                "axes.n",
                f"{ends[1]:,} at d = {d}, k = {k}, where {arm.target.kind} has {most:,} examples "
                "to learn from; end n there or below",
            )


def _check_n(axes: Axes, pairs: Pairs, default_k: int, search: Search, findings: Findings) -> None:
    for d, k in pairs:
        ends = axes.n_range(d, k, default_k, findings)
        if ends and search.kind == "threshold" and ends[0] == ends[1]:
            findings.once(
                "axes.n",
                f"the single value {ends[0]} at d = {d}, k = {k}; a threshold is sought in a "
                'range, such as {low: d, high: "4*d"}',
            )


def _check_count(
    arms: Sequence[Arm],
    axes: Axes,
    pairs: dict[int, Pairs],
    search: Search,
    findings: Findings,
) -> None:
    most = max((len(found) for found in pairs.values()), default=0)
    if search.kind == "threshold" and most > MOST_THRESHOLDS:
        findings.add(
            "axes", f"{most:,} thresholds; an adaptive search takes at most {MOST_THRESHOLDS:,}"
        )
    fewest = min((len(found) for found in pairs.values()), default=FEWEST)
    if search.aim == "exponents" and fewest < FEWEST:
        findings.add("search.aim", f"{fewest} (d, k) show no law; exponents need at least {FEWEST}")
    if search.kind == "grid":
        cells = sum(_cells(axes, pairs[arm.target.default_k], arm.target.default_k) for arm in arms)
        if cells > MOST_CELLS:
            findings.add("axes", f"{cells:,} points (d, n, k); a grid has at most {MOST_CELLS:,}")


def _cells(axes: Axes, pairs: Pairs, default_k: int) -> int:
    if isinstance(axes.n, Range) and axes.n.count is not None:
        return len(pairs) * axes.n.count  # an upper bound, without listing them
    return sum(len(axes.n_values(d, k, default_k, Findings())) for d, k in pairs)


def check_search(
    entries: int, axes: Axes | None, search: Search, repeats: int | None, findings: Findings
) -> None:
    """`max_trials` pays for a point of the design, and an adaptive search is given ends of n.

    `entries` are the arms, each counted once for every setting it is tuned over.
    """
    if repeats is not None:
        _check_budget(entries, search, repeats, findings)
    if axes is not None and search.kind == "threshold":
        _check_n_is_free(axes, findings)


def _check_budget(entries: int, search: Search, repeats: int, findings: Findings) -> None:
    if search.max_trials is None or search.kind == "threshold":
        return
    fewest, told = repeats, f"{repeats:,} repeats of one point"
    if search.kind == "sobol":  # which gives every arm the same points
        fewest = repeats * entries
        told = f"{repeats:,} repeats of one point for each of {entries:,} arms and settings"
    if search.max_trials < fewest:
        findings.add(
            "search.max_trials",
            f"expected at least {fewest:,}, for {told}, found {search.max_trials:,}; "
            "allow more trials or fewer repeats",
        )


_CHOOSES_N = (
    "a threshold search chooses n itself between a lowest and a highest; lists of n and a count "
    "belong to kinds grid, sobol and optuna"
)


def _check_n_is_free(axes: Axes, findings: Findings) -> None:
    if any(letter == "n" for letter, _ in axes.zipped):
        findings.once("axes.zip.n", _CHOOSES_N)
    elif isinstance(axes.n, Range):
        if axes.n.count is not None:
            findings.once("axes.n.count", _CHOOSES_N)
    elif axes.n is not None and len(axes.n.entries) > 1:
        findings.once("axes.n", _CHOOSES_N)


def check_theory(
    arms: Sequence[Arm], axes: Axes, theory: Sequence[Theory], findings: Findings
) -> None:
    """Every entry has a value above 0 wherever it applies."""
    for arm in arms:
        pairs = axes.pairs(arm.target.default_k, Findings())
        for place, entry in enumerate(theory):
            _check_entry(arm, pairs, entry, f"theory.{place}", findings)


def check_means(theory: Sequence[Theory], tune: Mapping[str, Tunable], findings: Findings) -> None:
    """Nothing is said of the mean of a tuned learner, whose trials are of several settings."""
    for place, entry in enumerate(theory if tune else ()):
        if entry.mean is not None:
            findings.once(f"theory.{place}.mean", "a tuned learner has no mean: settings differ")


def _check_entry(arm: Arm, pairs: Pairs, entry: Theory, path: str, findings: Findings) -> None:
    names = reported(arm.target, arm.learner)
    if entry.measure not in (None, *names) and entry.applies_to(arm.target, arm.learner):
        findings.once(f"{path}.measure", unknown_word(str(entry.measure), names, "measure"))
    for d, k in pairs:
        try:
            value = entry.at(arm, d, k)
        except ExpressionError as fault:
            findings.once(path, str(fault))
            return
        if value is not None and value.n_star <= 0:
            findings.once(
                path, f"n_star is {number(value.n_star)} at d = {d}, k = {k}; it must be above 0"
            )
            return
