"""How many slots the machines hold, from what each slot asks for. No Ray here."""

import logging
import sys
from collections.abc import Mapping, Sequence

from orchestrator.errors import ClusterUnreachable, RequestError

log = logging.getLogger(__name__)


def refuse_missing_gpus(gpus: float, machines: Sequence[float], where: str) -> None:
    """Raise `RequestError` unless one machine has the GPUs of a slot.

    `machines` holds the GPUs of each machine, and `where` names them all.
    """
    if gpus > 1 and gpus != int(gpus):
        raise RequestError(
            f"`resources.gpus` is {gpus:g}: a slot takes a share of one GPU or several whole ones"
        )
    if gpus and not any(_shares(have, gpus) for have in machines):
        spread = f", {sum(machines):g} over all machines" if len(machines) > 1 else ""
        raise RequestError(
            f"each slot asks for {gpus:g} GPU (`resources.gpus`) and {where} has "
            f"{max(machines, default=0):g}{spread}; lower it, or run where there are more"
        )


def slots_that_fit(
    asked: int | None, gpus: float, nodes: Sequence[Mapping[str, float]], where: str
) -> int:
    """Slots of 1 CPU and `gpus` each on those nodes, at most `asked`, with a warning if fewer.

    `nodes` holds Ray's resources of each node. Raises `RequestError` when no node has the GPUs,
    `ClusterUnreachable` when none has a CPU beside them.
    """
    refuse_missing_gpus(gpus, [node.get("GPU", 0.0) for node in nodes], where)
    count = sum(min(int(node.get("CPU", 0)), _shares(node.get("GPU", 0), gpus)) for node in nodes)
    if not count:
        raise ClusterUnreachable(
            f"each slot asks for 1 CPU and {gpus:g} GPU and no machine of {where} has both to give"
        )
    if asked and asked > count:
        log.warning(
            "%d slots were asked for and %s holds %d of 1 CPU and %g GPU; going on with %d",
            *(asked, where, count, gpus, count),
        )
    return min(asked or count, count)


def _shares(have: float, gpus: float) -> int:
    """How many slots of `gpus` each the GPUs of one node hold; a share never spans two GPUs."""
    if not gpus:
        return sys.maxsize
    return int(have) * int(1 / gpus + 1e-9) if gpus < 1 else int(have / gpus)
