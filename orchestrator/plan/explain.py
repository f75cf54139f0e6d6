"""Why a sweep, a cell or a trial is where it is: as plain values for programs, as lines for people.

Pure: what is known comes in, with the time at which it is told. Times are seconds since the epoch.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.trial import Result, Trial

STATES = {
    "done": "trained by this sweep",
    "cached": "known before this sweep asked, from an equal key",
    "running": "begun and not answered",
    "waiting": "asked for and not begun",
    "gap": "given up; shown beside every result",
}


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial. `reason` is None while it runs and `committed` when it succeeded."""

    key: str
    attempt: int
    sweep: str
    started: float
    ended: float | None
    reason: str | None
    charge: int
    where: str


@dataclass(frozen=True)
class Whereabouts:
    """Where a started pack is, as its driver sees it.

    `where` is empty while no slot has taken the pack; `since`, when its training began, is None
    while it waits there behind another. At `deadline` it will be ended; at `lease` its worker will
    be, unless it gives a sign of life before. `keys` are its trials', or the first of many.
    """

    pack: str
    keys: tuple[str, ...]
    where: str = ""
    since: float | None = None
    deadline: float | None = None
    lease: float | None = None


@dataclass(frozen=True)
class Scene:
    """What is known of a sweep as a whole at the time `now`.

    `packs` are where its driver saw them at `noted`; None where no driver lives. `names` has the
    names of all sweeps by id, `resume` the command that goes on.
    """

    sweep: str
    status: str
    now: float
    resume: str
    stopped_by: str | None = None
    noted: float | None = None
    packs: Sequence[Whereabouts] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def pack_of(self, key: str) -> Whereabouts | None:
        """The pack that a trial is in, where that has been noted."""
        return next((pack for pack in self.packs if key in pack.keys), None)


@dataclass(frozen=True)
class Story:
    """A trial of a sweep: its state as `ports.Member` has it, what came of it, every attempt.

    `lesson` is the file that holds what it taught and `times` how often that was made, where it
    teaches; `teacher` is the story of the trial that it learns from, which may be nobody's member.
    """

    trial: Trial
    state: str
    history: Sequence[Attempt] = ()
    result: Result | None = None
    reasons: Sequence[str] = ()
    lesson: str = ""
    times: int = 0
    teacher: "Story | None" = None


# A sweep


def explain_sweep(
    scene: Scene,
    states: Sequence[str],
    rounds: int | None,
    losses: Sequence[tuple[str, int, int]],
    teachers: Sequence[Story] = (),
) -> dict[str, Any]:
    """Where the trials of a sweep stand. `losses` are reasons of attempts that gave no result, with
    how many ended so and how many of those were charged; `teachers` are whom its trials learn from.
    """
    counts = Counter(states)
    lost: dict[str, Counter[str]] = {}
    for reason, attempts, charged in losses:
        one = lost.setdefault(reason.split(":")[0], Counter())
        one.update(attempts=attempts, charged=charged)
    return {
        "trials": {state: counts[state] for state in STATES},
        "rounds": rounds,
        "teachers": _teachers(teachers),
        "noted": scene.noted,
        "packs": [_pack(pack, scene) for pack in scene.packs],
        "waiting_for": _waiting_for(scene) if counts["waiting"] else None,
        "lost": [{"reason": reason, **lost[reason]} for reason in sorted(lost)],
    }


def sweep_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """`explain_sweep` for people."""
    trials = found["trials"]
    in_rounds = "" if found["rounds"] is None else f" in {found['rounds']} rounds"
    yield f"{sum(trials.values())} trials asked for{in_rounds}"
    for state, count in trials.items():
        if count:
            why = f"; {found['waiting_for']}" if state == "waiting" else ""
            yield f"  {count:>6} {state}: {STATES[state]}{why}"
    if found["teachers"]:
        yield from _teacher_lines(found["teachers"])
    if found["packs"]:
        yield "packs of this sweep now"
    for pack in found["packs"]:
        yield f"  {pack['pack']} with {pack['trials']}: {pack['words']}"
    if found["lost"]:
        yield "attempts that gave no result"
    for one in found["lost"]:
        charged = f", {one['charged']} of them charged" if one["charged"] else ", none charged"
        yield f"  {one['attempts']:>6} {one['reason']}{charged}"


