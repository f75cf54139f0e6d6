"""What an exception of Ray's says about a slot: whether its worker, node or memory went."""

from orchestrator.engine.blame import reason_of
from orchestrator.errors import PluginError
from orchestrator.plan.facts import Reason

_NODE_WENT = (
    # Ray gives no classes for these; the words are those of 2.60's death causes
    "node has died",
    "node was terminated",
    "owner has died",
    "Node is dead",
    "drained",
)
_MEMORY_WENT = "running low on memory"
_HINTS = "Some common causes include"  # Ray lists them, the OOM killer first, after any sudden end
_DETAIL_CHARACTERS = 600


def reason_of_death(error: BaseException) -> Reason:
    """Why a slot's call raised: `NODE_LOST`, `OUT_OF_MEMORY`, `RAISED`, else `WORKER_DIED`."""
    from ray import exceptions

    words = words_of(error)
    if isinstance(error, exceptions.RayTaskError):
        return reason_of(getattr(error, "cause", error))
    if isinstance(error, exceptions.OutOfMemoryError) or _MEMORY_WENT in words:
        return Reason.OUT_OF_MEMORY
    lost = (exceptions.NodeDiedError, exceptions.LocalRayletDiedError, exceptions.ObjectLostError)
    if isinstance(error, lost) or getattr(error, "preempted", False):
        return Reason.NODE_LOST
    return Reason.NODE_LOST if any(one in words for one in _NODE_WENT) else Reason.WORKER_DIED


def may_be_alive(error: BaseException) -> bool:
    """Whether only a message was lost, so that the slot can be asked again."""
    from ray import exceptions

    return isinstance(error, (exceptions.ActorUnavailableError, exceptions.GetTimeoutError))


def failed_to_load(error: BaseException) -> bool:
    """Whether a slot that never came up died of an exception, its plug-ins' in all likelihood."""
    from ray import exceptions

    # the second is what Ray makes of a worker on which this package cannot be imported
    return getattr(error, "actor_init_failed", False) or isinstance(error, exceptions.RayTaskError)


def cause_of(error: BaseException) -> str:
    """The exception at the end of the traceback that Ray quotes, in at most 600 characters."""
    text = str(error).strip()
    _, found, words = text.rpartition(f"{PluginError.__module__}.{PluginError.__name__}: ")
    return (words if found else text.splitlines()[-1].strip())[:_DETAIL_CHARACTERS]


def words_of(error: BaseException) -> str:
    """What Ray said, on one line of at most 600 characters, without its hints."""
    text = str(error).split(_HINTS)[0]
    text = " ".join(part.strip() for part in text.splitlines() if part.strip())
    return f"{type(error).__name__}: {text}"[:_DETAIL_CHARACTERS]
