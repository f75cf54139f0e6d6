"""Starting Ray without its habits: no chatter on the driver's output, no signal handler left."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.errors import ClusterUnreachable

log = logging.getLogger("orchestrator.engine.ray")


def quietly_initialised(**options: Any) -> Any:
    """`ray.init` with those options; the environment it reads must already be set.

    What Ray would print is logged at debug level under `orchestrator.engine.ray`. The handler of
    SIGTERM is left as it was: Ray's own would end the driver before its ledger is told.
    """
    imported_before = "ray" in sys.modules
    # otherwise a call after `ray.shutdown` would start a Ray with default settings
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    import ray

    if imported_before:
        _reread_environment()
    _silence()
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM) if main else None
    try:
        return ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    finally:
        if main:
            signal.signal(signal.SIGTERM, handler)


def refuse_a_second() -> None:
    """Raise `ClusterUnreachable` when this process uses Ray already: Ray is one per process."""
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        raise ClusterUnreachable("this process already uses Ray; one executor at a time")


@contextmanager
def ray_environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Settings that Ray and its processes read; afterwards the environment is as it was."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _reread_environment() -> None:
    """Ray reads its settings when first imported; an earlier start in this process fixed them."""
    import ray._raylet as raylet
    from ray._private import auto_init_hook, ray_constants

    auto_init_hook.enable_auto_connect = False
    raylet.Config.initialize("")  # type: ignore[attr-defined]
    raylet.AuthenticationTokenLoader.instance().reset_cache()  # type: ignore[attr-defined]
    ray_constants.ENABLE_RAY_CLUSTER = ray_constants.env_bool(
        ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, not ray_constants.IS_WINDOWS_OR_OSX
    )


def _silence() -> None:
    import ray._private.worker as worker

    # 2.60 prints the raylet's messages on standard output even with log_to_driver off
    worker.print_to_stdstream = _logged


def _logged(data: dict[str, Any], *_: Any, **__: Any) -> None:
    for line in data.get("lines", ()):
        log.debug("%s", line)
