"""Sweeps in Python: `run` answers an experiment, `open_sweep` looks at one; both give the same.

    import orchestrator

    sweep = orchestrator.run("experiments/cover.yaml")
    sweep.thresholds()                   # a pandas frame
    sweep.figure("success_curves")       # plotly; library="matplotlib" for print

pandas and the libraries that draw are imported when they are asked for.
"""

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.api import reading, running
from orchestrator.api.catalogue import load_plugins, load_spec
from orchestrator.api.places import Machine, Place
from orchestrator.errors import RequestError
from orchestrator.spec import ExperimentSpec

if TYPE_CHECKING:
    import pandas as pd

Library = Literal["plotly", "matplotlib"]


@dataclass(frozen=True, repr=False)
class OpenedSweep:
    """A sweep as it stood when it was opened; open it again to see what a running one has learnt.

    A notebook shows its question, thresholds and laws; `answer` holds all of it as plain values.
    Columns called target and learner are settings as JSON, the same in every frame.
    """

    answer: Answer

    def trials(self) -> "pd.DataFrame":
        """Every settled trial as a row, the columns those of `phasefront export`.

        d, n, k, arm, target, learner, repeat, seed, outcome ("gap" without an answer), success
        (missing for a gap), one column per measure, seconds, attempt, round, cached, tuned,
        reasons, key.
        """
        from orchestrator.tracking import trials_table

        arms = [(arm.target, arm.learner) for arm in self.answer.arms]
        frame: pd.DataFrame = trials_table(self.answer.rows, arms).to_pandas()
        return frame.astype({"success": "boolean"})

    def thresholds(self) -> "pd.DataFrame":
        """Every asked threshold as a row: arm, target, learner, level, d, k, n_star, low, high,
        confidence, status, trials, gaps, n10, n90, tuned, theory.

        n_star, low, high, n10, n90 and theory are in the units of n, missing where not known.
        """
        return _frame(
            _THRESHOLDS,
            [
                (index, *_settings(arm), arm.level, *_threshold(found))
                for index, arm in enumerate(self.answer.arms)
                for found in arm.thresholds
            ],
        )

    def law(self) -> "pd.DataFrame":
        """How n_star grows, a row for each exponent of each arm's law: arm, target, learner,
        family, weight (its evidence among all families), decisive, letter, exponent, low, high.

        A law without exponents (a constant) has one row, without a letter; an arm with fewer than
        three thresholds found has no law and no row.
        """
        rows = [
            (index, *_settings(arm), *_family(arm), letter, *exponent)
            for index, arm in enumerate(self.answer.arms)
            for letter, *exponent in _exponents(arm)
        ]
        return _frame(_LAW, rows)

    @property
    def kinds(self) -> list[str]:
        """The pictures there are of this sweep, in the order they are read."""
        from orchestrator.report.kinds import kinds

        return [kind.name for kind in kinds(self.answer)]

    def figure(self, kind: str = "law", *, arm: int = 0, library: Library = "plotly") -> Any:
        """A picture of one of `kinds`: a plotly figure, or a matplotlib one.

        On a screen some kinds are of a single arm, by its number; in print all arms stand side by
        side. Raises `RequestError` for a kind or an arm that this sweep does not have, and where
        nothing is known yet that could be drawn.
        """
        if kind not in self.kinds:
            known = ", ".join(self.kinds)
            raise RequestError(f"no picture {kind!r} of this sweep; there are: {known}")
        if not 0 <= arm < len(self.answer.arms):
            raise RequestError(f"no arm {arm}: this sweep has {len(self.answer.arms)}, from 0 on")
        if library not in ("plotly", "matplotlib"):
            raise RequestError(f"library {library!r}: choose plotly or matplotlib")
        from orchestrator.report.figure import on_paper, on_screen

        is_printed = library == "matplotlib"
        found = on_paper(self.answer, kind) if is_printed else on_screen(self.answer, kind, arm)
        if found is None:
            raise RequestError(f"{kind}: this sweep has nothing to draw there yet")
        return found

    def __repr__(self) -> str:
        from orchestrator.report.card import plain

        return plain(self.answer)

    def _repr_html_(self) -> str:
        from orchestrator.report.card import card

        return card(self.answer)


