"""A sweep that was stopped with many trials committed: how long until a new one has run."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.engine.isolated import answer
from benchmarks.engine.sweeps import NOTHING, nothing_words

PER_CELL = 100


def measure(trials: int, folder: str, born: float | None) -> dict[str, Any]:
    """Without `born` a larger sweep is run in `folder` and stopped after so many trials; with it
    the sweep is resumed, and that time on the wall clock is when the process was asked for.
    """
    from orchestrator import api
    from orchestrator.errors import Interrupted
    from orchestrator.spec import ExperimentSpec
    from orchestrator.sweep import Progress

    answered = 0
    ran = 0.0

    def watch(progress: Progress) -> None:
        nonlocal answered
        answered = progress.answered

    def interrupted() -> bool:  # asked for after every pack
        nonlocal ran
        ran = ran or time.time()
        return born is not None or answered >= trials

    plugins = api.load_plugins([NOTHING])
    spec = ExperimentSpec.from_words(nothing_words(2 * trials, PER_CELL))
    with suppress(Interrupted):
        api.run(
            spec,
            place=api.Place(folder),
            machine=api.Machine(in_process=True),
            plugins=plugins,
            watch=watch,
            interrupted=interrupted,
        )
    return {"answered": answered, "seconds": ran - (born or 0.0)}


def resumed(trials: int, folder: Path) -> dict[str, Any]:
    """Run the sweep in one process and resume it in another."""
    from benchmarks.engine.isolated import measured

    first = measured("resuming", trials=trials, folder=str(folder), born=None)
    again = measured("resuming", trials=trials, folder=str(folder), born=time.time())
    return {**again, "committed": first["answered"]}


if __name__ == "__main__":
    answer(measure)
