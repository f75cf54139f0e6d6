"""A sweep over HTTP whose MLflow server is killed again and again, on a wire that loses replies."""

import random
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine.sweeps import NOTHING, nothing_words
from benchmarks.mirror.served import LossyWire, Served
from orchestrator import api
from orchestrator.errors import TrackerUnreachable
from orchestrator.spec import ExperimentSpec
from orchestrator.sweep import Progress

PER_CELL = 64
MOST_RUNS = 10
SHARE_LOST = 0.05
TURN_S = 0.5
"""Between two packs while the server has still to be killed: a sweep that takes its time."""


@dataclass(frozen=True)
class Told:
    """What became of it: how often the server was killed, replies lost, how MLflow differs."""

    kills: int
    lost: int
    trials: int
    cells: int
    differences: tuple[str, ...]


def told_through(kills: int, trials: int, seed: int = 0) -> Told:
    """Answer a sweep of a learner that does nothing with that many kills, and compare."""
    plugins = api.load_plugins([NOTHING])
    spec = ExperimentSpec.from_words(nothing_words(trials, PER_CELL))
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder, "store")) as server:
        with LossyWire(server.uri, SHARE_LOST, seed) as wire:
            killer = threading.Thread(target=_kill, args=(server, kills, random.Random(seed)))
            began = threading.Event()

            def watch(progress: Progress) -> None:
                if progress.answered and not began.is_set():
                    began.set()
                    killer.start()

            def paced() -> bool:
                if killer.is_alive():
                    time.sleep(TURN_S)
                return False

            ledger = str(Path(folder, "ledger.db"))
            place, machine = api.Place(wire.uri, ledger), api.Machine(in_process=True)
            api.run(spec, place=place, machine=machine, plugins=plugins, watch=watch,
                    interrupted=paced)  # fmt: skip
            killer.join()
            for _ in range(MOST_RUNS):  # a driver that ends waits a minute for MLflow
                if not api.standing(spec.id, place).lag:
                    break
                with suppress(TrackerUnreachable):  # the reply that was lost may be the first
                    api.run(spec, place=place, machine=machine, plugins=plugins)
        found = api.mirror(spec.id, api.Place(server.uri, ledger), only_look=True).before
    return Told(kills, wire.lost, found.trials, found.cells, tuple(found.lines()))


def _kill(server: Served, kills: int, dice: random.Random) -> None:
    for _ in range(kills):
        time.sleep(dice.uniform(1.0, 4.0))
        server.kill()
        time.sleep(dice.uniform(0.0, 2.0))
        server.start()
