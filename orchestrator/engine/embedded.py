"""Ray inside this process's tree: on loopback only, with a token, leaving nothing behind.

Ray 2.60 needs asking for each of these. `_node_ip_address="127.0.0.1"` alone is rewritten to the
machine's address; `ENABLE_RAY_CLUSTER` off keeps it. Token authentication wants its token in a file
that Ray itself would write 0644, and the session's directory is 0777, so both live in a directory
of ours that nobody else may enter. A driver that is killed leaves two of Ray's agents behind; the
next start ends them by process id and start time.

The caller may have children of its own, older and younger than Ray. Ray's are told apart by our
directory, which the command line of every process that a driver starts for Ray names.
"""

import json
import os
import secrets
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

from orchestrator.engine.quiet import quietly_initialised, ray_environment

OBJECT_STORE_BYTES = 100_000_000
"""Receipts and packs are kilobytes; Ray's default is 30% of the machine. Chosen by hand."""

WORKER_ENVIRONMENT = {"MKL_CBWR": "AVX2,STRICT", "OMP_NUM_THREADS": "1"}
"""What makes a trial's last bits independent of its company and of the machine's width."""

_LONGEST_BASE = 32  # characters; Ray's socket paths add up to 75 and Unix allows 107
_GRACE_S = 5.0  # for Ray's processes to end by themselves


class EmbeddedRay:
    """A Ray of one node, for as long as this object is open; by default with every CPU core."""

    def __init__(self, cpus: int | None, gpus: int) -> None:
        base = _base()
        _reap(base)
        self.home = _home_in(base)
        self._rays: set[psutil.Process] = set()
        try:
            self._start(cpus, gpus)
        except BaseException:
            self.close(grace_s=0.0)  # processes of a Ray that is half up end for no asking
            raise

    def remember(self) -> None:
        """Write down every process of Ray's, so that a later start can end what survives."""
        self._rays.update(self._found())
        rows = [[one.pid, _born(one)] for one in self._rays if one.is_running()]
        (self.home / "processes.json").write_text(json.dumps(rows))

    def stands(self) -> bool:
        """Whether the processes that Ray cannot do without are at work."""
        pillars = [one for one in self._rays if _name(one) in ("gcs_server", "raylet")]
        return len(pillars) == 2

    def close(self, grace_s: float = _GRACE_S) -> None:
        """End Ray and every process it started, and remove its directory."""
        self._rays.update(self._found())
        if "ray" in sys.modules:  # not after Ctrl-C in the middle of its import
            sys.modules["ray"].shutdown()
        _end(self._rays, grace_s)
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self, cpus: int | None, gpus: int) -> None:
        with ray_environment(self._settings()):
            quietly_initialised(
                address="local",
                num_cpus=cpus,
                num_gpus=gpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(self.home / "r"),  # a directory of its own, for Ray makes it 0777
            )
        self.remember()

    def _found(self) -> set[psutil.Process]:
        """Ray's processes now: those that this process started for it, and all below them."""
        roots = [one for one in psutil.Process().children() if f"{self.home}/" in _command(one)]
        return {*roots, *(below for root in roots for below in _below(root))}

    def _settings(self) -> dict[str, str]:
        token = self.home / "token"
        with open(token, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(secrets.token_hex(32))
        return {
            **WORKER_ENVIRONMENT,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_TMPDIR": str(self.home),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_task_oom_retries": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray announces as its next default
        }


def _base() -> Path:
    """Our directory of all drivers' homes: private, and short enough for Ray's sockets."""
    name = f"phasefront-{os.getuid()}"
    base = Path(tempfile.gettempdir()) / name
    if len(str(base)) > _LONGEST_BASE:
        base = Path("/tmp") / name
    with suppress(FileExistsError):
        base.mkdir(mode=0o700)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        return Path(tempfile.mkdtemp(prefix="pf-", dir=base.parent))  # somebody else was first
    return base


def _home_in(base: Path) -> Path:
    """A directory named after this process, so that another can tell whether it is still in use."""
    home = base / str(os.getpid())
    while True:
        with suppress(FileExistsError):
            home.mkdir(mode=0o700)
            (home / "driver").write_text(str(_born(psutil.Process())))
            return home
        home = home.with_name(home.name + "x")


def _reap(base: Path) -> None:
    """End what killed drivers left: processes, by id and start time, then directories."""
    for home in base.iterdir():
        if not home.name.rstrip("x").isdigit() or _is_in_use(home):
            continue
        with suppress(OSError, ValueError):
            rows = json.loads((home / "processes.json").read_text())
            _end({found for row in rows if (found := _alive(*row))}, grace_s=0.0)
        shutil.rmtree(home, ignore_errors=True)


def _is_in_use(home: Path) -> bool:
    pid = int(home.name.rstrip("x"))
    try:
        return bool(_alive(pid, int((home / "driver").read_text())))
    except (OSError, ValueError):  # made a moment ago, or by a driver killed at that moment
        return bool(psutil.pid_exists(pid))


def _below(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(process.children(recursive=True))
    return []


def _command(process: psutil.Process) -> str:
    """The command line, empty for a process that has ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _name(process: psutil.Process) -> str:
    """The name of a process at work, empty for one that has ended."""
    with suppress(psutil.Error):
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return str(process.name())
    return ""


def _born(process: psutil.Process) -> int:
    """When a process started, in hundredths of a second since the epoch."""
    return int(process.create_time() * 100)


def _alive(pid: int, born: int) -> psutil.Process | None:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if abs(_born(process) - born) <= 1 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _end(processes: set[psutil.Process], grace_s: float = _GRACE_S) -> None:
    """Wait for processes to end, then kill those that have not; reused ids are left alone."""
    _, alive = psutil.wait_procs(list(processes), timeout=grace_s)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_GRACE_S)
