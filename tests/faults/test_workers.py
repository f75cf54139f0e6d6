"""Ray's workers killed, frozen, hung and poisoned while a sweep goes on, on one Ray for all."""

import os
import random
import signal
import threading
import time
from collections import Counter

import psutil
import pytest

from orchestrator.domain.point import Point
from orchestrator.engine import RayExecutor
from orchestrator.plan.expansion import Expansion
from orchestrator.ports import Ask, SweepRecord
from orchestrator.sweep import Sweep
from orchestrator.tracking.database import Database
from tests.faults import history
from tests.faults.driver import PLUGIN, Acknowledging, Life, Walking, a_question, frail, live

pytestmark = pytest.mark.slow

LEASE_S = 6.0
DEADLINE_S = 2.0
KILLS = 200
SPLITS = 3  # of a pack of eight, until a trial is alone
HANGS = ("sleep", "call", "hold", "swallow", "partner")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """What runs where; the workers are told its place when Ray starts."""
    path = tmp_path_factory.mktemp("log") / "exec.log"
    os.environ[frail.LOG] = str(path)
    yield path
    del os.environ[frail.LOG]


@pytest.fixture(scope="module")
def executor(log):
    executor = RayExecutor(None, 2, 0.0, [PLUGIN], lease_s=LEASE_S, pulse_s=0.5)
    yield executor
    executor.close()


@pytest.fixture
def fresh(log):
    """The log, empty."""
    log.write_text("")
    return log


class Once:
    """Asks for so many repeats of one point, in one round."""

    def __init__(self, repeats):
        self._repeats = repeats

    def propose(self, number, tallies, pending):
        return [Ask(0, Point(d=4, n=8, k=1), self._repeats)] if number == 0 else []

    def stopped_by(self, tallies):
        return None


def answer(folder, executor, proposer, minutes=5.0, **question):
    """Answer a sweep on an executor that is left open; the ledger's path."""
    life = Life(folder, {**a_question(**question), "resources": {"minutes_per_trial": minutes}})
    tracker, spec = Acknowledging(Database(f"sqlite:///{life.ledger}")), life.spec
    tracker.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", started=1e9))
    try:
        Sweep(spec, tracker=tracker, executor=executor, proposer=proposer).answer()
        tracker.finish("finished", None)
    finally:
        tracker.close()
    return life.ledger


def reasons_of_gaps(ledger):
    return {
        row["key"]: history.first_words(row["reasons"]).split("; ")
        for row in history.rows(ledger, "SELECT key, reasons FROM gaps")
    }


def poisoned(**question):
    """A seed with one frail trial among the eight of `Once(8)`, and that trial's key."""
    for seed in range(1000):
        spec = Life(None, a_question(seed=seed, **question)).spec
        trials = Expansion([(arm.target, arm.learner) for arm in spec.arms], seed).trials(
            Once(8).propose(0, (), ())
        )
        keys = [trial.key for _, trial in trials if frail.is_chosen(trial.key, question["one_in"])]
        if len(keys) == 1:
            return seed, keys[0]
    raise AssertionError("no such seed")


@pytest.mark.parametrize(
    ("how", "charges"),
    [("exit", ["worker died"] * 3), ("grow", ["out of memory"] * 2)],
)
def test_a_poison_trial_becomes_a_gap_and_its_pack_mates_are_answered(
    executor, fresh, tmp_path, how, charges
):
    seed, key = poisoned(how=how, one_in=8)
    ledger = answer(tmp_path, executor, Once(8), seed=seed, how=how, one_in=8)
    assert reasons_of_gaps(ledger) == {key: charges}
    assert len(history.results(ledger)) == 8
    starts = Counter(one for what, one, _ in history.lines(fresh) if what == "begin")
    assert len(charges) < starts[key] <= len(charges) + SPLITS
    history.check(ledger, fresh)


