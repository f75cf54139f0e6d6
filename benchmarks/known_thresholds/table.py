"""Prints thresholds beside theory, and search beside grid and oracle."""

from collections.abc import Sequence
from statistics import fmean

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.known_thresholds.costs import CHEAPER, DEARER, Costs, Row
from benchmarks.known_thresholds.runs import Runs
from benchmarks.known_thresholds.systems import REPEATS, System

out = Console(width=160)


def thresholds(system: System, rows: Sequence[Row]) -> None:
    """Every threshold of a system: as found at seed 0, and its costs, means over seeds."""
    title = f"{system.name}: thresholds at seed 0, costs over {len(rows[0].found)} seeds"
    table = _table(title, THRESHOLD_COLUMNS)
    for row in rows:
        table.add_row(*_threshold(row))
    out.print(table)


THRESHOLD_COLUMNS = (
    "arm", "d", "k", "n*", "interval", "±", "asked", "pooled", "theory", "off", "within", "good",
    *("trials", "grid", "oracle", "s", "grid s", "oracle s", "grid/search"),
)  # fmt: skip


def _threshold(row: Row) -> list[str]:
    first, spec, costs = row.found[0], row.spec, row.costs
    unit, within = ("", row.system.within) if row.system.is_absolute else ("%", row.system.within)
    place = [str(row.place.arm.index), str(row.place.asked.d), str(row.place.asked.k)]
    if first.n_star is None or first.low is None or first.high is None:
        found = [first.status, "", ""]
    else:
        half = (first.high - first.low) / (2 * first.n_star)
        found = [f"{first.n_star:.1f}", f"{first.low:.1f}-{first.high:.1f}", f"{half:.1%}"]
    off = row.off(first)
    return [
        *place,
        *found,
        f"{spec.search.tolerance:.0%}" + ("" if row.is_known(first) else " NO"),
        f"{row.pooled:.1f}",
        f"{row.theory.n_star:g} {row.theory.kind}",
        f"{off:+.2f}" if not unit else f"{off:+.1%}",
        f"{within:g}" if not unit else f"{within:.0%}",
        f"{row.good}/{len(row.found)}",
        f"{costs.search.trials:.0f}",
        f"{costs.grid.trials:.0f}",
        f"{costs.oracle.trials:.0f}",
        f"{costs.search.cpu_s:.2f}",
        f"{costs.grid.cpu_s:.2f}" + _scaled([row]),
        f"{costs.oracle.cpu_s:.2f}",
        f"{costs.cheaper:.1f}",
    ]


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
        "seconds: oracle": [f"{costs.oracle.cpu_s:.2f}" for costs in each],
        "search, packed as the grid": [f"{costs.as_packed:.2f}" for costs in each],
        "grid / search": [f"{costs.cheaper:.1f}" for costs in each],
        "grid / oracle": [f"{costs.allowed:.1f}" for costs in each],
        "search / oracle": [f"{costs.dearer:.2f}" for costs in each],
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
good: as narrow as asked, and as close to theory as theory is good for; over all seeds.
Goal: grid / search of {CHEAPER} where grid / oracle is, else search / oracle of {DEARER} at most.
packed as the grid: what the search's trials would take in packs as full as the grid's.
deciding: what a search spends on choosing, no training. wall: as the ledger has it.
pooled: n* from all trials, of every search and of the grid.
~ scaled up from so many repeats at every rung.
"""


def _deciding_s(runs: Runs) -> float:
    return fmean(search.deciding_s for search in runs.searches)


def _scaled(rows: Sequence[Row]) -> str:
    fewest = min(row.repeats for row in rows)
    return "" if fewest == REPEATS else f" ~{fewest}"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name else "left")
    return table
