"""What things are called in MLflow: tags, parameters, metrics. Other programs may rely on these."""

import json
from collections.abc import Mapping
from typing import Any, Final

ROLE: Final = "phasefront.role"
"""`sweep` on the parent run of a sweep, `cell` on each nested run."""

SWEEP: Final = "phasefront.sweep"
"""The sweep's id, on its parent run and on every cell of it."""

NAME: Final = "phasefront.name"
QUESTION: Final = "phasefront.question"
STATUS: Final = "phasefront.status"
STOPPED_BY: Final = "phasefront.stopped_by"

CELL: Final = "phasefront.cell"
"""The cell's key."""

TARGET: Final = "phasefront.target"
LEARNER: Final = "phasefront.learner"
"""Settings of a cell as JSON, from which it can be rebuilt; parameters show them one by one."""

ARM: Final = "phasefront.arm"
"""The arm's place in the file, counted from 0."""

COMMIT: Final = "phasefront.commit"
"""Written last: `<cell key>:<results and gaps told>` on a cell, `<sweep id>` on a sweep.

A run without it is half-written.
"""

REFUSED: Final = "phasefront.refused"
"""On a cell of which MLflow took not everything: JSON list of the names that it refused."""

REUSABLE: Final = "spec/reusable.json"
"""Artifact of a sweep that could reuse trials when it was first opened."""

EXPERIMENT_TAGS: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's pages open on runs and their charts, not on traces of language models."""

VERSIONS: Final = "phasefront.versions"
"""On sweeps and cells: JSON of the versions that the process had which made the run, and the commit
of this package where it has one. The ledger knows with which each trial was trained."""

PARENT: Final = "mlflow.parentRunId"
SOURCE_NAME: Final = "mlflow.source.name"
SOURCE_TYPE: Final = "mlflow.source.type"
SOURCE_COMMIT: Final = "mlflow.source.git.commit"
USER: Final = "mlflow.user"
NOTE: Final = "mlflow.note.content"

OUTCOME_NUMBERS: Final = {"fitted": 0.0, "diverged": 1.0, "out_of_budget": 2.0}
GAP_NUMBER: Final = 3.0
"""The value of `trial.outcome` for a trial that its sweep gave up.

A result that another sweep brought later follows it, at the same step and a later time.
"""

RUN_STATUS: Final = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "interrupted": "KILLED",
    "cancelled": "KILLED",
    "failed": "FAILED",
}

TEXT_LIMIT: Final = 5000
"""Longest value of a tag or parameter, in characters; MLflow refuses more than 6000 or 8000."""


def cell_params(row: Mapping[str, Any], seed: int) -> dict[str, str]:
    """Every setting of a cell (a row of `cells`): `target.kind`, `learner.width`, …"""
    params = {"d": row["d"], "n": row["n"], "k": row["k"], "seed": seed}
    for part in ("target", "learner"):
        params[f"{part}.revision"] = row[f"{part}_revision"]
        for name, value in json.loads(row[part]).items():
            params[f"{part}.{name}"] = value
    return {name: shown(value) for name, value in params.items()}


def shown(value: Any) -> str:
    """A value as a person would write it, and no longer than MLflow takes."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
