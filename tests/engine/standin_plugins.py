"""A target and a learner that fail on purpose, in each way that an executor must survive.

Read as a plug-in file, as `--plugins` would.
"""

import ctypes
import os
import sys
import time
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field

from orchestrator.domain.checkpoints import Checkpoint
from orchestrator.domain.learner import Fit, Learner, Outcome
from orchestrator.domain.target import Examples, Target


class Slope(Target):
    """A linear function of Gaussian inputs."""

    kind: Literal["slope"] = "slope"
    test_count = 0

    def draw(self, point, streams):
        return streams.normals(point.d)

    def examples(self, concept, point, count, streams):
        x = streams.normals(count, point.d)
        return Examples(x, (x @ concept[:, :, None]).squeeze(-1))


class Patient(Learner):
    """Reports a number that uses products and solves, after behaving as it is told to.

    With `at_n` it behaves well wherever no trial of the pack has that n.
    """

    kind: Literal["patient"] = "patient"
    how: Literal[
        "well",
        "sleep",
        "raise",
        "memory",
        "exit",
        "sys_exit",
        "hold",
        "block",
        "wait",
        "swallow",
        "diverge",
    ] = "well"
    seconds: float = 0.0
    at_n: int = 0
    log: str = ""
    predicts = False
    reports = ("norm",)

    def work(self, point):
        return 1.0

    def fit(self, problem, streams):
        self._note("begin")
        if self.how != "well" and (not self.at_n or bool((problem.n == self.at_n).any())):
            getattr(self, "_" + self.how)()
        ridge = problem.x.mT @ problem.x + torch.eye(problem.point.d, dtype=problem.dtype)
        found = torch.linalg.solve(ridge, problem.x.mT @ problem.y[:, :, None])
        norm = found.square().sum((1, 2))
        self._note("end")
        return Fit([Outcome.FITTED] * len(problem), {"norm": norm * self._factor()})

    def _factor(self):
        return float("nan") if self.how == "diverge" else 1.0

    def _note(self, what):
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{what} {os.getpid()}\n")

    def _diverge(self):
        pass

    def _sleep(self):
        time.sleep(self.seconds)

    def _raise(self):
        raise ValueError("a learner that raises")

    def _memory(self):
        torch.empty(1 << 60, dtype=torch.uint8)

    def _exit(self):
        os._exit(3)

    def _sys_exit(self):
        sys.exit(3)

    def _hold(self):
        """Sleep without letting go of the interpreter's lock."""
        ctypes.PyDLL(None).sleep(int(self.seconds))

    def _block(self):
        """Sleep in C, the lock let go."""
        ctypes.CDLL(None).sleep(int(self.seconds))

    def _wait(self):
        """For another process that never comes, as collective calls do."""
        read, _ = os.pipe()
        os.read(read, 1)

    def _swallow(self):
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            try:
                time.sleep(0.1)
            except BaseException:
                continue


class Lecturer(Patient):
    """Teaches the number that it reports, beside `padding` zeros."""

    kind: Literal["lecturer"] = "lecturer"
    padding: int = 0
    teaches = True

    def fit(self, problem, streams):
        fit = super().fit(problem, streams)
        padding = torch.zeros(len(problem), self.padding)
        return replace(fit, lesson={"norm": fit.measures["norm"], "padding": padding})


class Listener(Patient):
    """Reports its own number plus the one that it was taught."""

    kind: Literal["listener"] = "listener"
    lecturer: dict[str, str | int | float] = Field(default_factory=dict)

    def teacher(self, point):
        return Lecturer(**self.lecturer), point.model_copy(update={"n": 40})

    def fit(self, problem, streams):
        fit = super().fit(problem, streams)
        return replace(fit, measures={"norm": fit.measures["norm"] + problem.lesson["norm"]})


class Counting(Learner):
    """Takes steps of a tenth of a second, notes each, and saves after every one if it may."""

    kind: Literal["counting"] = "counting"
    steps: int = 30
    log: str = ""
    predicts = False
    reports = ("sum",)
    resumable = True

    def work(self, point):
        return 1.0

    def fit(self, problem, streams):
        saved = problem.checkpointer.saved()
        begin, total = (saved.at, saved.state["total"]) if saved else (0, torch.zeros(len(problem)))
        for step in range(begin, self.steps):
            time.sleep(0.1)
            total = total + streams.at(f"step/{step}").normals(1)[:, 0].to(total.dtype)
            with open(self.log, "a") as file:
                file.write(f"step {os.getpid()} {step}\n" * len(set(streams.keys)))
            if problem.checkpointer.is_due:
                problem.checkpointer.save(Checkpoint(step + 1, {"total": total}))
        return Fit([Outcome.FITTED] * len(problem), {"sum": total})
