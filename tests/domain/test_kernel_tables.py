"""The thresholds that experiment files give as theory are those that eigenvalues give."""

import math
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain import kernels
from orchestrator.domain.harmonics import multiplicity
from orchestrator.spec import load
from tests.domain.eigenlearning import (
    accuracy,
    distilled_r_squared,
    features_r_squared,
    n_star,
    of_kernel,
    on_signs,
    on_sphere,
    r_squared,
)

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
NTK = of_kernel(lambda x, z: kernels.ntk(x, z, 2))
SHALLOW = of_kernel(lambda x, z: kernels.ntk(x, z, 1))
LAPLACE = of_kernel(lambda x, z: kernels.laplace(x, z, 1.0))
NNGP = of_kernel(lambda x, z: kernels.nngp(x, z, 1))


def rows(file: str, entry: int):
    found = [(row.d, row.k, row.n_star) for row in load(EXPERIMENTS / file).theory[entry].table]
    assert found
    return found


def parity(d, k, cyclic=False):
    spectrum = on_signs(d, np.exp, cyclic=cyclic)
    most = 4 * math.comb(d, k) * (10 / d if cyclic else 1)
    return n_star(lambda n: r_squared(spectrum, n, {k: 1.0}, 1e-6), 0.5, 4.0, most)


def noisy(d, ridge):
    """R^2 0.4 on labels of which one in ten is negated: 0.64 of their variance is signal."""
    spectrum = on_signs(d, np.exp)
    curve = lambda n: 0.64 * r_squared(spectrum, n, {2: 0.64}, ridge, noise=0.6)
    return n_star(curve, 0.4, 40.0, 8000.0)


def distilled(d, steps):
    """The same after that many steps at ridge 0.05 with an eighth of the labels."""
    spectrum = on_signs(d, np.exp)
    curve = lambda n: (
        0.64 * distilled_r_squared(spectrum, n, {2: 0.64}, 0.05, steps, mixing=0.125, noise=0.6)
    )
    return n_star(curve, 0.4, 100.0, 2000.0)


def drawn(d, shape, features, ridge=0.01):
    spectrum = on_signs(d, shape)
    curve = lambda n: features_r_squared(spectrum, n, features, {2: 1.0}, ridge)
    return n_star(curve, 0.5, 15.0, 4000.0)


def exact(d, shape, ridge=0.01):
    spectrum = on_signs(d, shape)
    return n_star(lambda n: r_squared(spectrum, n, {2: 1.0}, ridge), 0.5, 15.0, 4000.0)


def named(d, k):
    """Test accuracy 0.9 of the Laplace kernel at ridge 1e-3."""
    spectrum = on_signs(d, LAPLACE)
    return n_star(lambda n: accuracy(spectrum, n, k, 1e-3), 0.9, 2.0 * d, 9.0 * math.comb(d, k))


def harmonic(d, k):
    spectrum = on_sphere(d, NTK)
    curve = lambda n: r_squared(spectrum, n, {k: 1.0}, 1e-6)
    return n_star(curve, 0.5, 2.0, 8.0 * multiplicity(d, k))


@pytest.mark.parametrize(
    ("file", "entry", "solved"),
    [
        ("kernel_ridge_cubic_parity.yaml", 0, parity),
        ("cyclic_invariance.yaml", 0, lambda d, _: parity(d, 3)),
        ("cyclic_invariance.yaml", 1, lambda d, _: parity(d, 3, cyclic=True)),
        ("cyclic_invariance.yaml", 2, lambda d, _: parity(d, 3) / d),
        ("self_distillation.yaml", 0, lambda d, _: noisy(d, 0.05)),
        ("self_distillation.yaml", 1, lambda d, _: distilled(d, 4)),
        ("self_distillation.yaml", 2, lambda d, _: distilled(d, 16)),
        ("self_distillation.yaml", 3, lambda d, _: noisy(d, 0.4)),
        ("self_distillation.yaml", 4, lambda d, _: noisy(d, 0.4)),
        ("recursive_feature_machine.yaml", 2, named),
        ("ntk_network.yaml", 0, lambda d, _: exact(d, SHALLOW, ridge=0.1)),
        ("ntk_network.yaml", 1, lambda d, _: exact(d, SHALLOW, ridge=0.1)),
        ("random_features.yaml", 0, lambda d, _: drawn(d, NNGP, 200)),
        ("random_features.yaml", 1, lambda d, _: drawn(d, NNGP, 200)),
        ("random_features.yaml", 2, lambda d, _: drawn(d, NNGP, 800)),
        ("random_features.yaml", 3, lambda d, _: exact(d, NNGP)),
        ("scalable_neural_kernel.yaml", 0, lambda d, _: drawn(d, np.exp, 600)),
        ("scalable_neural_kernel.yaml", 1, lambda d, _: drawn(d, np.exp, 4800)),
        ("scalable_neural_kernel.yaml", 2, lambda d, _: exact(d, np.exp)),
        ("ntk_harmonics.yaml", 0, harmonic),
    ],
)
def test_a_table_is_what_the_solver_finds(file, entry, solved):
    for d, k, told in rows(file, entry):
        assert solved(d, k) == pytest.approx(told, rel=3e-3)


def test_one_step_of_distillation_is_kernel_ridge_and_many_are_one_with_an_amplified_ridge():
    """With half of each label the filter of 16 steps is that of the limit to 2^-15."""
    spectrum, settings = on_signs(15, np.exp), {"powers": {2: 0.64}, "noise": 0.6}
    distilled_by = lambda steps: distilled_r_squared(
        spectrum, 250, ridge=0.05, steps=steps, mixing=0.5, **settings
    )
    assert distilled_by(1) == pytest.approx(r_squared(spectrum, 250, ridge=0.05, **settings))
    amplified = r_squared(spectrum, 250, ridge=0.1, **settings)
    assert distilled_by(16) == pytest.approx(amplified, abs=1e-3)


def test_powers_of_d_of_feature_machines_are_those_of_their_tables():
    entries = load(EXPERIMENTS / "recursive_feature_machine.yaml").theory
    for table, entry in ((entries[0], entries[3]), (entries[2], entries[4])):
        rows = [(row.d, row.n_star) for row in table.table if row.k == 2 and row.d <= 40]
        assert np.polyfit(*np.log(rows).T, 1)[0] == pytest.approx(entry.exponents["d"], abs=0.01)


def test_powers_of_d_are_those_of_the_table():
    entries = load(EXPERIMENTS / "ntk_harmonics.yaml").theory
    for k, entry in enumerate(entries[1:], start=1):
        d, n = np.log([(row.d, row.n_star) for row in entries[0].table if row.k == k]).T
        assert np.polyfit(d, n, 1)[0] == pytest.approx(entry.exponents["d"], abs=0.01)


def test_the_peak_of_random_features_is_where_the_solver_finds_it():
    spectrum = on_sphere(20, NNGP)
    for entry in load(EXPERIMENTS / "random_feature_peak.yaml").theory:
        n = int(entry.where.text.split()[-1])
        solved = 1.25 - features_r_squared(spectrum, n, 100, {1: 1.0}, 1e-3, noise=0.5)
        assert float(entry.mean.at(d=20, k=1, n=n)) == pytest.approx(solved, abs=1e-3)
