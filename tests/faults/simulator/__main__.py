"""Replay a seed and tell what happened: `python -m tests.faults.simulator SEED`.

With `--mutant NAME` a planted fault is replayed; `--fewest` leaves out the faults that a violation
does not need.
"""

import argparse

import pytest

from tests.faults.simulator.mutants import MUTANTS
from tests.faults.simulator.simulation import remember_references, simulate, with_fewest_faults


def main() -> None:
    """Print the history of one seed."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("seed", type=int)
    words.add_argument("--mutant", choices=[mutant.__name__ for mutant in MUTANTS])
    words.add_argument("--fewest", action="store_true")
    asked = words.parse_args()
    remember_references()
    with pytest.MonkeyPatch.context() as patch:
        for mutant in MUTANTS:
            if mutant.__name__ == asked.mutant:
                mutant(patch)
        found = (with_fewest_faults if asked.fewest else simulate)(asked.seed)
    print(found.story or "no violation")  # noqa: T201


main()
