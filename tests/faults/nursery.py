"""What the process that drivers are forked from does once for all of them: import, and warm up."""

import tempfile

import orchestrator.cli.app  # noqa: F401
import tests.faults.driver  # noqa: F401
from orchestrator.tracking.client import client_of
from orchestrator.tracking.places import store_at

with tempfile.TemporaryDirectory() as folder:  # MLflow imports what it needs as it comes to it
    client_of(store_at(folder))
