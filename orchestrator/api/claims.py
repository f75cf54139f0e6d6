"""The claims table: what experiment files claim, beside what their stored sweeps measured."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.api.places import Place
from orchestrator.api.reading import found_of, reader_of
from orchestrator.claims import Judged, judged, unjudged
from orchestrator.errors import RequestError
from orchestrator.ports import SweepRecord
from orchestrator.spec import ExperimentSpec, load

log = logging.getLogger(__name__)

SUFFIXES = (".yaml", ".yml", ".toml", ".json")

BEGIN, END = "<!-- claims: written by `phasefront claims` -->", "<!-- claims: end -->"
"""Around the table in a page that has one."""

HEAD = (
    "experiment",
    "paper",
    "claim",
    "measured",
    "verdict",
    "trials",
    "gaps",
    "seconds",
    "commit",
)


@dataclass(frozen=True)
class ClaimRow:
    """One claim of one experiment file, and the sweep that speaks of it; `sweep` is empty where
    none does. `seconds` are of training, summed over trials.
    """

    experiment: str
    said: Judged
    sweep: str = ""
    status: str = ""
    trials: int = 0
    gaps: int = 0
    seconds: float = 0.0
    commit: str = ""

    @property
    def verdict(self) -> str:
        """The verdict, and the sweep's status unless it is finished."""
        going = "" if self.status in ("", "finished") else f", {self.status}"
        return f"{self.said.verdict}{going}"

    def as_json(self) -> dict[str, Any]:
        """A row for programs."""
        words = ("source", "claim", "measured", "verdict")
        return {
            "experiment": self.experiment,
            **{word: getattr(self.said, word) for word in words},
            "sweep": self.sweep or None,
            "status": self.status or None,
            "trials": self.trials,
            "gaps": self.gaps,
            "seconds": self.seconds,
            "commit": self.commit or None,
        }

    def cells(self) -> tuple[str, ...]:
        """A row for people; see `HEAD`."""
        ran = (f"{self.trials:,}", f"{self.gaps:,}", f"{self.seconds:,.0f}", self.commit or "–")
        said = self.said
        return (
            *(self.experiment, said.source or "–", said.claim, said.measured, self.verdict),
            *(ran if self.sweep else ("–",) * len(ran)),
        )


def claims(paths: Sequence[Path], place: Place | None = None) -> list[ClaimRow]:
    """Every claim of the experiment files there, folders searched; files in order of their names.

    The sweep that speaks of a file is the one `run` would go on with: another seed, or a word
    changed on the command line, is another question. Raises `SpecError`, and `RequestError` for a
    path without a file.
    """
    asked = [(path.name, load(path)) for path in _files(paths)]
    if _is_empty(place or Place.chosen()):
        return [row for name, spec in asked for row in _unrun(name, spec)]
    reader = reader_of(place)
    if reader.source == "mlflow":
        log.warning("the ledger cannot be read; this is what MLflow was told")
    try:
        records = {record.id: record for record in reader.sweeps()}
        return [row for name, spec in asked for row in _rows(name, spec, records, reader)]
    finally:
        reader.close()


def table(rows: Sequence[ClaimRow], others: Sequence[str] = ()) -> str:
    """The rows as a Markdown table, with lines of `others` among them by the names of files."""
    head = [_line(HEAD), _line(("---",) * len(HEAD))]
    lines = [*(_line(row.cells()) for row in rows), *others]
    return "\n".join([*head, *sorted(lines, key=_experiment_of)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _experiment_of(line: str) -> str:
    return line.split("|")[1].strip()


def _escaped(cell: str) -> str:
    """One line without marks that Markdown would read."""
    return " ".join(cell.split()).replace("|", "∣").replace("*", "\\*")


def put_in(page: str, rows: Sequence[ClaimRow], whole: bool = True) -> str:
    """The page with its table replaced; unless it is `whole`, lines of files without a row stay.

    Raises `RequestError` where the page has no place for a table.
    """
    before, begin, rest = page.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise RequestError(f"no place for the table; put these two lines where it belongs:\n"
                           f"{BEGIN}\n{END}")  # fmt: skip
    told = {"experiment", "---", *(row.experiment for row in rows)}
    lines = [line for line in old.splitlines() if line.startswith("| ")]
    others = [] if whole else [line for line in lines if _experiment_of(line) not in told]
    return f"{before}{BEGIN}\n\n{table(rows, others)}\n\n{END}{after}"


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(one for one in sorted(path.iterdir()) if one.suffix in SUFFIXES)
        elif path.is_file():
            found.append(path)
        else:
            raise RequestError(f"{path}: no such file or folder; give experiment files")
    return found


def _is_empty(place: Place) -> bool:
    """Whether nothing was ever answered there; a place that does not answer is another matter."""
    if "://" in place.store or place.ledger is not None:
        return False
    return not any((Path(place.store) / name).exists() for name in ("ledger.db", "mlflow.db"))


def _unrun(name: str, spec: ExperimentSpec) -> list[ClaimRow]:
    return [ClaimRow(name, said) for said in unjudged(spec)]


def _rows(
    name: str, spec: ExperimentSpec, records: Mapping[str, SweepRecord], reader: Any
) -> list[ClaimRow]:
    record = records.get(spec.id)
    if record is None or not spec.theory:
        return _unrun(name, spec)
    found = found_of(spec, record, reader.members(spec.id), record.status, record.stopped_by)
    built: list[Mapping[str, str]] = reader.builds(spec.id)
    return [
        ClaimRow(
            experiment=name,
            said=said,
            sweep=spec.id,
            status=found.status,
            trials=found.finished_trials,
            gaps=found.gaps,
            seconds=math.fsum(row.seconds for row in found.rows),
            commit=", ".join(dict.fromkeys(one.get("commit", "?") for one in built)),
        )
        for said in judged(spec, found)
    ]
