"""A ledger replayed: every suggestion comes out again, and a sweep that was broken off is the same.

Small threshold searches on SQLite, trained in this process.
"""

import shutil
from pathlib import Path

import pytest

from orchestrator.engine import InlineExecutor
from orchestrator.errors import Interrupted
from orchestrator.plan.expansion import Expansion
from orchestrator.plan.reuse import Reusable, wanted
from orchestrator.plan.rounds import Rounds
from orchestrator.ports import Ask, Member, SweepRecord
from orchestrator.search import proposer_for
from orchestrator.spec import ExperimentSpec
from orchestrator.sweep import Sweep
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger

MAX_TRIALS = 60


def a_spec(name: str, **search: object) -> ExperimentSpec:
    return ExperimentSpec.from_words(
        {
            "name": name,
            "target": {"kind": "random_labels"},
            "learner": {"kind": "linear_separator"},
            "axes": {"d": [3, 6], "n": {"low": 2, "high": 60}},
            "success": {"measure": "train_error", "above": 0.0},
            "search": {"kind": "threshold", "round": 16, **search},
        }
    )


EARLIER = a_spec("earlier", tolerance=0.4)
FULLER = a_spec("fuller", tolerance=0.1, max_trials=MAX_TRIALS)
BESIDE = a_spec("beside", tolerance=0.2, level=0.9)


def answer(spec: ExperimentSpec, path: Path, rounds: int | None = None) -> None:
    """Answer a sweep in the ledger at `path`, or break it off when that many rounds are asked."""
    tracker = Ledger(Database(f"sqlite:///{path}"))
    tracker.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", started=1.0))
    sweep = Sweep(
        spec,
        tracker=tracker,
        executor=InlineExecutor(),
        proposer=proposer_for(spec, tracker.reusable(wanted(spec), spec.seed)),
        interrupted=lambda: rounds is not None and len(tracker.rounds()) >= rounds,
    )
    try:
        sweep.answer()
    finally:
        tracker.close()


def recorded(
    spec: ExperimentSpec, path: Path
) -> tuple[list[list[Ask]], list[Reusable], dict[str, Member]]:
    """Rounds, note and members of a sweep, by key."""
    tracker = Ledger(Database(f"sqlite:///{path}"))
    tracker.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", started=1.0))
    try:
        members = {member.trial.key: member for member in tracker.members()}
        return tracker.rounds(), tracker.reusable(wanted(spec), spec.seed), members
    finally:
        tracker.close()


def replayed(
    spec: ExperimentSpec,
    rounds: list[list[Ask]],
    note: list[Reusable],
    members: dict[str, Member],
) -> list[list[Ask]]:
    """What a fresh proposer asks in every round, from what was known then and nothing else."""
    known, expansion = Rounds(), Expansion([(a.target, a.learner) for a in spec.arms], spec.seed)
    again, pending = [], []
    for number, asks in enumerate(rounds):
        proposer = proposer_for(spec, note)
        again.append(proposer.propose(number, known.before_last(), known.last))
        settle(spec, known, members, pending)
        trials = expansion.trials(asks)
        pending = [trial.key for _, trial in trials]
        known.add(asks, trials)
    return again


def settle(
    spec: ExperimentSpec, rounds: Rounds, members: dict[str, Member], keys: list[str]
) -> None:
    for key in keys:
        settled = members[key].settled
        assert settled is not None
        assert settled.result is not None
        result = settled.result
        rounds.settle(key, spec.success.judged(result.outcome, result.measures))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which one sweep was answered, and then another that could reuse its trials."""
    path = tmp_path_factory.mktemp("store") / "ledger.db"
    answer(EARLIER, path)
    shutil.copy(path, path.with_name("before.db"))
    answer(FULLER, path)
    return path


@pytest.mark.parametrize("spec", [EARLIER, FULLER], ids=lambda spec: spec.name)
def test_replaying_a_ledger_reproduces_every_suggestion(store: Path, spec: ExperimentSpec):
    rounds, note, members = recorded(spec, store)
    assert len(rounds) > 4
    assert bool(note) == (spec is FULLER)
    assert replayed(spec, rounds, note, members) == rounds


def test_without_its_note_the_same_sweep_would_have_asked_for_other_trials(store: Path):
    rounds, _, members = recorded(FULLER, store)
    assert replayed(FULLER, rounds, [], members) != rounds


def test_reused_trials_are_cached_and_max_trials_bounds_the_others(store: Path):
    _, note, members = recorded(FULLER, store)
    states = [member.state for member in members.values()]
    assert states.count("done") == MAX_TRIALS
    assert states.count("cached") >= 0.5 * sum(len(one.repeats) for one in note)
    assert states.count("done") + states.count("cached") == len(states)


def test_a_sweep_broken_off_after_every_round_equals_one_that_was_not(store: Path, tmp_path: Path):
    """Another sweep of the same trials is answered in between; it must not be noticed."""
    whole, _, members = recorded(FULLER, store)
    path = tmp_path / "ledger.db"
    shutil.copy(store.with_name("before.db"), path)
    broken_off = 0
    for count in range(1, len(whole)):
        try:
            answer(FULLER, path, rounds=count)
        except Interrupted:
            broken_off += 1
        if count == 2:
            answer(BESIDE, path)
    assert broken_off > 4
    answer(FULLER, path)
    rounds, _, again = recorded(FULLER, path)
    assert rounds == whole
    assert list(again) == list(members)
    for key, member in members.items():
        assert again[key].settled.result.same_as(member.settled.result)


def test_rounds_follow_from_the_store_as_it_was_when_the_sweep_was_first_opened(store: Path):
    rounds, _, _ = recorded(FULLER, store)
    answer(BESIDE, store)
    answer(FULLER, store)
    assert recorded(FULLER, store)[0] == rounds
