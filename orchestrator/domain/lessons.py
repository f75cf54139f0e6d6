"""Lessons: what trials have learned, kept by key for the trials that learn from them.

One file per trial that teaches, beside the checkpoints:

    <folder>/<key>/<format>-<checksum>.npz

A lesson follows from its key alone, as a result does, so it does not matter where it comes from:
the memory of the process that trained it, a file (`array_files`), or another process that handed it
over. Where none of these has it, or has it whole, its teacher is trained again.
"""

import logging
import os
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from orchestrator.domain.array_files import (
    MOST_BYTES,
    Arrays,
    home_of,
    is_own,
    is_too_large,
    name_of,
    packed,
    read_sound,
    size_of,
    unpacked,
    write_whole,
)
from orchestrator.errors import LessonsMissing

HELD_BYTES = 1 << 28
"""Lessons held in memory between packs at most; those used longest ago go first. By hand."""

log = logging.getLogger(__name__)


class Lessons:
    """Lessons of this process and of `folder`, if there is one and it can be seen from here.

    A file whose checksum is another is removed, as if it had never been; one of another format
    (`array_files`) is somebody else's, and passed over. What the pack now at work
    learns from or teaches stays in memory until the next begins, however much it is.
    """

    def __init__(self, folder: Path | None = None, held_bytes: int = HELD_BYTES) -> None:
        self._folder, self._held_bytes = folder, held_bytes
        self._held: OrderedDict[str, Arrays] = OrderedDict()
        self._names: dict[str, str] = {}
        self._at_work: set[str] = set()

    def make(self) -> None:
        """Make the folder, for this user alone. Raises `OSError`."""
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self, keys: Iterable[str]) -> None:
        """A pack that learns from those begins: they stay, and the pack before may go."""
        self._at_work = set(keys)
        self._let_go()

    def need(self, keys: Iterable[str]) -> None:
        """`begin`, and have those lessons in memory. Raises `LessonsMissing` with all that are not
        to be had here.
        """
        wanted = dict.fromkeys(keys)
        self.begin(wanted)
        missing = tuple(key for key in wanted if self._found(key) is None)
        if missing:
            raise LessonsMissing(missing)

    def keep(self, key: str, lesson: Arrays) -> None:
        """Hold a lesson and write it. A disk that refuses is complained of and no more.

        Raises `ValueError` for one that is too large for a file, or to be handed over.
        """
        if is_too_large(lesson):
            raise ValueError(
                f"what the trial teaches takes {size_of(lesson):,} bytes, "
                f"and a lesson may take {MOST_BYTES:,}"
            )
        self._at_work.add(key)
        content = packed(lesson)
        name = name_of(key, content)
        self._hold(key, lesson)
        self._names[key] = name
        if self._folder is None or not self._folder.is_dir():
            return
        try:
            write_whole(home_of(self._folder, key) / name, content)
        except OSError as error:
            log.warning("what trial %s taught cannot be written: %s", key[:8], error)

    def take_over(self, handed: Mapping[str, bytes]) -> None:
        """Hold lessons by key, as another process packed them (`content`)."""
        for key, content in handed.items():
            self._hold(key, unpacked(content))

    def content(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Those of the lessons that are held here, packed for another process."""
        return {key: packed(self._held[key]) for key in keys if key in self._held}

    def names(self, keys: Iterable[str]) -> dict[str, str]:
        """The names of the files of those lessons that were made here."""
        if not self._names:
            return {}
        return {key: self._names[key] for key in keys if key in self._names}

    def holds(self, key: str) -> bool:
        """Whether it is in memory."""
        return key in self._held

    def of(self, keys: Sequence[str]) -> dict[str, torch.Tensor]:
        """What those trials taught: tensors with leading axis len(keys), on the CPU.

        Raises `LessonsMissing` for those that are not to be had here.
        """
        found = {key: self._found(key) for key in dict.fromkeys(keys)}
        missing = tuple(key for key, lesson in found.items() if lesson is None)
        if missing:
            raise LessonsMissing(missing)
        rows = [found[key] for key in keys]
        names = rows[0] or {}
        return {
            name: torch.from_numpy(np.stack([row[name] for row in rows if row is not None]))
            for name in names
        }

    def _found(self, key: str) -> Arrays | None:
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        for path in self._files(key):
            try:
                lesson = unpacked(read_sound(path, key, path.name))
            except OSError as error:
                log.warning("%s cannot be read: %s", path, error)
            except (ValueError, KeyError, zipfile.BadZipFile):
                log.warning("%s is damaged; its teacher is trained again", path)
                with suppress(OSError):
                    path.unlink()
            else:
                self._hold(key, lesson)
                return lesson
        return None

    def _files(self, key: str) -> list[Path]:
        if self._folder is None:
            return []
        home = home_of(self._folder, key)
        try:
            names = [] if home.is_symlink() else os.listdir(home)
        except OSError:
            return []
        return [home / name for name in sorted(names) if is_own(name)]

    def _hold(self, key: str, lesson: Arrays) -> None:
        self._held[key] = lesson
        self._held.move_to_end(key)
        self._let_go()

    def _let_go(self) -> None:
        """Of what the pack at work has nothing to do with, until the rest fits."""
        size = sum(map(size_of, self._held.values()))
        for key in [key for key in self._held if key not in self._at_work]:
            if size <= self._held_bytes:
                return
            size -= size_of(self._held.pop(key))
