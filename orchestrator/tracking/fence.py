"""The fence: which results a commit accepts. One rule for every tracker. Pure.

A trial may be trained twice at once after a fault, and both copies may report. What keeps the
second out is the number of the attempt that it was started as: only the newest that the committing
driver began is valid, and only while the trial has no result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain.trial import Result


@dataclass
class Verdict:
    """What becomes of offered results.

    `late` are valid attempts, as (key, attempt), at trials that someone else has settled.
    """

    accepted: dict[str, Result] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    late: list[tuple[str, int]] = field(default_factory=list)


def judge(
    results: Sequence[Result],
    attempts: Mapping[str, int],
    begun: Mapping[str, int],
    is_open: Callable[[str], bool],
) -> Verdict:
    """Judge results offered under `attempts`; `begun` has the driver's newest attempt of each key.

    Of two results of one key the first counts.
    """
    verdict = Verdict()
    for result in results:
        key = result.key
        attempt = attempts.get(key)
        is_valid = attempt is not None and attempt == begun.get(key)
        if is_valid and is_open(key) and key not in verdict.accepted:
            verdict.accepted[key] = result
            continue
        verdict.refused.append(key)
        if attempt is not None and is_valid and key not in verdict.accepted:
            verdict.late.append((key, attempt))
    return verdict
