"""One measurement, one fresh process: what a module imports or leaves running changes no other."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # two workers on two cores; more threads only get in their way
    "MKL_CBWR": "AVX2,STRICT",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def measured(module: str, **arguments: Any) -> dict[str, Any]:
    """What `benchmarks.engine.<module>` says when run with those arguments.

    Raises `RuntimeError` with the end of its output when it fails.
    """
    command = [sys.executable, "-m", f"benchmarks.engine.{module}", json.dumps(arguments)]
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"{module} {arguments}: {ended.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def answer(measure: Callable[..., dict[str, Any]]) -> None:
    """Measure with the arguments of the command line and say the result as one line of JSON."""
    found = measure(**json.loads(sys.argv[1]))
    print()
    print(json.dumps(found), flush=True)
