"""Trials per CPU-second of packs against a plain `nn.Module` loop, on the same trials.

Run: python benchmarks/train_packs.py [--seconds 2]

Each trial is a two-layer ReLU network on 3-parity trained by SGD on the logistic loss, then judged
on 1,000 test examples. Both ways draw the same concept, data and minibatches from the same streams,
which the loop is not charged for. Ways are timed in turn, several rounds, and the best round of
each counts, so that neighbours on the machine matter little; compare ratios, not rates.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from orchestrator.domain.learners.two_layer import TwoLayer
from orchestrator.domain.pack import run_pack
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Cell, Trial

PACKS = (2, 4, 16, 32)
RATE, STEPS = 0.1, 300

Ways = dict[str, tuple[int, Callable[[], object]]]
"""How many trials each way trains at once, and how."""


@dataclass(frozen=True)
class Size:
    """A trial to time."""

    name: str
    d: int
    width: int
    batch: int
    n: int = 2000

    def trials(self, count: int) -> list[Trial]:
        """That many of them."""
        learner = TwoLayer(
            width=self.width,
            batch_size=self.batch,
            optimiser="sgd",
            learning_rate=RATE,
            weight_decay=0.0,
            steps=STEPS,
        )
        cell = Cell(SparseParity(), learner, Point(d=self.d, n=self.n, k=3))
        return [Trial(cell, repeat) for repeat in range(count)]


SIZES = (Size("small", 20, 64, 32), Size("medium", 30, 128, 64), Size("large", 100, 512, 256))


def module_loop(size: Size) -> Callable[[], None]:
    """Train one trial as one would by hand, its data drawn beforehand."""
    point, target = Point(d=size.d, n=size.n, k=3), SparseParity()
    streams = Streams(["loop"], dtype=torch.float32)
    concept = target.draw(point, streams.at("concept"))
    train = target.examples(concept, point, size.n, streams.at("train"))
    test = target.examples(concept, point, 1000, streams.at("test"))
    picks = streams.at("batch").indices(torch.tensor([size.n]), STEPS, size.batch)[0]

    def train_one() -> None:
        net = torch.nn.Sequential(
            torch.nn.Linear(size.d, size.width), torch.nn.ReLU(), torch.nn.Linear(size.width, 1)
        )
        optimiser = torch.optim.SGD(net.parameters(), lr=RATE)
        x, y = train.x[0], train.y[0]
        for rows in picks:
            optimiser.zero_grad()
            margin = net(x[rows])[:, 0] * y[rows]
            torch.nn.functional.softplus(-margin).mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            (net(test.x[0])[:, 0] * test.y[0] > 0).float().mean().item()

    return train_one


def best_rate(ways: Ways, seconds: float) -> dict[str, float]:
    """Trials per CPU-second of each way, the best of rounds that take `seconds` a way in all."""
    rates = dict.fromkeys(ways, 0.0)
    spent = dict.fromkeys(ways, 0.0)
    for _, run in ways.values():
        run()
    while min(spent.values()) < seconds:
        for name, (count, run) in ways.items():
            if spent[name] < seconds:
                started = time.process_time()
                run()
                took = time.process_time() - started
                spent[name] += took
                rates[name] = max(rates[name], count / took)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU-seconds per way and size")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    header = "".join(f"{f'pack of {count}':>19}" for count in PACKS)
    print(f"trials per CPU-second, ratio to the loop; {STEPS} SGD steps, torch {torch.__version__}")
    print(f"{'size':8}{'d':>5}{'width':>7}{'batch':>7}{'nn.Module':>11}{header}")
    for size in SIZES:
        ways: Ways = {"loop": (1, module_loop(size))}
        for count in PACKS:
            trials = size.trials(count)
            ways[str(count)] = (count, lambda trials=trials: run_pack(trials))  # type: ignore[misc]
        rates = best_rate(ways, seconds)
        loop = rates.pop("loop")
        cells = "".join(f"{rate:>10.1f} ({rate / loop:5.1f}x)" for rate in rates.values())
        print(f"{size.name:8}{size.d:5}{size.width:7}{size.batch:7}{loop:11.1f}{cells}", flush=True)


if __name__ == "__main__":
    main()
