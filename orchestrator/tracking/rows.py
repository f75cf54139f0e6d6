"""Between the domain's values and the ledger's rows.

Floats are written with the fewest digits that read back to the same float, so a measure comes back
bit for bit. What was settled carries a checksum: SQLite's own check sees torn pages, not a flipped
bit inside a number.
"""

import hashlib
import importlib.metadata
import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from sys import intern
from typing import Any

from sqlalchemy import Row

from orchestrator.domain.curves import Curves, as_lists
from orchestrator.domain.learner import Learner, Outcome
from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import KEY_FORMAT, Cell, Result, Trial
from orchestrator.errors import LedgerDamaged
from orchestrator.plan.asks import Ask
from orchestrator.plan.reuse import Reusable
from orchestrator.ports import Settled, SweepRecord, Whereabouts


def cell_row(cell: Cell) -> dict[str, Any]:
    """A cell as a row of `cells`."""
    return {
        "key": cell.key,
        "target": canonical_json(cell.target.settings),
        "learner": canonical_json(cell.learner.settings),
        "target_revision": cell.target.revision,
        "learner_revision": cell.learner.revision,
        "d": cell.point.d,
        "n": cell.point.n,
        "k": cell.point.k,
    }


def trial_row(trial: Trial) -> dict[str, Any]:
    """A trial that nobody has begun, as a row of `trials`."""
    return {
        "key": trial.key,
        "cell": trial.cell.key,
        "repeat": trial.repeat,
        "seed": trial.seed,
        "state": "open",
        "attempt": 0,
    }


def settled_row(result: Result, attempt: int) -> dict[str, Any]:
    """The columns of `trials` that a result settles, with their checksum.

    Raises `ValueError` when a measure is not finite; such a trial's outcome says so instead.
    """
    row: dict[str, Any] = {
        "state": "done",
        "attempt": attempt,
        "outcome": result.outcome.value,
        "measures": canonical_json(dict(result.measures)),
        "seconds": result.seconds,
    }
    return {**row, "checksum": checksum(result.key, row)}


def curves_row(key: str, curves: Curves) -> dict[str, Any]:
    """A trial's learning curves as a row of `curves`."""
    return {"key": key, "points": canonical_json(as_lists(curves))}


def checksum(key: str, row: Mapping[Any, Any]) -> str:
    """64-bit hash of a key and of what was settled for it, 16 hexadecimal digits."""
    names = ("state", "attempt", "outcome", "measures", "seconds")
    return _hash(canonical_json([key, *(row[name] for name in names)]), 8)


def gap_row(
    sweep: str, key: str, attempt: int, given_up: float, reasons: Sequence[str]
) -> dict[str, Any]:
    """A trial that a sweep gave up at that time (seconds since the epoch), as a row of `gaps`."""
    text = canonical_json(list(reasons))
    return {
        "sweep": sweep,
        "key": key,
        "attempt": attempt,
        "given_up": given_up,
        "reasons": text,
        "checksum": _gap_checksum(sweep, key, attempt, text),
    }


def _gap_checksum(sweep: str, key: str, attempt: int, reasons: str) -> str:
    return _hash(canonical_json([sweep, key, attempt, reasons]), 8)


