"""What the process that drivers are forked from does once for all of them: import, and warm up."""

import tempfile

import orchestrator.cli.app  # noqa: F401
import tests.faults.driver  # noqa: F401
from orchestrator.tracking.places import store_at
from orchestrator.tracking.writer import client_of

with tempfile.TemporaryDirectory() as folder:  # MLflow imports what it needs as it comes to it
    client_of(store_at(folder))
