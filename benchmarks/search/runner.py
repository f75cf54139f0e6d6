"""Runs what is missing, in at most two processes of one thread each."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from benchmarks.search.families import REVISION, problem
from benchmarks.search.playing import play
from benchmarks.search.registry import METHODS
from benchmarks.search.results import Record, Results


@dataclass(frozen=True, order=True)
class Job:
    """One method on one problem. Order: all methods and families advance together."""

    number: int
    family: str
    method: str
    budget: int


def missing(
    results: Results,
    methods: Sequence[str],
    families: Sequence[str],
    problems: int | None = None,
    outcomes: int | None = None,
) -> list[Job]:
    """What has not been run yet, in order. Methods that cannot run here have nothing missing.

    `problems` and `outcomes` lower what the methods plan.
    """
    jobs = []
    for name in methods:
        plan, version = METHODS[name].plan, METHODS[name].version()
        for family in families if version is not None else ():
            if family not in plan.families:
                continue
            done = results.records(name, family, version)
            count = plan.problems if problems is None else min(problems, plan.problems)
            for number in range(count):
                budget = plan.budget(problem(family, number), outcomes)
                if number not in done or done[number]["budget"] < budget:
                    jobs.append(Job(number, family, name, budget))
    return sorted(jobs)


def do(job: Job) -> Record:
    """The record of a job."""
    method = METHODS[job.method]
    record = play(method, problem(job.family, job.number), job.budget)
    return {**record, "budget": job.budget, "version": method.version(), "revision": REVISION}


def run(
    jobs: Sequence[Job], results: Results, processes: int, until: float | None = None
) -> Iterator[tuple[Job, Record]]:
    """Do the jobs and keep each record as it comes; none is begun after `until` (monotonic).

    Raises what a job raised, after the records of those that ended with it are kept.
    """
    queue = iter(jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running: dict[Future[Record], Job] = {}
        while True:
            while len(running) < processes and (until is None or time.monotonic() < until):
                job = next(queue, None)
                if job is None:
                    break
                running[pool.submit(do, job)] = job
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                job, record = running.pop(future), future.result()
                results.add(job.method, job.family, record)
                yield job, record
