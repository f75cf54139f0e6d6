"""What a program, a notebook or the command line calls: `run`, `open_sweep` and what stands around.

`running` answers an experiment and `publishing` tells of it meanwhile, `reading` looks at what was
answered, `notebook` does both for people in Python, `mirroring` compares and repairs MLflow,
`claims` sets answers beside what papers say, `catalogue` says what exists, `places` where results
are kept and trials run, `stores` whether they can be, `files` turns an answer into files, and
`exporting` every trial.
"""

from orchestrator.api.catalogue import kind_named, kinds, load_plugins, load_spec, outline
from orchestrator.api.claims import ClaimRow, claims, put_in
from orchestrator.api.exporting import export
from orchestrator.api.files import report_bytes
from orchestrator.api.mirroring import Mirrored, mirror
from orchestrator.api.places import Machine, Place
from orchestrator.api.reading import (
    Standing,
    attempts,
    explain,
    open_sweep,
    rows_of,
    spec_of,
    standing,
    sweep_and_members,
    sweeps,
    ui_command,
)
from orchestrator.api.running import run, to_resume
from orchestrator.api.stores import check_store
from orchestrator.spec import ExperimentSpec, json_schema, new_file

__all__ = [
    "ClaimRow",
    "ExperimentSpec",
    "Machine",
    "Mirrored",
    "Place",
    "Standing",
    "attempts",
    "check_store",
    "claims",
    "explain",
    "export",
    "json_schema",
    "kind_named",
    "kinds",
    "load_plugins",
    "load_spec",
    "mirror",
    "new_file",
    "open_sweep",
    "outline",
    "put_in",
    "report_bytes",
    "rows_of",
    "run",
    "spec_of",
    "standing",
    "sweep_and_members",
    "sweeps",
    "to_resume",
    "ui_command",
]