def _hash(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


class Decoder:
    """Rows back to values. Keeps the targets, learners and cells it has met.

    Methods raise `LedgerDamaged` when a row is not what was written, and `PluginError` when a
    plug-in is not known here.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._target = cache(lambda text: Target.from_settings(json.loads(text)))
        self._learner = cache(lambda text: Learner.from_settings(json.loads(text)))
        self._cells: dict[str, tuple[Cell, str]] = {}

    def trial(self, row: Row[Any]) -> Trial:
        """The trial of a row of `trials` joined with `cells`, under the key it was stored with.

        The stored key stays, even where a plug-in's revision was raised since; see `is_current`.
        """
        cell, canonical = self._cells.get(row.cell) or self._cell(row)
        if trial_key(canonical, row.repeat, row.seed) != row.key:
            raise self._damaged(row)
        trial = Trial(cell, repeat=row.repeat, seed=row.seed)
        trial.__dict__["key"] = row.key
        return trial

    def learn(self, row: Row[Any]) -> None:
        """Get to know a cell, whose trials then come without it; the row calls its key `cell`."""
        self._cell(row)

    def settled(self, row: Row[Any]) -> Settled | None:
        """What was settled for a row of `queries.trials_of`; None while it is open.

        A result counts, whoever brought it, even where the sweep gave the trial up before.
        """
        if row.state == "open":
            return None if row.gap_sweep is None else self._gap(row)
        if checksum(row.key, row._mapping) != row.checksum:
            raise self._damaged(row)
        # names are the same for every trial of a sweep, of which there may be millions
        measures = {intern(name): value for name, value in json.loads(row.measures).items()}
        result = Result(row.key, Outcome(row.outcome), measures, row.seconds)
        return Settled(self.trial(row), result, row.attempt)

    def _gap(self, row: Row[Any]) -> Settled:
        told = (row.gap_sweep, row.key, row.gap_attempt, row.gap_reasons)
        if _gap_checksum(*told) != row.gap_checksum:
            raise self._damaged(row)
        return Settled(self.trial(row), None, row.gap_attempt, tuple(json.loads(row.gap_reasons)))

    def asks(self, row: Row[Any]) -> list[Ask]:
        """The asks of a row of `rounds`, in order."""
        if _hash(row.asks, 8) != row.checksum:
            raise self._damaged(row)
        return [
            Ask(ask["arm"], Point(**ask["point"]), ask["repeats"], ask["tuned"])
            for ask in json.loads(row.asks)
        ]

    def reusable(self, row: Row[Any]) -> list[Reusable]:
        """The trials of a row of `reusable`, in order."""
        if _hash(row.trials, 8) != row.checksum:
            raise self._damaged(row)
        return reusable_of(row.trials)

    def _cell(self, row: Row[Any]) -> tuple[Cell, str]:
        """The cell and the text that its key hashes, which needs no plug-in to be checked."""
        try:
            target, learner = json.loads(row.target), json.loads(row.learner)
        except ValueError as error:
            raise self._damaged(row) from error
        point = {"d": row.d, "n": row.n, "k": row.k}
        canonical = canonical_json(
            {
                "format": KEY_FORMAT,
                "learner": {**learner, "revision": row.learner_revision},
                "point": point,
                "target": {**target, "revision": row.target_revision},
            }
        )
        if _hash(canonical, 16) != row.cell:
            raise self._damaged(row)
        cell = Cell(self._target(row.target), self._learner(row.learner), Point(**point))
        self._cells[row.cell] = (cell, canonical)
        return cell, canonical

    def _damaged(self, row: Row[Any]) -> LedgerDamaged:
        if hasattr(row, "state"):
            name = f"trial {row.key[:8]}"
        elif hasattr(row, "cell"):
            name = f"cell {row.cell[:8]}"
        elif hasattr(row, "number"):
            name = f"round {row.number}"
        else:
            name = f"the note of what sweep {row.sweep} can reuse"
        return LedgerDamaged(
            f"{self._place}: {name} is not what was written; the ledger is left untouched. Restore "
            "a copy, or move it away and rebuild it: phasefront resume SWEEP --from-mlflow"
        )


def trial_key(canonical: str, repeat: int, seed: int) -> str:
    """`Trial.key` from the canonical text of its cell; a contract test holds them equal."""
    return _hash(f'{{"cell":{canonical},"repeat":{repeat},"seed":{seed}}}', 16)


def is_current(row: Row[Any], trial: Trial) -> bool:
    """Whether the plug-ins of a stored trial still have the revisions it was asked with."""
    cell = trial.cell
    return (row.target_revision, row.learner_revision) == (
        cell.target.revision,
        cell.learner.revision,
    )


def round_row(sweep: str, number: int, asks: Iterable[Ask]) -> dict[str, Any]:
    """A round as a row of `rounds`."""
    text = canonical_json(
        [
            {
                "arm": ask.arm,
                "point": ask.point.model_dump(),
                "repeats": ask.repeats,
                "tuned": dict(ask.tuned),
            }
            for ask in asks
        ]
    )
    return {"sweep": sweep, "number": number, "asks": text, "checksum": _hash(text, 8)}


def reusable_row(sweep: str, found: Iterable[Reusable]) -> dict[str, Any]:
    """What a sweep could reuse, as a row of `reusable`."""
    text = canonical_json(
        [
            {
                "arm": one.arm,
                "point": one.point.model_dump(),
                "repeats": list(one.repeats),
                "tuned": dict(one.tuned),
            }
            for one in found
        ]
    )
    return {"sweep": sweep, "trials": text, "checksum": _hash(text, 8)}


def reusable_of(text: str) -> list[Reusable]:
    """The inverse, from the row's text."""
    return [
        Reusable(one["arm"], Point(**one["point"]), tuple(one["repeats"]), one["tuned"])
        for one in json.loads(text)
    ]


def whereabouts_row(sweep: str, packs: Sequence[Whereabouts], noted: float) -> dict[str, Any]:
    """Where packs are, as a row of `whereabouts`."""
    text = canonical_json([asdict(pack) for pack in packs])
    return {"sweep": sweep, "noted": noted, "packs": text}


def packs_of(row: Row[Any]) -> list[Whereabouts]:
    """The inverse."""
    return [Whereabouts(**{**pack, "keys": tuple(pack["keys"])}) for pack in json.loads(row.packs)]


def sweep_row(record: SweepRecord) -> dict[str, Any]:
    """A sweep as a row of `sweeps`."""
    return {
        "id": record.id,
        "name": record.name,
        "spec_json": record.spec_json,
        "spec_source": record.spec_source,
        "status": record.status,
        "started": record.started,
        "stopped_by": record.stopped_by,
        "ended": record.ended,
        "plugins": canonical_json([list(plugin) for plugin in record.plugins]),
        "mlflow_run": record.mlflow_run,
    }


def sweep_of(row: Row[Any]) -> SweepRecord:
    """The inverse of `sweep_row`."""
    values = dict(row._mapping)
    plugins = tuple((name, source) for name, source in json.loads(values.pop("plugins")))
    return SweepRecord(**values, plugins=plugins)


@cache
def versions() -> str:
    """What a result may depend on besides its key, as JSON: packages, Python, processor type."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    found |= {"commit": commit} if (commit := _commit()) else {}
    for package in ("torch", "ray", "numpy", "scipy", "phasefront"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return canonical_json(found)


def _commit() -> str:
    """The commit of the checkout that this package comes from, with a + where files differ from it;
    empty where it is none.
    """
    checkout = Path(__file__).parents[2]
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return ""

    def told(*words: str) -> str:
        command = [git, "-C", str(checkout), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    changed = told("status", "--porcelain", "--untracked-files=no", "--", "orchestrator")
    return told("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def build_id(versions_json: str) -> str:
    """A short name of one set of versions."""
    return _hash(versions_json, 8)
