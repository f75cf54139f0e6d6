"""Files of arrays that nobody honest has written, under names that say they are whole."""

import io
from pathlib import Path

import numpy as np

from orchestrator.domain.array_files import name_of


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self._canary,)  # type: ignore[return-value]


def forged(home: Path, harm: str, canary: Path, before: str = "") -> Path:
    """A file in the folder of a trial, of which nothing but the content is wrong."""
    content = io.BytesIO()
    match harm:
        case "pickled":
            np.savez(content, networks=np.array([Touch(canary)], dtype=object))
        case "compressed":
            np.savez_compressed(content, networks=np.zeros(1000))
        case "too large":
            np.savez(content, networks=np.zeros(1 << 15))
        case "no archive":
            np.save(content, np.array([Touch(canary)], dtype=object))
    home.mkdir(exist_ok=True)
    path = home / (before + name_of(home.name, content.getvalue()))
    path.write_bytes(content.getvalue())
    return path
