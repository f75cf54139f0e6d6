"""The domain runs on a machine that has torch, numpy, scipy and pydantic, and nothing else."""

import importlib.metadata
import json
import re
import subprocess
import sys

SCRIPT = """
import importlib.abc, json, sys

refused = set(json.loads(sys.argv[1]))

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is refused", name=name)
        return None

sys.meta_path.insert(0, Refuse())
from orchestrator.domain.learner import Learner
from orchestrator.domain.pack import run_pack
from orchestrator.domain.plugin import scan
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
import torch

torch.set_num_threads(1)
scan()
trained = []
for kind, learner in Learner.kinds.items():
    target = next(one for one in Target.kinds.values() if one.labels in learner.reads)
    cell = Cell(target(), learner(), Point(d=5, n=6, k=2))
    results = run_pack([Trial(cell, repeat) for repeat in range(3)])
    trained += [kind] * all(result.measures for result in results)
print(json.dumps([trained, sorted(name.partition(".")[0] for name in sys.modules)]))
"""


def installed_outside(distributions: set[str]) -> set[str]:
    """Top-level names of everything installed that none of those distributions owns."""
    return {
        name
        for name, owners in importlib.metadata.packages_distributions().items()
        if not distributions & {_normal(owner) for owner in owners}
    } - {"orchestrator"}


def with_what_they_need(wanted: set[str]) -> set[str]:
    """Those distributions and, without extras, all that they require."""
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # required on another platform only
        names = {re.split(r"[^\w.-]", one)[0] for one in requirements if "extra ==" not in one}
        wanted |= {_normal(one) for one in names} - seen
    return seen


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_learner_trains_where_only_torch_numpy_scipy_and_pydantic_can_be_imported():
    refused = installed_outside(with_what_they_need({"torch", "numpy", "scipy", "pydantic"}))
    assert {"ray", "mlflow", "optuna", "pandas", "yaml", "typer", "rich", "sqlalchemy"} <= refused
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(sorted(refused))],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trained, imported = json.loads(done.stdout.splitlines()[-1])
    assert len(trained) >= 6
    assert not set(imported) & refused
