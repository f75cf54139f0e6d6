"""Checkpoints: where long trials stand, on disk, so that a dead worker costs seconds of training.

One file per trial, because a pack that was lost may come back split or mixed with others:

    <folder>/<key>/<at>-<format>-<checksum>.npz

A file is there whole or not at all, and the checksum in its name tells a damaged one
(`array_files`), which is removed as if it had never been; one of another format is passed over. Two
workers that train one key (the older cut off) write states of the same path, and either will do. A
checkpoint changes how long a trial takes and never what comes of it. What cannot be saved, because
the disk is full or the folder is not to be seen from this machine, is simply trained again.
"""

import logging
import os
import re
import shutil
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from orchestrator.domain.array_files import (
    Arrays,
    home_of,
    is_key,
    is_own,
    is_too_large,
    name_of,
    packed,
    read_sound,
    unpacked,
    write_whole,
)

EVERY_S = 20.0
"""Seconds of training between two checkpoints of a pack. By hand: most packs take two."""

SHARE = 0.02
"""The share of a pack's time that saving may take; slow disks are written to less often."""

_NAME = re.compile(r"(\d{10})-(.*)")
_SECONDS = "seconds spent"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Where the trials of a pack stand: `state` after `at` of the learner's own units, 0 and up.

    Every tensor of `state` has leading axis B; row b is trial b's. A row must not depend on the
    company it was computed in, and must hold all that the rest of the fit needs of the past.
    """

    at: int
    state: Mapping[str, torch.Tensor]


class Checkpointer:
    """What a learner that is `resumable` asks where to begin, and tells where it stands.

    This one knows nothing and keeps nothing.
    """

    @property
    def is_due(self) -> bool:
        """Whether `save` would save now; cheap, for asking at every turn."""
        return False

    def saved(self) -> Checkpoint | None:
        """Where the pack stood when it was last saved; None to begin at the beginning."""
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep this instead of what was saved before. Raises nothing for want of a disk."""


@dataclass(frozen=True)
class SavedTrial:
    """One trial's checkpoint: arrays without the axis B, and the seconds it took to get there."""

    at: int
    state: Arrays
    seconds: float


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints under `folder`, which is nobody's until it is made: `make` makes it.

    Workers that do not see the folder save nothing and find nothing.
    """

    folder: Path
    every_s: float = EVERY_S

    def make(self) -> None:
        """Make the folder, for this user alone. Raises `OSError`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keys(self) -> list[str]:
        """Keys of trials that have something here, as far as the folder can be read."""
        with suppress(OSError):
            return [name for name in os.listdir(self.folder) if is_key(name)]
        return []

    def forget(self, keys: Iterable[str]) -> None:
        """Remove all checkpoints of these trials."""
        for key in keys:
            shutil.rmtree(self._home(key), ignore_errors=True)  # follows no symbolic link

    def load(self, key: str) -> SavedTrial | None:
        """The furthest sound checkpoint of a trial; damaged ones are removed on the way."""
        for path in self._files(key):
            try:
                return _read(path, key)
            except OSError as error:
                log.warning("%s cannot be read: %s", path, error)
            except (ValueError, KeyError, zipfile.BadZipFile):
                log.warning("%s is damaged; its trial goes on from an older one, or anew", path)
                with suppress(OSError):
                    path.unlink()
        return None

    def save(self, key: str, saved: SavedTrial) -> None:
        """Keep this and remove what was kept before. Raises `OSError`."""
        if not self.folder.is_dir() or is_too_large(saved.state):
            return
        content = packed({**saved.state, _SECONDS: np.asarray(saved.seconds)})
        path = self._home(key) / f"{saved.at:010d}-{name_of(key, content)}"
        older = [one for one in self._files(key) if one != path]
        write_whole(path, content)
        for one in older:
            one.unlink(missing_ok=True)

    def _home(self, key: str) -> Path:
        return home_of(self.folder, key)

    def _files(self, key: str) -> list[Path]:
        """Furthest first."""
        home = self._home(key)
        try:
            names = [] if home.is_symlink() else os.listdir(home)
        except OSError:
            return []
        return [home / name for name in sorted(names, reverse=True) if _is_ours(name)]


class PackCheckpointer(Checkpointer):
    """The checkpointer of trials that are fitted together and stand equally far.

    `keys` may be fewer than the pack's rows: a twin that pads the pack is not saved.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        keys: Sequence[str],
        saved: Sequence[SavedTrial | None],
        device: str = "cpu",
    ) -> None:
        self._checkpoints, self._keys, self._saved, self._device = checkpoints, keys, saved, device
        self._began = time.perf_counter()
        self._due = self._began + checkpoints.every_s

    @property
    def is_due(self) -> bool:
        """See `Checkpointer`."""
        return time.perf_counter() >= self._due

    def saved(self) -> Checkpoint | None:
        """See `Checkpointer`."""
        known = [one for one in self._saved if one is not None]
        if not known:
            return None
        state = {
            name: torch.from_numpy(np.stack([one.state[name] for one in known])).to(self._device)
            for name in known[0].state
        }
        return Checkpoint(known[0].at, state)

    def save(self, checkpoint: Checkpoint) -> None:
        """See `Checkpointer`."""
        started = time.perf_counter()
        share_s = (started - self._began) / len(self._keys)
        arrays = {name: tensor.cpu().numpy() for name, tensor in checkpoint.state.items()}
        for row, (key, before) in enumerate(zip(self._keys, self._saved, strict=False)):
            own = {name: array[row] for name, array in arrays.items()}
            seconds = share_s + (before.seconds if before else 0.0)
            try:
                self._checkpoints.save(key, SavedTrial(checkpoint.at, own, seconds))
            except OSError as error:
                log.warning("a checkpoint cannot be saved, so training goes on without: %s", error)
                break
        now = time.perf_counter()
        self._due = now + max(self._checkpoints.every_s, (now - started) / SHARE)


def _is_ours(name: str) -> bool:
    found = _NAME.fullmatch(name)
    return found is not None and is_own(found[2])


def _read(path: Path, key: str) -> SavedTrial:
    """Raises `ValueError`, `KeyError`, `BadZipFile` or `OSError` for what is not a sound one."""
    found = _NAME.fullmatch(path.name)
    assert found is not None  # `_is_ours` said so
    state = unpacked(read_sound(path, key, found[2]))
    seconds = float(state.pop(_SECONDS))
    return SavedTrial(int(found[1]), state, seconds)
