"""Executors: where packs run. Ray is imported only here, and only when a `RayExecutor` is made.

`InlineExecutor` is the reference behaviour. `RayExecutor` keeps slot actors, each with the pack
that it trains and the next one behind it, so that no slot idles while the driver thinks; a pack
behind a long one is fetched back when another slot runs dry. Ray retries and restarts nothing.

What faults do to slot actors, measured through `RayExecutor` on ray 2.60 (two cores shared with
others at load 6, where a worker needs 4 s to import torch; one to three runs each):

| fault | what Ray says | lost after | process gone | next pack done |
|---|---|---|---|---|
| worker kill -9 while training | `ActorDiedError` | 19-58 ms | at once | 5.4-6.4 s |
| asleep, or swallowing exceptions, past a deadline of 2 s | nothing | 2.01 s | 2.03 s | 6.4-7.2 s |
| holding the interpreter's lock, lease 5 s | nothing | 5.5 s | 5.5 s | 8.2 s |
| worker SIGSTOP, lease 5 s | nothing | 5.5 s | 10.5 s | 12.7 s |
| reply lost (`RAY_testing_rpc_failure`) | `ActorUnavailableError`, 1.7 s | never | lives | |
| memory monitor | `OutOfMemoryError` | 2.8 s after the start | at once | |
| raylet or GCS kill -9 | nothing for 13 s, or at all | | | driver told after 20 s |

So, unlike a task's, an actor's lost reply costs no second training: the actor is alive and is asked
for the receipt that it kept. `ray.kill` ends a sleeping, swallowing or lock-holding actor in
20-35 ms and a suspended one in 5 s. A pack that was training when the raylet or the GCS died still
answers; no new actor starts, and left alone Ray 2.60 ends the driver's process after 60 s, so the
executor looks for itself and raises `ClusterUnreachable` first. That, and a `PluginError` when
workers cannot load the plug-ins, is all that `wait` raises; neither is any pack's doing.

What a pack of trials teaches comes back beside its receipt, as a value of its own that the driver
owns and never fetches: it hands the reference to the slots that need it, and a slot that cannot
have the value (its machine is gone, the driver is a new one) looks for the file instead, and where
there is none the pack comes back and the board has it taught again. So machines need no common
folder, and the worker that taught may be dead.

Not measured: loss of one node of several, partitions, GPUs.
"""

from orchestrator.engine.inline import InlineExecutor
from orchestrator.engine.ray_executor import RayExecutor

__all__ = ["InlineExecutor", "RayExecutor"]
