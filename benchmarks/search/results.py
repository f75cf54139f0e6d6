"""Records on disk: one JSON line per problem, one file per method and family.

A line names the version of its method and the revision of the problems; others than the present
ones are kept but void. A line that a kill cut off is ignored, and the problem is run again.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.search.families import REVISION

RESULTS = Path(__file__).parent / "results"

Record = dict[str, Any]


class Results:
    """The records below a folder."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self.folder = folder

    def add(self, method: str, family: str, record: Record) -> None:
        """Append a record and see it through to the file."""
        path = self._path(method, family)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(record, separators=(",", ":"))
        with path.open("a+b") as file:
            if file.tell() and not self._ends_with_newline(path):
                text = "\n" + text
            file.write(text.encode() + b"\n")

    def records(self, method: str, family: str, version: str | None) -> dict[int, Record]:
        """Problem number to record of one version, the last where there are several."""
        return {
            record["problem"]: record
            for record in self._read(method, family)
            if record["revision"] == REVISION and record["version"] == version
        }

    def versions(self, method: str) -> Counter[str]:
        """The versions there are records of, with how many."""
        folder = self.folder / method
        families = [path.stem for path in sorted(folder.glob("*.jsonl"))]
        return Counter(
            record["version"]
            for family in families
            for record in self._read(method, family)
            if record["revision"] == REVISION
        )

    def _path(self, method: str, family: str) -> Path:
        return self.folder / method / f"{family}.jsonl"

    def _ends_with_newline(self, path: Path) -> bool:
        return path.read_bytes().endswith(b"\n")

    def _read(self, method: str, family: str) -> list[Record]:
        path = self._path(method, family)
        if not path.exists():
            return []
        rows = []
        for line in path.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return rows