def _teachers(stories: Sequence[Story]) -> dict[str, Any] | None:
    if not stories:
        return None
    counts = Counter(story.state for story in stories)
    return {
        "trials": {state: counts[state] for state in STATES if state != "cached"},
        "lessons_made": sum(story.times for story in stories),
        "made_again": sum(story.times > 1 for story in stories),
    }


def _teacher_lines(found: Mapping[str, Any]) -> Iterator[str]:
    counts = ", ".join(f"{count} {state}" for state, count in found["trials"].items() if count)
    total, made = sum(found["trials"].values()), found["lessons_made"]
    again = f", {found['made_again']} of them again" if found["made_again"] else ""
    times = f"trained {_count(made, 'time')}{again}"
    yield f"{_count(total, 'teacher')} of these trials: {counts}; {times}"


# A cell


def explain_cell(scene: Scene, stories: Sequence[Story]) -> dict[str, Any]:
    """Where the trials of one cell stand, each with its reason."""
    cell = stories[0].trial.cell
    counts = Counter(story.state for story in stories)
    return {
        "target": cell.target.settings,
        "learner": cell.learner.settings,
        "label": f"{cell.target.label} · {cell.learner.label}",
        **cell.point.model_dump(),
        "trials": {state: counts[state] for state in STATES},
        "members": [explain_trial(scene, story) for story in stories],
    }


def cell_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """`explain_cell` for people: repeats of one fate share a line."""
    counts = ", ".join(f"{count} {state}" for state, count in found["trials"].items() if count)
    yield f"{found['label']} · d={found['d']} n={found['n']} k={found['k']}: {counts}"
    fates: dict[str, list[str]] = {}
    for member in found["members"]:
        fates.setdefault(member["why"], []).append(f"{member['repeat']} ({member['trial'][:8]})")
    for why, repeats in fates.items():
        shown = ", ".join(repeats[:4]) + (f" and {len(repeats) - 4} more" if repeats[4:] else "")
        yield f"  repeat {shown}"
        yield f"    {why}"


# A trial


def explain_trial(scene: Scene, story: Story) -> dict[str, Any]:
    """Where one trial stands and why, and every attempt at it."""
    trial, cell = story.trial, story.trial.cell
    pack = scene.pack_of(trial.key) if story.state == "running" else None
    return {
        "trial": trial.key,
        "label": f"{cell.target.label} · {cell.learner.label}",
        **cell.point.model_dump(),
        "repeat": trial.repeat,
        "seed": trial.seed,
        "state": story.state,
        "why": f"{'lost' if story.state == 'gap' else story.state}: {_why(scene, story, pack)}",
        "pack": None if pack is None else _pack(pack, scene),
        "outcome": None if story.result is None else str(story.result.outcome),
        "measures": None if story.result is None else dict(story.result.measures),
        "lesson": story.lesson or None,
        "lesson_made": story.times,
        "teacher": None if story.teacher is None else _teacher(scene, story.teacher),
        "attempts": [_attempt(one, scene) for one in story.history],
    }


def trial_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """`explain_trial` for people."""
    yield f"trial {found['trial']}"
    yield (
        f"  {found['label']} · d={found['d']} n={found['n']} k={found['k']}, "
        f"repeat {found['repeat']}, seed {found['seed']}"
    )
    yield f"  {found['why']}"
    if found["teacher"]:
        yield f"  learns from {found['teacher']['trial']}: {found['teacher']['why']}"
    if found["lesson"]:
        made = _count(found["lesson_made"], "time")
        yield f"  what it taught is in {found['lesson']}, made {made}"
    if found["measures"]:
        yield "  " + ", ".join(f"{name} {value:.6g}" for name, value in found["measures"].items())
    for one in found["attempts"]:
        yield f"  attempt {one['attempt']}: {one['words']}"


def _teacher(scene: Scene, story: Story) -> dict[str, Any]:
    found = explain_trial(scene, story)
    return {name: found[name] for name in ("trial", "state", "why", "lesson", "lesson_made")}


def _why(scene: Scene, story: Story, pack: Whereabouts | None) -> str:
    outcome = "" if story.result is None else f", {story.result.outcome}"
    match story.state:
        case "done" | "cached":
            return _brought(scene, story) + outcome
        case "gap":
            reasons = "; ".join(map(_short, story.reasons))
            return f"given up after {_count(len(story.reasons), 'charge')}: {reasons}"
        case "running" if pack is not None:
            return f"in {pack.pack}, {_pack_words(pack, scene)}"
        case "running":
            began = story.history[-1].started if story.history else scene.now
            return f"begun {_s(scene.now - began)} ago; where, its driver has not noted yet"
        case _:
            return _waiting(scene, story)


