"""A file of one's own, given with --plugins, is like a built-in: the one that the README shows."""

import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

ROOT = Path(__file__).parent.parent.parent

SPEC = """\
# How many votes does averaging need to find the majority of three?
format: 1
name: votes
target: {kind: majority}
learner: {kind: hebbian}
axes: {d: [9, 15], k: 3, n: {low: 4, high: 400}}
success: {measure: test_accuracy, above: 0.8}
search: {kind: threshold, tolerance: 0.3, max_trials: 200}
"""


def shown_in_readme() -> str:
    """The plug-in file of the README."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "class Majority" in block]
    return block


def phasefront(folder: Path, *words: str) -> str:
    """What a command prints, in a process of its own."""
    program = "from orchestrator.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("votes")
    (folder / "mine.py").write_text(shown_in_readme())
    (folder / "votes.yaml").write_text(SPEC)
    out = phasefront(folder, "run", "votes.yaml", "--plugins", "mine.py", "--slots", "1")
    assert "hebbian on majority" in out
    return folder


def test_it_is_listed_beside_the_built_in_ones(answered: Path):
    assert "majority" in phasefront(answered, "targets", "--plugins", "mine.py")
    assert "Hebb's rule" in phasefront(answered, "learners", "hebbian", "--plugins", "mine.py")


def test_it_trains_on_ray_and_is_read_again_without_being_named(answered: Path):
    (answered / "mine.py").rename(answered / "gone.py")
    assert "hebbian on majority" in phasefront(answered, "thresholds", "votes")
    phasefront(answered, "report", "votes", "-o", "votes.html")
    assert "hebbian" in (answered / "votes.html").read_text()
    assert "hebbian on majority" in phasefront(answered, "resume", "votes", "--in-process")
    (answered / "gone.py").rename(answered / "mine.py")


# MLflow 3.17 uses a loader strategy that SQLAlchemy 2.1 deprecates; may go when MLflow stops.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_it_is_in_mlflow_with_its_settings(answered: Path):
    client = mlflow.MlflowClient(f"sqlite:///{answered}/mlflow_store/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'votes'")
    runs = client.search_runs([experiment.experiment_id], "tags.`phasefront.role` = 'cell'")
    assert runs
    assert {run.data.params["target.kind"] for run in runs} == {"majority"}
    assert {run.data.params["k"] for run in runs} == {"3"}
    assert all("success_rate" in run.data.metrics for run in runs)
