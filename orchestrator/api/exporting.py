"""Every trial of a sweep as a row of a file, whether it has ten trials or a million."""

import io
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from orchestrator.api.places import Place
from orchestrator.api.reading import each_row, find, reader_of, spec_of
from orchestrator.errors import RequestError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

log = logging.getLogger(__name__)


def export(sweep: str, path: Path, place: Place | None = None) -> None:
    """Write every settled trial of a sweep as a row; parquet or csv by the suffix of `path`.

    Rows are in order of arm, d, k, n, round and recording. They are written as they are read, so
    memory does not grow with the sweep. The file is there once it is whole.
    Raises `UnknownSweep`; `RequestError` for another suffix and for a path that cannot be written.
    """
    from orchestrator.tracking import check_suffix, write_trials

    check_suffix(path.suffix)
    reader = reader_of(place)
    try:
        record = find(reader.sweeps(), sweep)
        if reader.source == "mlflow":
            log.warning("the ledger cannot be reached; this is what MLflow has")
        spec = spec_of(record)
        arms = [(arm.target.settings, arm.learner.settings) for arm in spec.arms]
        with reader.table(record.id) as (measures, members), _whole(path) as sink:
            write_trials(each_row(spec, members), measures, path.suffix, sink, arms)
    finally:
        reader.close()


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when all of it is written, and is gone if that fails.

    Until then it has a name of its own, so that two exports to one path do not mix.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with _refusals(path):
        sink = io.BufferedWriter(_Part(part, path))
    try:
        with sink:
            yield sink
        with _refusals(path):
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class _Part(io.FileIO):
    """A new file whose refusals to be written are told from the errors of what is read for it."""

    def __init__(self, part: Path, path: Path) -> None:
        super().__init__(part, "xb")
        self._path = path

    def write(self, data: "ReadableBuffer", /) -> int:
        with _refusals(self._path):
            return super().write(data)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror or error}") from error
