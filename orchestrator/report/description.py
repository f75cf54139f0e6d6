"""What stands above a sweep's runs in MLflow: the question, the thresholds and the laws, in
Markdown.
"""

from collections.abc import Iterable, Sequence

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.report import words

MOST_ROWS = 32
"""Thresholds that are listed, of all arms together; MLflow takes 5,000 characters, and the page has
all of them."""


def description(found: Answer) -> str:
    """The sweep so far, for people who open its run."""
    return "\n\n".join(part for part in _parts(found) if part)


def _parts(found: Answer) -> Iterable[str]:
    yield f"**{_inline(found.question)}**" if found.question else ""
    yield _standing(found)
    for arm in found.arms:
        yield from _arm(arm, found)
    yield "The page `report.html` among the artifacts has the pictures and everything else."


def _standing(found: Answer) -> str:
    stopped = f", stopped by {found.stopped_by}" if found.stopped_by else ""
    trials = words.count(found.finished_trials, "trial")
    gaps = f", {words.count(found.gaps, 'gap')}" if found.gaps else ""
    status = "so far" if found.status == "running" else found.status  # it may be read much later
    return f"{status}{stopped}: {trials}{gaps}. Success: `{found.criterion}`."


def _arm(arm: ArmAnswer, found: Answer) -> Iterable[str]:
    if len(found.arms) > 1:
        yield f"#### {_inline(arm.label)}"
    shown = arm.thresholds[: max(2, MOST_ROWS // len(found.arms))]
    yield "\n".join(_table(shown))
    if len(arm.thresholds) > len(shown):
        yield f"and {words.count(len(arm.thresholds) - len(shown), 'threshold')} more"
    if arm.law is not None:
        yield words.law_sentence(arm)


def _table(thresholds: Sequence[FoundThreshold]) -> Iterable[str]:
    with_theory = any(one.theory is not None for one in thresholds)
    heads = ["d", "k", "n*", "interval", "status", "trials", *(["theory"] if with_theory else [])]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---:|' * len(heads)}"
    for one in thresholds:
        seen = one.threshold
        cells = [
            *(str(seen.d), str(seen.k), words.n_star(seen), words.interval(seen)),
            *(words.STATUSES[seen.status], str(seen.trials)),
            *([words.number(one.theory) if one.theory is not None else ""] if with_theory else []),
        ]
        yield f"| {' | '.join(cells)} |"


def _inline(text: str) -> str:
    """One line of plain words: nothing that Markdown would take for a table or a break."""
    return " ".join(text.split()).replace("|", "\\|")
