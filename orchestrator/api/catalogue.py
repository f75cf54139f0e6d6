"""What exists and what would run: plug-ins, experiment files, outlines."""

import os
from collections.abc import Sequence
from pathlib import Path

from orchestrator.api.places import Place
from orchestrator.api.reading import reader_of
from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import Plugin, load_entry_points, load_file, scan
from orchestrator.domain.target import Target
from orchestrator.errors import Unreachable
from orchestrator.plan.outline import Outline
from orchestrator.plan.outline import outline as _outline
from orchestrator.plan.reuse import Reusable, wanted
from orchestrator.spec import ExperimentSpec, load


def load_plugins(paths: Sequence[Path] = ()) -> list[tuple[str, str]]:
    """Make installed and named plug-ins known; (name, source) of the files, which workers need.

    Raises `PluginError` when one does not load.
    """
    load_entry_points()
    return [load_file(path) for path in paths]


def load_spec(path: Path, overrides: Sequence[str] = ()) -> ExperimentSpec:
    """Read an experiment file. Raises `SpecError` with all its faults."""
    return load(path, overrides)


def kinds(family: str) -> dict[str, type[Plugin]]:
    """Every known target or learner by kind; `family` is "target" or "learner"."""
    scan()
    return dict((Target if family == "target" else Learner).kinds)


def kind_named(family: str, kind: str) -> type[Plugin]:
    """The target or learner of that kind. Raises `PluginError` with the nearest known one."""
    return (Target if family == "target" else Learner).kind_named(kind)


def outline(spec: ExperimentSpec, slots: int | None = None, place: Place | None = None) -> Outline:
    """What would run on that many slots (one per core of this machine), and what is stored of it.

    Trains nothing and writes nothing. Raises `RequestError` where `run` would, for its search.
    """
    if spec.search.kind == "optuna":  # no other search can be unable, and optuna takes its time
        from orchestrator.search.proposers import check_ready

        check_ready(spec)
    return _outline(spec, slots or os.cpu_count() or 1, _reusable(spec, place))


def _reusable(spec: ExperimentSpec, place: Place | None) -> list[Reusable] | None:
    try:
        reader = reader_of(place)
    except Unreachable:
        return None
    try:
        found: list[Reusable] = reader.reusable(wanted(spec), spec.seed)
        return found
    finally:
        reader.close()