def open_sweep(
    sweep: str, store: str | Path | None = None, ledger: str | None = None
) -> OpenedSweep:
    """A sweep by id, a unique prefix of one, or name (its newest sweep).

    `store` and `ledger` say where to look, as on the command line; without them the environment
    does. Raises `UnknownSweep`.
    """
    load_plugins()
    return OpenedSweep(reading.open_sweep(sweep, _place(store, ledger)))


def run(
    spec: ExperimentSpec | Mapping[str, Any] | str | Path,
    *,
    store: str | Path | None = None,
    ledger: str | None = None,
    address: str | None = None,
    slots: int | None = None,
    in_process: bool = False,
    plugins: Sequence[str | Path] = (),
) -> OpenedSweep:
    """Answer an experiment: a file, the words of one as a dict, or an `ExperimentSpec`.

    What was begun before goes on where it stood. Trials run on an embedded Ray, on the cluster at
    `address`, or `in_process`. Ctrl-C (a notebook's stop button) ends it with everything committed
    kept, as `Interrupted`; a second one at once.
    Raises what `phasefront run` ends with: `SpecError`, `RequestError`, `Unreachable`, …
    """
    sources = load_plugins([Path(one) for one in plugins])
    experiment, source = _experiment(spec)
    # imported here, as rich takes a while that `plan` and `open_sweep` need not wait
    from rich.console import Console

    from orchestrator.api.live import Live

    console = Console(file=sys.stderr, force_jupyter=False, highlight=False)
    with _interruptible() as asked, Live(experiment, console) as live:
        found = running.run(
            experiment,
            source=source,
            place=_place(store, ledger),
            machine=Machine(address, slots, in_process),
            plugins=sources,
            watch=live.watch,
            interrupted=asked,
        )
    return OpenedSweep(found)


def _place(store: str | Path | None, ledger: str | None) -> Place:
    return Place.chosen(None if store is None else str(store), ledger)


def _experiment(
    spec: ExperimentSpec | Mapping[str, Any] | str | Path,
) -> tuple[ExperimentSpec, str]:
    """The experiment, and its words as a file that asks it again."""
    if isinstance(spec, str | Path):
        path = Path(spec)
        return load_spec(path), path.read_text(encoding="utf-8")
    experiment = spec if isinstance(spec, ExperimentSpec) else ExperimentSpec.from_words(spec)
    words = {"question": experiment.question, **json.loads(experiment.canonical)}
    return experiment, json.dumps(words, indent=2) + "\n"


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; the second time it raises `KeyboardInterrupt`.

    Only the main thread hears of it, so elsewhere nobody ever asks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        sys.stderr.write("stopping; what is committed is kept (again to end at once)\n")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


_ARM = {"arm": "int64", "target": "str", "learner": "str"}
_THRESHOLDS = {
    **_ARM,
    **{"level": "float64", "d": "int64", "k": "int64"},
    **dict.fromkeys(("n_star", "low", "high", "confidence"), "float64"),
    **{"status": "str", "trials": "int64", "gaps": "int64"},
    **{"n10": "float64", "n90": "float64", "tuned": "str", "theory": "float64"},
}
_LAW = {
    **_ARM,
    **{"family": "str", "weight": "float64", "decisive": "bool", "letter": "str"},
    **dict.fromkeys(("exponent", "low", "high"), "float64"),
}
"""Columns with their types."""


def _frame(columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))


def _settings(arm: ArmAnswer) -> tuple[str, str]:
    return _json(arm.target), _json(arm.learner)


def _threshold(found: FoundThreshold) -> tuple[Any, ...]:
    one = found.threshold
    ends = one.n10_n90 or (None, None)
    return (
        *(one.d, one.k, one.n_star, one.low, one.high, one.confidence, one.status),
        *(one.trials, one.gaps, *ends, _json(found.tuned), found.theory),
    )


def _family(arm: ArmAnswer) -> tuple[str, float, bool]:
    assert arm.law is not None
    return arm.law.family, arm.law.weights.get(arm.law.family, 0.0), arm.law.decisive


def _exponents(arm: ArmAnswer) -> Iterator[tuple[str | None, float | None, float | None, Any]]:
    if arm.law is None:
        return
    if not arm.law.exponents:
        yield None, None, None, None
    for letter, one in arm.law.exponents.items():
        yield letter, one.value, one.low, one.high


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)
