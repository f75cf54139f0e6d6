"""Prints thresholds beside theory, and search beside grid and oracle."""

from collections.abc import Sequence
from statistics import fmean

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.known_thresholds.costs import CHEAPER, DEARER, Costs, Row
from benchmarks.known_thresholds.runs import Runs
from benchmarks.known_thresholds.systems import REPEATS, System
from benchmarks.known_thresholds.training import Found

out = Console(width=160)


def thresholds(system: System, rows: Sequence[Row]) -> None:
    """Every threshold of a system: as found at seed 0, and its costs, means over seeds."""
    kinds = " and ".join(sorted({row.theory.kind for row in rows}))
    close = f"{system.within:g}" if system.is_absolute else f"{system.within:.0%}"
    table = _table(
        f"{system.name}: asked to {rows[0].spec.search.tolerance:.0%}; theory is {kinds}, good to "
        f"{close}; as found at seed 0, costs over {len(rows[0].found)} seeds",
        THRESHOLD_COLUMNS,
    )
    for row in rows:
        table.add_row(*_threshold(row))
    out.print(table)


THRESHOLD_COLUMNS = (
    "arm", "d", "k", "n*", "interval", "half", "narrow", "pooled", "theory", "off", "good",
    *("trials", "grid", "oracle", "search s", "grid s", "oracle s", "cheaper"),
)  # fmt: skip


def _threshold(row: Row) -> list[str]:
    first, costs = row.found[0], row.costs
    off = row.off(first)
    return [
        *(str(number) for number in (row.place.arm.index, row.place.asked.d, row.place.asked.k)),
        *_located(first),
        "yes" if row.is_known(first) else "NO",
        f"{row.pooled:.1f}",
        f"{row.theory.n_star:g}",
        f"{off:+.2f}" if row.system.is_absolute else f"{off:+.1%}",
        f"{row.good}/{len(row.found)}",
        *(f"{cost.trials:.0f}" for cost in (costs.search, costs.grid, costs.oracle)),
        f"{costs.search.cpu_s:.2f}",
        f"{costs.grid.cpu_s:.2f}" + _scaled([row]),
        f"{costs.oracle.cpu_s:.3f}",
        f"{costs.cheaper:.1f}",
    ]


def _located(found: Found) -> tuple[str, str, str]:
    """n*, its interval, and half the width of that over n*; its status where there is none."""
    if found.n_star is None or found.low is None or found.high is None:
        return found.status, "", ""
    half = (found.high - found.low) / (2 * found.n_star)
    return f"{found.n_star:.1f}", f"{found.low:.1f}-{found.high:.1f}", f"{half:.1%}"


def side_by_side(systems: Sequence[tuple[System, Sequence[Row], Sequence[Runs]]]) -> bool:
    """One column per system, with its verdict. Whether every goal was met."""
    each = [Costs.of(rows) for _, rows, _ in systems]
    good = [sum(row.good for row in rows) for _, rows, _ in systems]
    asked = [sum(len(row.found) for row in rows) for _, rows, _ in systems]
    lines: dict[str, list[str]] = {
        "thresholds good": [f"{some} of {all_}" for some, all_ in zip(good, asked, strict=True)],
        "trials: search": [f"{costs.search.trials:.0f}" for costs in each],
        "trials: grid": [f"{costs.grid.trials:.0f}" for costs in each],
        "trials: oracle": [f"{costs.oracle.trials:.0f}" for costs in each],
        "seconds: search": [f"{costs.search.cpu_s:.2f}" for costs in each],
        "seconds: grid": [
            f"{costs.grid.cpu_s:.2f}{_scaled(rows)}"
            for costs, (_, rows, _) in zip(each, systems, strict=True)
        ],
        "seconds: oracle": [f"{costs.oracle.cpu_s:.3f}" for costs in each],
        "seconds: search, packed alike": [f"{costs.as_packed:.2f}" for costs in each],
        "grid / search": [f"{costs.cheaper:.1f}" for costs in each],
        "grid / oracle": [f"{costs.allowed:.1f}" for costs in each],
        "search / oracle": [f"{costs.dearer:.2f}" for costs in each],
        "grid / search, packed alike": [f"{costs.alike.cheaper:.1f}" for costs in each],
        "search / oracle, packed alike": [f"{costs.alike.dearer:.2f}" for costs in each],
        "search / oracle in trials": [
            f"{costs.search.trials / costs.oracle.trials:.2f}" for costs in each
        ],
        "wall s: search, grid": [
            f"{costs.search.wall_s:.2f}, {costs.grid.wall_s:.2f}" for costs in each
        ],
        "deciding s": [f"{sum(_deciding_s(one) for one in runs):.1f}" for _, _, runs in systems],
        "verdict": [costs.verdict for costs in each],
    }
    title = f"search, grid of {REPEATS} and oracle; CPU seconds of training"
    table = _table(title, ("", *(system.name for system, _, _ in systems)))
    for name, cells in lines.items():
        table.add_row(name, *cells)
    out.print(table)
    out.print(FOOT, soft_wrap=True)
    return good == asked and all(costs.is_good for costs in each)


FOOT = f"""\
narrow: the interval is as narrow as asked, or lies within one integer step; good: that, and n* is
as close to theory as theory is good for; pooled: n* from all trials, of every search and grid;
cheaper: grid s / search s; ~ scaled up from so many repeats at every rung.
Goal: grid / search of {CHEAPER} where grid / oracle is, else search / oracle of {DEARER} at most.
packed alike: if the search's trials took what they take in the grid's packs, which are fuller.
deciding: what a search spends on choosing, no training. wall: as the ledger has it.
"""


def _deciding_s(runs: Runs) -> float:
    return fmean(search.deciding_s for search in runs.searches)


def _scaled(rows: Sequence[Row]) -> str:
    fewest = min(row.repeats for row in rows)
    return "" if fewest == REPEATS else f" ~{fewest}"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name else "left", no_wrap=bool(name))
    return table
