"""Command line of the suite; see the package."""

import argparse
from statistics import median

from benchmarks.engine.goals import Line, show
from benchmarks.mirror import faults, rate

PARTS = ("rate", "faults")


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.mirror", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=PARTS)
    parser.add_argument("--rounds", type=int, default=3, help="of the rates; medians are shown")
    parser.add_argument("--trials", type=int, default=12_800, help="told at each rate")
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    if "rate" in options.parts:
        shown = [
            Line("MLflow's SQLite file", median(_times(rate.direct, options)), "trials/s",
                 at_least=2000.0),
            Line("an MLflow server over HTTP", median(_times(rate.over_http, options)), "trials/s",
                 at_least=1000.0),
        ]  # fmt: skip
        show("mirror: trials told, 64 a cell", shown)
    if "faults" in options.parts:
        told = faults.told_through(options.kills, trials=3_200 * options.kills)
        note = f"{told.trials} trials in {told.cells} cells; {'; '.join(told.differences)}"
        title = f"mirror: server killed {told.kills} times, {told.lost} replies lost"
        line = Line("differences between ledger and MLflow", len(told.differences), at_most=0.0,
                    note=note)  # fmt: skip
        show(title, [line])


def _times(measure, options: argparse.Namespace) -> list[float]:  # type: ignore[no-untyped-def]
    return [measure(options.trials) for _ in range(options.rounds)]


if __name__ == "__main__":
    main()
