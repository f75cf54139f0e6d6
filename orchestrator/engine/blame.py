"""What an exception raised by a pack says about the machine: memory, disk, or anything else."""

import errno
import traceback

import torch

from orchestrator.plan.facts import Reason

_DETAIL_CHARACTERS = 2000  # enough for the frames that matter; the ledger keeps one per attempt


# the CPU allocator of torch has no class of its own; these are its words on Linux and Windows
_REFUSED = ("can't allocate memory", "Cannot allocate memory", "not enough memory")


_MACHINE_GAVE_OUT = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.EAGAIN,
}


def reason_of(error: BaseException) -> Reason:
    """`OUT_OF_MEMORY` for a refused allocation on host or device, `WORKER_DIED` for a machine that
    has no disk, files or processes left to give, else `RAISED`.
    """
    if isinstance(error, OSError) and error.errno in _MACHINE_GAVE_OUT:
        return Reason.WORKER_DIED
    refused = isinstance(error, RuntimeError) and any(word in str(error) for word in _REFUSED)
    if refused or isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return Reason.OUT_OF_MEMORY
    return Reason.RAISED


def detail_of(error: BaseException) -> str:
    """The end of the traceback, the exception itself included, in at most 2000 characters."""
    return "".join(traceback.format_exception(error, limit=-6)).strip()[-_DETAIL_CHARACTERS:]
