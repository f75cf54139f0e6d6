"""Replay a seed and tell what happened: `python -m tests.faults.simulator SEED`.

With `--mutant NAME` a planted fault is replayed; `--fewest` leaves out the faults of the world that
a violation does not need.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.faults.simulator.ledger import LedgerBooks
from tests.faults.simulator.mutants import (
    MUTANTS,
    MUTANTS_OF_THE_EXECUTOR,
    MUTANTS_OF_THE_MIRROR,
)
from tests.faults.simulator.ray import RayOnPaper
from tests.faults.simulator.simulation import remember_references, simulate, with_fewest_faults

EVERY_MUTANT = MUTANTS + MUTANTS_OF_THE_MIRROR + MUTANTS_OF_THE_EXECUTOR


def main() -> None:
    """Print the history of one seed."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("seed", type=int)
    words.add_argument("--mutant", choices=[mutant.__name__ for mutant in EVERY_MUTANT])
    words.add_argument("--fewest", action="store_true")
    words.add_argument("--ledger", action="store_true", help="on the real ledger and mirror")
    words.add_argument("--ray", action="store_true", help="with the real executor of Ray")
    asked = words.parse_args()
    remember_references()
    made: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        for mutant in EVERY_MUTANT:
            if mutant.__name__ == asked.mutant:
                mutant(patch)
        if asked.ledger:
            LedgerBooks.use(patch)
            made["make_books"] = LedgerBooks.maker(Path(folder))
        if asked.ray:
            RayOnPaper.use(patch)
            made["make_executor"] = RayOnPaper
        found = (with_fewest_faults if asked.fewest else simulate)(asked.seed, **made)
    print(found.story)  # noqa: T201


main()
