"""What the executors import is what the project says it needs."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported_in(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_every_package_that_the_engine_imports_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=!~; ]", one)[0].lower() for one in declared}
    files = (ROOT / "orchestrator" / "engine").glob("*.py")
    imported = {name for file in files for name in imported_in(file)}
    foreign = imported - set(sys.stdlib_module_names) - {"orchestrator"}
    origins = packages_distributions()
    assert {"grpc", "ray", "torch", "psutil"} <= foreign
    assert not {name for name in foreign if not names & {one.lower() for one in origins[name]}}
