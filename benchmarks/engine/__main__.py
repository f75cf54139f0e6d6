"""Command line of the suite; see the package."""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.engine import nets, outage, resuming
from benchmarks.engine.goals import Line, show
from benchmarks.engine.isolated import measured

PARTS = ("machinery", "growth", "nets", "outage")
EMPTY_TRIALS = 50_000
PAIRS = 5


def main() -> None:
    options = _options()
    if "machinery" in options.parts:
        show("machinery: a learner that does nothing", _machinery(options.rounds))
    if "growth" in options.parts:
        show("growth: sweeps of a learner that does nothing", _growth(options))
    if "nets" in options.parts:
        chosen = nets.lines(options.sizes, options.ways, options.rounds, options.scale)
        show("nets: two workers, 64 trials a cell, recorded in full", chosen)

    if "outage" in options.parts:
        rounds = max(options.rounds, PAIRS)
        show("outage: a frozen MLflow server, medium nets", outage.lines(rounds))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.engine", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=PARTS)
    parser.add_argument("--rounds", type=int, default=3, help="of everything; medians are shown")
    parser.add_argument("--sizes", nargs="+", choices=nets.GOALS, default=list(nets.GOALS))
    parser.add_argument("--ways", nargs="+", choices=nets.WAYS, default=list(nets.WAYS))
    parser.add_argument("--scale", type=float, default=1.0, help="times the trials of each net")
    parser.add_argument("--million", action="store_true", help="a sweep of 10^6 trials too")
    return parser.parse_args()


def _machinery(rounds: int) -> list[Line]:
    ways = {"two slots of Ray": 2, "this process": None}
    shown = []
    for words, slots in ways.items():
        runs = [
            measured("machinery", trials=EMPTY_TRIALS, repeats=64, slots=slots)
            for _ in range(rounds)
        ]
        found = {name: median(run[name] for run in runs) for name in runs[0]}
        is_main = slots is not None
        shown += [
            Line(f"{words}: committed", found["committed"], "trials/s",
                 at_least=5000.0 if is_main else None,
                 note=f"{found['driver_us']:.0f} us of the driver a trial"),
            Line(f"{words}: mirrored in MLflow", found["mirrored"], "trials/s",
                 at_least=2000.0 if is_main else None,
                 note=f"{found['cpu_us']:.0f} us of all CPU a trial"),
        ]  # fmt: skip
    return shown


def _growth(options: argparse.Namespace) -> list[Line]:
    sizes = [10_000, 100_000, *([1_000_000] if options.million else [])]
    runs, prices = {}, _small_prices()
    for trials in sizes:  # small ones before and after: a machine's pace drifts by a third
        runs[trials] = measured("growth", trials=trials)
        prices += _small_prices()
    small = median(prices)
    shown = [Line("10^3 trials: price of a trial", small, "us of CPU")]
    for trials, found in runs.items():
        name = f"10^{len(str(trials)) - 1} trials"
        large = trials >= 100_000
        shown += [
            Line(f"{name}: price of a trial", found["cpu_us"], "us of CPU",
                 note=f"{found['rate']:,.0f} trials/s"),
            Line(f"{name}: price, of that at 10^3", found["cpu_us"] / small,
                 at_most=1.1 if large else None),
            Line(f"{name}: driver's memory after the first 10^4", found["growth_mb"], "MB",
                 at_most=50.0 if large else None),
        ]  # fmt: skip
    return shown + _planning(options.rounds) + _resuming()


def _small_prices() -> list[float]:
    return [measured("growth", trials=1000)["cpu_us"] for _ in range(3)]


def _planning(rounds: int) -> list[Line]:
    runs = [measured("planning") for _ in range(rounds)]
    loaded = runs[0]["loaded"]
    return [
        Line("plan of 10^6 trials", median(run["seconds"] for run in runs), "s", at_most=3.0),
        Line("plan of 10^6 trials: memory", median(run["mb"] for run in runs), "MB", at_most=100.0),
        Line("plan: of mlflow, ray, optuna it loads", float(len(loaded)), at_most=0.0,
             note=", ".join(loaded)),
    ]  # fmt: skip


def _resuming() -> list[Line]:
    with tempfile.TemporaryDirectory() as folder:
        found = resuming.resumed(100_000, Path(folder))
    note = f"with {found['committed']:,} trials committed, from the start of the process"
    return [
        Line("resume: until a new trial has run", found["seconds"], "s", at_most=10.0, note=note)
    ]


if __name__ == "__main__":
    main()