@pytest.mark.parametrize("how", HANGS)
def test_a_hung_trial_becomes_a_gap_and_its_pack_mates_are_answered(executor, fresh, tmp_path, how):
    seed, key = poisoned(how=how, one_in=8)
    minutes = DEADLINE_S / 60.0
    ledger = answer(tmp_path, executor, Once(8), minutes, seed=seed, how=how, one_in=8)
    assert reasons_of_gaps(ledger) == {key: ["timed out"] * 3}
    assert len(history.results(ledger)) == 8
    history.check(ledger, fresh)
    hung = {pid for what, one, pid in history.lines(fresh) if (what, one) == ("begin", key)}
    assert not [pid for pid in hung if psutil.pid_exists(pid) and _is_at_work(pid)]


def _is_at_work(pid):
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_frozen_worker_loses_its_pack_and_nothing_comes_of_it_later(executor, fresh, tmp_path):
    frozen = []

    def freeze():
        while not fresh.read_text():
            time.sleep(0.01)
        frozen.append(history.lines(fresh)[0][2])
        os.kill(frozen[0], signal.SIGSTOP)
        while sum(what == "acked" for what, *_ in history.lines(fresh)) < 4:
            time.sleep(0.05)
        if psutil.pid_exists(frozen[0]):
            os.kill(frozen[0], signal.SIGCONT)

    hand = threading.Thread(target=freeze)
    hand.start()
    ledger = answer(tmp_path, executor, Once(4), seconds=0.5)
    hand.join()
    assert len(history.results(ledger)) == 4
    history.check(ledger, fresh, zombie=frozen[0])


def test_workers_killed_at_random_lose_and_double_nothing(executor, fresh, tmp_path):
    """A trial that was killed alone is spared from then on: three times would rightly be a gap,
    and what is killed can be seen only an instant before.
    """
    assassin = Assassin(executor, fresh, KILLS)
    assassin.start()
    seed, ledgers = 0, []
    while assassin.is_alive():
        folder = tmp_path / str(seed)
        folder.mkdir()
        ledgers.append(answer(folder, executor, Walking(20), seed=seed, seconds=0.02))
        seed += 1
    assert assassin.killed == KILLS
    for seed, ledger in enumerate(ledgers):
        assert reasons_of_gaps(ledger) == {}
        own = {row["key"] for row in history.rows(ledger, "SELECT key FROM trials")}
        part = ledger.parent / "exec.log"
        part.write_text("".join(f"{a} {b} {c}\n" for a, b, c in history.lines(fresh) if b in own))
        history.check(ledger, part)
        calm = Life(ledger.parent / "calm", a_question(seed=seed, seconds=0.02), rounds=20)
        calm.folder.mkdir()
        live(calm)
        os.environ[frail.LOG] = str(fresh)
        assert history.results(ledger) == history.results(calm.ledger)
        assert history.asked(ledger) == history.asked(calm.ledger)


class Assassin(threading.Thread):
    """Kills workers that have begun to train at random moments, until there were enough."""

    def __init__(self, executor, log, kills):
        super().__init__(daemon=True)
        self._executor, self._log, self._kills = executor, log, kills
        self.killed = 0
        self._alone = Counter()

    def run(self):
        dice, seen = random.Random(7), set()
        while self.killed < self._kills:
            time.sleep(dice.uniform(0.0, 0.3))
            at_work = {pid for what, _, pid in history.lines(self._log) if what == "begin"}
            up = {int(slot.at.split("/")[1]) for slot in self._executor._slots if slot.at}
            victims = [pid for pid in (up & at_work) - seen if not self._is_spared(pid)]
            if victims:
                seen.add(victims[0])
                os.kill(victims[0], signal.SIGKILL)
                self.killed += 1

    def _is_spared(self, pid):
        own = [(what, key) for what, key, one in history.lines(self._log) if one == pid]
        ended = {key for what, key in own if what == "end"}
        running = [key for what, key in own if what == "begin" and key not in ended]
        if len(running) == 1:
            self._alone[running[0]] += 1
            return self._alone[running[0]] > 1
        return not running  # what it will begin by the time of the kill is not known
