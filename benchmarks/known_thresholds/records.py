"""Sweeps that were trained, kept on disk: one JSON line each, one file per system.

A line names the sources and the machine that it was made with. Lines of other sources or machines
are kept and void: seconds can be compared only where search and grid ran alike. A line that a kill
cut off is ignored.
"""

import hashlib
import json
import platform
from functools import cache
from pathlib import Path

import torch

import orchestrator
from benchmarks.known_thresholds.training import Trained
from orchestrator.spec import ExperimentSpec

RECORDS = Path(__file__).parent / "records"

TRAINS = ("domain", "engine", "plan", "sweep.py")
"""Sources below the package that training hangs on."""

SEEKS = (*TRAINS, "inference", "search", "spec")
"""Sources that a threshold search hangs on."""


class Records:
    """The records below a folder."""

    def __init__(self, folder: Path = RECORDS) -> None:
        self.folder = folder

    def add(self, system: str, spec: ExperimentSpec, trained: Trained) -> None:
        """Append a sweep and see it through to the file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = {**_origin(spec), "trained": trained.model_dump(mode="json")}
        with self._path(system).open("a") as file:
            file.write("\n" + json.dumps(line, separators=(",", ":")))

    def find(self, system: str, spec: ExperimentSpec) -> Trained | None:
        """The newest record of this sweep by these sources on this machine."""
        path, origin = self._path(system), _origin(spec)
        for text in reversed(path.read_text().splitlines() if path.exists() else []):
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            if all(line[name] == value for name, value in origin.items()):
                return Trained.model_validate(line["trained"])
        return None

    def _path(self, system: str) -> Path:
        return self.folder / f"{system}.jsonl"


def _origin(spec: ExperimentSpec) -> dict[str, str]:
    parts = SEEKS if spec.search.kind == "threshold" else TRAINS
    return {"sweep": spec.id, "sources": _sources(parts), "machine": _machine()}


@cache
def _sources(parts: tuple[str, ...]) -> str:
    """A hash of those sources as they were when first asked for."""
    root, digest = Path(orchestrator.__file__).parent, hashlib.blake2b(digest_size=8)
    for part in parts:
        for path in sorted([root / part] if part.endswith(".py") else (root / part).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _machine() -> str:
    """Type of CPU and build of torch."""
    listed = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (listed.read_text().splitlines() if listed.exists() else [])
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.processor()}, torch {torch.__version__}"
