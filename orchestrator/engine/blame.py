"""What an exception raised by a pack says about the machine: memory, or anything else."""

import traceback

import torch

from orchestrator.plan.facts import Reason

_DETAIL_CHARACTERS = 2000  # enough for the frames that matter; the ledger keeps one per attempt


def reason_of(error: BaseException) -> Reason:
    """`OUT_OF_MEMORY` for a refused allocation on host or device, else `RAISED`."""
    exhausted = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        # the CPU allocator of torch has no class of its own
        isinstance(error, RuntimeError) and "not enough memory" in str(error)
    )
    return Reason.OUT_OF_MEMORY if exhausted else Reason.RAISED


def detail_of(error: BaseException) -> str:
    """The end of the traceback, the exception itself included, in at most 2000 characters."""
    return "".join(traceback.format_exception(error, limit=-6)).strip()[-_DETAIL_CHARACTERS:]
