"""Arrays on disk, one file for a trial's: whole or not at all, and never a pickle.

A file is written beside its place, synced and renamed, so it is there whole or not at all. Its name
ends in `<format>-<checksum>`: the checksum tells a damaged file, and one of another format, which
belongs to another version or build, is left alone. Equal arrays make equal bytes, and equal names.
"""

import errno
import hashlib
import io
import os
import re
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]

FORMAT = f"2/{torch.__version__}"
"""Part of every checksum. Raise the number when a learner saves other tensors than before: what an
older version, or another build of torch, has saved is then trained again."""

MOST_BYTES = 1 << 26
"""Largest arrays of one trial; what is larger is not saved, and not read. By hand."""

_HEADERS = 1 << 16  # bytes of an npz file that are no array's, at most

_KEY = re.compile(r"[0-9a-f]{32}")


def is_key(text: str) -> bool:
    """Whether this is a trial's key, and so a safe name of a folder."""
    return _KEY.fullmatch(text) is not None


def home_of(folder: Path, key: str) -> Path:
    """Where a trial's files are. Raises `ValueError` for what is no key."""
    if not is_key(key):
        raise ValueError(f"{key!r} is no trial's key")
    return folder / key


def size_of(arrays: Arrays) -> int:
    """Bytes of all of them."""
    return sum(array.nbytes for array in arrays.values())


def is_too_large(arrays: Arrays) -> bool:
    """Whether these arrays are more than a file takes."""
    return size_of(arrays) > MOST_BYTES


def checksum(key: str, content: bytes) -> str:
    """128-bit hash of a trial's key and a file's content, 32 hexadecimal digits."""
    return hashlib.blake2b(f"{FORMAT} {key} ".encode() + content, digest_size=16).hexdigest()


def name_of(key: str, content: bytes) -> str:
    """The name of a file, or its end, by which its content is known to be whole and readable."""
    return f"{_format()}-{checksum(key, content)}.npz"


def is_own(name: str) -> bool:
    """Whether a name as `name_of` gives it is of this format."""
    return re.fullmatch(rf"{_format()}-[0-9a-f]{{32}}\.npz", name) is not None


def _format() -> str:
    return hashlib.blake2b(FORMAT.encode(), digest_size=4).hexdigest()


def packed(arrays: Arrays) -> bytes:
    """Arrays as the content of an npz file."""
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def unpacked(content: bytes) -> dict[str, NDArray[np.generic]]:
    """The inverse. Raises `ValueError`, `KeyError` or `BadZipFile` for what is none, and for what
    would take more memory than `MOST_BYTES`.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = file.infolist()
    if any(one.compress_type != zipfile.ZIP_STORED for one in members):
        raise ValueError("its arrays are compressed")
    if sum(one.file_size for one in members) > MOST_BYTES + _HEADERS:
        raise ValueError("its arrays are too large")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_sound(path: Path, key: str, expected: str) -> bytes:
    """The content with that name's end. Raises `OSError`, and `ValueError` for any other."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
        content = file.read(2 * MOST_BYTES + 1)
    if len(content) > 2 * MOST_BYTES or name_of(key, content) != expected:
        raise ValueError("the checksum is another")
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Let the file be there, on disk, or not at all; its folder is made. Raises `OSError`, also
    where the folder is a symbolic link.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.parent.is_symlink():
        raise OSError(errno.ELOOP, "will not write through a symbolic link", str(path.parent))
    with _written_beside(path) as file:
        file.write(content)


@contextmanager
def _written_beside(path: Path) -> Iterator[io.BufferedWriter]:
    """A file that becomes `path`, on disk and whole, when the block ends; nothing if it raises."""
    part = path.with_name(f"{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)
