"""The ledger and MLflow of one sweep: compared, and made equal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.api.files import artifacts_of, note_of
from orchestrator.api.places import Place
from orchestrator.api.reading import find, found_of, reader_of, spec_of, with_learning
from orchestrator.errors import RequestError
from orchestrator.ports import SweepRecord

if TYPE_CHECKING:
    from orchestrator.tracking.compare import Compared


@dataclass(frozen=True)
class Mirrored:
    """How MLflow stood beside the ledger, and how it stands once repaired; `after` is None where
    nothing had to be done, or nothing was to be changed.
    """

    record: SweepRecord
    before: "Compared"
    after: "Compared | None" = None

    @property
    def is_equal(self) -> bool:
        """Whether MLflow now has everything, exactly once."""
        return (self.after or self.before).is_equal

    def as_json(self) -> dict[str, Any]:
        """Plain values; format 1."""
        return {
            "format": 1,
            "sweep": self.record.id,
            "name": self.record.name,
            "equal": self.is_equal,
            "before": _json(self.before),
            "after": _json(self.after) if self.after else None,
        }


def _json(found: "Compared") -> dict[str, Any]:
    return {
        "cells": found.cells,
        "trials": found.trials,
        "untold": found.untold,
        "differences": found.counts(),
        "sweep_run": list(found.parent),
    }


def _made_again(reader: Any, record: SweepRecord) -> tuple[Mapping[str, bytes], str]:
    """What lies with the run of a finished sweep; of another nothing is missed."""
    if record.status != "finished":
        return {}, ""
    members = reader.members(record.id)
    found = found_of(spec_of(record), record, members, record.status, record.stopped_by)
    found = with_learning(found, lambda keys: reader.curves(record.id, keys))
    return artifacts_of(found), note_of(found)


def mirror(sweep: str, place: Place | None = None, only_look: bool = False) -> Mirrored:
    """Compare a sweep's ledger with MLflow, and repair MLflow unless told to look only.

    Raises `UnknownSweep`; `RequestError` where the ledger cannot be reached, since nothing else
    knows what MLflow should have; `SweepInUse`, `TrackerUnreachable`.
    """
    from orchestrator.tracking import compared, repair

    place = place or Place.chosen()
    reader = reader_of(place)
    try:
        record = find(reader.sweeps(), sweep)
        if reader.source != "ledger":
            raise RequestError(
                "the ledger cannot be reached, so there is nothing to compare MLflow with; "
                f"rebuild it with: phasefront resume {record.id} --from-mlflow{place.words}"
            )
        before = compared(place.store, place.ledger, record.id)
        if before.is_equal or only_look:
            return Mirrored(record, before)
        files, note = _made_again(reader, record) if before.parent else ({}, "")
        after = repair(place.store, place.ledger, record.id, before, files, note)
        return Mirrored(record, before, after)
    finally:
        reader.close()
