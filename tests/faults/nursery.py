"""What the process that drivers are forked from imports, once for all of them."""

import tests.faults.driver
from orchestrator.tracking.writer import quiet_mlflow

quiet_mlflow()
