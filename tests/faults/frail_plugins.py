"""A target and a learner that cost nothing, write down what they do, and fail for chosen trials.

Read as a plug-in file, as `--plugins` would. The log is a file named by `FRAIL_LOG`: a line for
each trial that begins and each that ends, in the order in which it happened, whichever process it
happened in.
"""

import ctypes
import os
import resource
import threading
import time
from dataclasses import replace
from typing import Literal

import torch

from orchestrator.domain.learner import Fit, Learner, Outcome
from orchestrator.domain.target import Examples, Target

LOG = "FRAIL_LOG"


class Nothing(Target):
    """Examples that nobody looks at."""

    kind: Literal["nothing"] = "nothing"

    def draw(self, point, streams):
        return streams.uniforms(1)

    def examples(self, concept, point, count, streams):
        return Examples(streams.uniforms(count, 1), streams.uniforms(count))


class Frail(Learner):
    """Fails at a trial with a chance that falls from 1 to 0 as n passes 2 d; needs no training.

    One trial in `one_in`, chosen by its key, does what `how` says to whoever trains it.
    """

    kind: Literal["frail"] = "frail"
    how: Literal[
        "raise", "exit", "memory", "grow", "sleep", "call", "hold", "swallow", "partner"
    ] = "raise"
    one_in: int = 0
    seconds: float = 0.0
    predicts = False
    reports = ("error",)

    def work(self, point):
        return 1.0

    def shape(self, point):
        return 0  # nothing depends on n here, so all of them fit together

    def fit(self, problem, streams):
        note("begin", streams.keys)
        time.sleep(self.seconds)
        if any(is_chosen(key, self.one_in) for key in streams.keys):
            getattr(self, "_" + self.how)()
        chance = torch.sigmoid(4.0 * torch.log(2.0 * problem.point.d / problem.n))
        failed = streams.uniforms(1)[:, 0] < chance
        note("end", streams.keys)
        return Fit([Outcome.FITTED] * len(problem), {"error": failed.to(torch.float64)})

    def _raise(self):
        raise ValueError("a trial that raises")

    def _exit(self):
        os._exit(3)

    def _memory(self):
        raise MemoryError("a trial that is refused")

    def _grow(self):
        """Ask for ever more memory where the kernel gives this process 200 MB more and no more."""
        before = resource.getrlimit(resource.RLIMIT_DATA)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + (200 << 20), before[1]))
        held = []
        try:
            while True:
                held.append(bytearray(20 << 20))
        finally:
            held.clear()
            resource.setrlimit(resource.RLIMIT_DATA, before)

    def _sleep(self):
        time.sleep(600.0)

    def _call(self):
        """Sleep in C, without the interpreter's lock."""
        ctypes.CDLL(None).sleep(600)

    def _hold(self):
        """Sleep in C, with it."""
        ctypes.PyDLL(None).sleep(600)

    def _swallow(self):
        while True:
            try:
                time.sleep(0.1)
            except BaseException:
                continue

    def _partner(self):
        threading.Barrier(2).wait()


class FrailTeacher(Frail):
    """Teaches a number of its own. It is noted in words of its own, since it may teach again after
    its result was committed.
    """

    kind: Literal["frail_teacher"] = "frail_teacher"
    teaches = True

    def fit(self, problem, streams):
        note("teach", streams.keys)
        time.sleep(self.seconds)
        if any(is_chosen(key, self.one_in) for key in streams.keys):
            getattr(self, "_" + self.how)()
        lesson = streams.uniforms(1)[:, 0]
        note("taught", streams.keys)
        return Fit([Outcome.FITTED] * len(problem), {"error": lesson}, lesson={"number": lesson})


class FrailStudent(Frail):
    """Frail, but that what it was taught decides whether it fails."""

    kind: Literal["frail_pupil"] = "frail_pupil"
    teacher_how: Literal["raise", "exit"] = "raise"
    teacher_one_in: int = 0
    teacher_seconds: float = 0.0

    def teacher(self, point):
        teacher = FrailTeacher(
            how=self.teacher_how, one_in=self.teacher_one_in, seconds=self.teacher_seconds
        )
        return teacher, point.model_copy(update={"n": 2})

    def fit(self, problem, streams):
        fit = super().fit(problem, streams)
        return replace(
            fit, measures={"error": (fit.measures["error"] + problem.lesson["number"]) / 2}
        )


def is_chosen(key, one_in):
    """Whether this trial is one of those that fail."""
    return bool(one_in) and int(key[:8], 16) % one_in == 0


def note(what, keys):
    """Append a line for each trial, all or none of them, in one write."""
    if LOG in os.environ:
        lines = "".join(f"{what} {key} {os.getpid()}\n" for key in dict.fromkeys(keys))
        log = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, lines.encode())
        os.close(log)
