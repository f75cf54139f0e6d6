"""The notebook that is shipped, run cell by cell by a real kernel."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "experiments" / "explore.ipynb"


@pytest.fixture(scope="module")
def written() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_shipped_without_outputs(written: nbformat.NotebookNode):
    code = [cell for cell in written.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_it_runs_and_shows_thresholds_law_and_pictures(
    written: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = str(NOTEBOOK.parents[1])
    for name, value in {
        "PYTHONPATH": root,
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(tmp_path),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PLOTLY_RENDERER": "plotly_mimetype",
    }.items():
        monkeypatch.setenv(name, value)
    client = NotebookClient(written, timeout=300, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    shown = [
        output.data
        for cell in written.cells
        for output in cell.get("outputs", ())
        if output.output_type in ("execute_result", "display_data")
    ]
    html = "".join(data.get("text/html", "") for data in shown)
    for words in ("How many random labels can a linear separator fit?", "n_star", "exponent"):
        assert words in html
    pictures = [data for data in shown if "application/vnd.plotly.v1+json" in data]
    assert len(pictures) == 2
    assert shown[-1]["text/plain"] == "True"
