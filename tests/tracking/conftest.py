"""An MLflow store to write to. Making its database takes seconds: it is made once and copied."""

import shutil
from pathlib import Path

import pytest

from orchestrator.tracking.client import client_of
from orchestrator.tracking.places import Store, store_at


@pytest.fixture(scope="session")
def fresh_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    client_of(store_at(str(folder)))
    return folder / "mlflow.db"


@pytest.fixture
def store(fresh_mlflow: Path, tmp_path: Path) -> Store:
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copy(fresh_mlflow, folder / "mlflow.db")
    return store_at(str(folder))
