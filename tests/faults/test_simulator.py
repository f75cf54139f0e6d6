"""The loop, the board and the ledger's rules in a simulated world in which everything breaks.

`python -m tests.faults.simulator SEED` replays a seed.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.faults.simulator.books import Books, MemoryBooks
from tests.faults.simulator.ledger import LedgerBooks
from tests.faults.simulator.mutants import MUTANTS, MUTANTS_OF_THE_MIRROR, Mutant
from tests.faults.simulator.simulation import Simulation, remember_references, simulate
from tests.faults.simulator.world import EVERY, TO_MLFLOW, World, faults_of

WITHIN = 500
"""Seeds in which a planted fault has to be noticed."""

CHUNK = 1000
"""Seeds that a process plays at once."""


@pytest.fixture(scope="module", autouse=True)
def _references() -> None:
    remember_references()


def played(
    seeds: Iterable[int], make_books: Callable[[World], Books] = MemoryBooks
) -> Counter[str]:
    """What happened in those seeds; raises where a promise was broken."""
    counts: Counter[str] = Counter()
    where = "" if make_books is MemoryBooks else " --ledger"
    for seed in seeds:
        found = simulate(seed, make_books)
        if found.violation:
            replay = f"python -m tests.faults.simulator {seed}{where} --fewest"
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
    seeds = (seed for seed in range(WITHIN) if simulate(seed).violation)
    assert next(seeds, None) is not None


@pytest.fixture
def real_ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[World], LedgerBooks]:
    """Makes one real ledger after another, each with its real mirror of a simulated MLflow."""
    LedgerBooks.use(monkeypatch)
    return LedgerBooks.maker(tmp_path)


def test_a_real_ledger_and_its_mirror_keep_every_promise(real_ledgers):
    played(range(15), real_ledgers)


@pytest.mark.slow
def test_a_real_ledger_and_its_mirror_keep_every_promise_for_longer(real_ledgers):
    counts = played(range(2000), real_ledgers)
    assert set(EVERY) <= counts.keys(), "every fault has struck somewhere"


@pytest.mark.parametrize("mutant", MUTANTS_OF_THE_MIRROR, ids=lambda mutant: mutant.__name__)
def test_a_planted_fault_of_the_mirror_is_noticed(mutant, real_ledgers, monkeypatch):
    mutant(monkeypatch)
    seeds = (seed for seed in range(WITHIN) if simulate(seed, real_ledgers).violation)
    assert next(seeds, None) is not None
