"""The report: an `Answer` as pictures and as one page.

Values in, text and bytes out; nothing here trains or looks anything up, and only how intervals
narrowed is fitted again, so a picture can never disagree with the table beside it. Two rules hold
in every module. Uncertainty is drawn wherever a number is: intervals, bounds as arrows, "not known"
in words. And equal answers give equal bytes, so a picture that changed means an answer that
changed: no clock, no random names.

matplotlib and plotly take a second to import and most commands draw nothing, so they are imported
when something is drawn.
"""

from collections.abc import Mapping

from orchestrator.answer import Answer
from orchestrator.report.description import description

__all__ = ["description", "figures", "headline", "page"]


def figures(answer: Answer) -> dict[str, bytes]:
    """Every picture of the answer as PNG and PDF, by relative path such as `figures/law.png`.

    Pictures that would be empty (a ratio without a second arm, a law without thresholds) are left
    out.
    """
    from orchestrator.report.printing import figures as drawn

    return drawn(answer)


def headline(answer: Answer) -> bytes:
    """The answer in one wide PNG: thresholds of all arms, their laws, theory, the ratio."""
    from orchestrator.report.printing import headline as drawn

    return drawn(answer)


def page(
    answer: Answer,
    *,
    made: float | None = None,
    versions: Mapping[str, str] | None = None,
    files: dict[str, bytes] | None = None,
) -> str:
    """The whole answer as one HTML page that asks for nothing: no request leaves it.

    `made`, in seconds since the epoch, is when; it is shown while the sweep runs. `versions` are
    those of what the answer depends on, a `commit` among them. `files` gets what `figures` gives.
    """
    from orchestrator.report.document import page as written

    return written(answer, made=made, versions=versions, files=files)
