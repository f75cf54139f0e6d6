"""Experiments and loops that the tests of this room build on."""

from orchestrator.spec import ExperimentSpec

RIDGES = [1e-6, 1e-5, 1e-4, 1e-3]


def a_spec(arms=1, axes=None, repeats=2, seed=0, learners=None, **search):
    """Kernel ridge on sparse parity, one arm for each ridge."""
    kernels = [{"kind": "kernel_ridge", "ridge": ridge} for ridge in RIDGES[:arms]]
    return ExperimentSpec(
        name="a-spec",
        target={"kind": "sparse_parity"},
        learner=learners or kernels,
        axes=axes or {"d": [10, 20], "k": 2, "n": {"low": "d", "high": "4*d"}},
        success={"measure": "test_accuracy", "above": 0.9},
        repeats=repeats,
        seed=seed,
        search={"kind": "grid", **search},
    )


def all_rounds(proposer, most=1000):
    """The rounds of a proposer that looks at no results, until the first empty one."""
    rounds = []
    for number in range(most):
        asks = proposer.propose(number, [], rounds[-1] if rounds else [])
        if not asks:
            return rounds
        rounds.append(asks)
    raise AssertionError("no end")