def _brought(scene: Scene, story: Story) -> str:
    won = next((one for one in story.history if one.reason == "committed"), None)
    if story.state == "cached":
        by = f"by {_sweep(scene, won.sweep)}, " if won and won.sweep != scene.sweep else ""
        return f"settled {by}before this sweep asked, from an equal key"
    if won is not None and won.sweep != scene.sweep:
        return f"trained by {_sweep(scene, won.sweep)}, which asked for it too"
    return "trained by this sweep"


def _waiting(scene: Scene, story: Story) -> str:
    own = [one for one in story.history if one.sweep == scene.sweep and one.reason]
    charges = sum(one.charge for one in own)
    after = ""
    if own:
        charged = _count(charges, "charge") if charges else "no charge"
        after = f"lost {_count(len(own), 'time')}, {charged}; "
    if story.teacher is not None and (doing := _teaching(scene, story.teacher)):
        return f"{after}for its teacher {story.teacher.trial.key[:8]}, which {doing}"
    return after + _waiting_for(scene)


def _teaching(scene: Scene, teacher: Story) -> str:
    """What a teacher does for whom others have to wait; nothing where it has taught."""
    if teacher.state == "done":
        return "is trained again now" if scene.pack_of(teacher.trial.key) else ""
    return {"running": "is trained now", "waiting": "waits"}.get(teacher.state, "is gone")


def _waiting_for(scene: Scene) -> str:
    if scene.status == "running":
        return "for a free slot" + (
            f": {_count(len(scene.packs), 'pack')} before it" if scene.packs else ""
        )
    if scene.status == "interrupted":
        return f"for a driver: {scene.resume}"
    return f"for more time, since the sweep was {_ended(scene)}: {scene.resume}"


def _ended(scene: Scene) -> str:
    return f"stopped by {scene.stopped_by}" if scene.stopped_by else scene.status


def _attempt(one: Attempt, scene: Scene) -> dict[str, Any]:
    other = "" if one.sweep == scene.sweep else f", for {_sweep(scene, one.sweep)}"
    pack = scene.pack_of(one.key)
    if one.ended is not None:
        at = f" on {one.where}" if one.where else ""
        charge = ", charged" if one.charge else ""
        reason = _short(one.reason or "ended")
        words = f"{reason}{at} after {_s(one.ended - one.started)}{charge}{other}"
    elif other:
        words = f"running{other}"
    elif scene.noted is None:
        words = "left running by a driver that is gone"
    elif pack is None:
        words = f"begun {_s(scene.now - one.started)} ago"
    else:
        words = _pack_words(pack, scene)
    return {
        "attempt": one.attempt,
        "sweep": one.sweep,
        "started": one.started,
        "ended": one.ended,
        "reason": one.reason,
        "charged": one.charge,
        "where": one.where or (pack.where if pack and not other and one.ended is None else ""),
        "words": words,
    }


def _pack(pack: Whereabouts, scene: Scene) -> dict[str, Any]:
    return {
        "pack": pack.pack,
        "trials": len(pack.keys),
        "where": pack.where or None,
        "since": pack.since,
        "deadline": pack.deadline,
        "lease": pack.lease,
        "words": _pack_words(pack, scene),
    }


def _pack_words(pack: Whereabouts, scene: Scene) -> str:
    noted = "" if scene.noted is None else f" (noted {_s(scene.now - scene.noted)} ago)"
    if not pack.where:
        return f"waits for a free slot{noted}"
    if pack.since is None:
        return f"waits on {pack.where} behind another pack{noted}"
    parts = [f"on {pack.where} for {_s(scene.now - pack.since)}"]
    if pack.deadline is not None:
        parts.append(f"ended at its limit in {_s(pack.deadline - scene.now)}")
    if pack.lease is not None:
        parts.append(f"lease for {_s(pack.lease - scene.now)} more")
    return ", ".join(parts) + noted


def _sweep(scene: Scene, sweep: str) -> str:
    return f"sweep {scene.names.get(sweep, 'of another name')} ({sweep[:8]})"


def _short(reason: str) -> str:
    """A reason on one line: of a traceback, which kind and what it ends in."""
    kind, _, detail = reason.partition(": ")
    lines = detail.strip().splitlines()
    return f"{kind}: {lines[-1].strip()}" if lines else kind


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _s(seconds: float) -> str:
    return f"{max(0.0, seconds):.1f} s"
