"""The loop, the board and the ledger's rules in a simulated world in which everything breaks.

`python -m tests.faults.simulator SEED` replays a seed.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.faults.simulator.ledger import LedgerBooks
from tests.faults.simulator.mutants import (
    MUTANTS,
    MUTANTS_OF_THE_EXECUTOR,
    MUTANTS_OF_THE_MIRROR,
    Mutant,
)
from tests.faults.simulator.ray import RayOnPaper
from tests.faults.simulator.simulation import Simulation, remember_references, simulate
from tests.faults.simulator.world import EVERY, TO_MLFLOW, World, faults_of

WITHIN = 500
"""Seeds in which a planted fault has to be noticed."""

CHUNK = 1000
"""Seeds that a process plays at once."""


@pytest.fixture(scope="module", autouse=True)
def _references() -> None:
    remember_references()


def played(seeds: Iterable[int], where: str = "", **made: Any) -> Counter[str]:
    """What happened in those seeds; raises where a promise was broken."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        found = simulate(seed, **made)
        if found.violation:
            replay = f"python -m tests.faults.simulator {seed} {where} --fewest"
            pytest.fail(f"{found.story}\nreplay with: {replay}")
        counts.update(found.counts)
    return counts


def test_two_thousand_seeds_keep_every_promise():
    counts = played(range(2000))
    assert set(EVERY) - set(TO_MLFLOW) <= counts.keys(), "every fault has struck somewhere"
    assert counts["crashes"] > 1500
    assert counts["zombies heard"] > 200


@pytest.mark.slow
def test_two_hundred_thousand_seeds_keep_every_promise():
    chunks = [range(start, start + CHUNK) for start in range(2000, 202_000, CHUNK)]
    context = get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        counts = sum(pool.map(played, chunks), Counter[str]())
    assert counts["crashes"] > 150_000


def test_a_seed_plays_the_same_every_time():
    first, second = (Simulation(seed, faults_of(seed)) for seed in (11, 11))
    for one in (first, second):
        one.run()
    assert list(first.world.history) == list(second.world.history)
    assert first.world.counts == second.world.counts


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_planted_fault_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch):
    mutant(monkeypatch)
    assert is_noticed()


def is_noticed(**made: Any) -> bool:
    return any(simulate(seed, **made).violation for seed in range(WITHIN))


@pytest.fixture
def real_ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[World], LedgerBooks]:
    """Makes one real ledger after another, each with its real mirror of a simulated MLflow."""
    LedgerBooks.use(monkeypatch)
    return LedgerBooks.maker(tmp_path)


def test_a_real_ledger_and_its_mirror_keep_every_promise(real_ledgers):
    played(range(10), "--ledger", make_books=real_ledgers)


@pytest.mark.slow
def test_a_real_ledger_and_its_mirror_keep_every_promise_for_longer(real_ledgers):
    counts = played(range(1000), "--ledger", make_books=real_ledgers)
    assert set(EVERY) <= counts.keys(), "every fault has struck somewhere"


@pytest.mark.parametrize("mutant", MUTANTS_OF_THE_MIRROR, ids=lambda mutant: mutant.__name__)
def test_a_planted_fault_of_the_mirror_is_noticed(mutant, real_ledgers, monkeypatch):
    mutant(monkeypatch)
    assert is_noticed(make_books=real_ledgers)


def test_the_executor_of_ray_keeps_every_promise_on_a_simulated_one(monkeypatch):
    RayOnPaper.use(monkeypatch)
    played(range(150), "--ray", make_executor=RayOnPaper)


@pytest.mark.slow
def test_the_executor_of_ray_keeps_every_promise_for_longer(monkeypatch):
    RayOnPaper.use(monkeypatch)
    played(range(150, 5000), "--ray", make_executor=RayOnPaper)


@pytest.mark.parametrize("mutant", MUTANTS_OF_THE_EXECUTOR, ids=lambda mutant: mutant.__name__)
def test_a_planted_fault_of_the_executor_is_noticed(mutant: Mutant, monkeypatch):
    RayOnPaper.use(monkeypatch)
    mutant(monkeypatch)
    assert is_noticed(make_executor=RayOnPaper)
