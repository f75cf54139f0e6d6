"""The small texts that lie with a sweep's parent run, and from which a lost ledger is rebuilt."""

import json
import tomllib
from typing import Any

from orchestrator.domain.plugin import canonical_json
from orchestrator.ports import SweepRecord


def documents(record: SweepRecord) -> list[tuple[str, str]]:
    """Paths and texts: the experiment as written and as understood, and its plug-in files."""
    found = [(f"plugins/{name}.py", source) for name, source in record.plugins]
    if record.spec_source:
        found.append((f"spec/as_written{_suffix(record.spec_source)}", record.spec_source))
    understood = json.dumps(json.loads(record.spec_json), indent=2)
    return [*found, ("spec/as_understood.json", understood)]


def targets_of(record: SweepRecord) -> list[dict[str, Any]]:
    """Settings of the target classes that a sweep's arms learn, each once."""
    targets = [pair["target"] for pair in json.loads(record.spec_json).get("pairs", [])]
    return list({canonical_json(target): target for target in targets}.values())


def _suffix(source: str) -> str:
    for suffix, read in ((".json", json.loads), (".toml", tomllib.loads)):
        try:
            read(source)
            return suffix
        except ValueError:
            pass
    return ".yaml"
