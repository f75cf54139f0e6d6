"""The answer in a few lines: what a notebook or a console shows of a sweep."""

from collections.abc import Iterator, Sequence

from orchestrator.answer import Answer
from orchestrator.report import tables, words
from orchestrator.report.document import environment

MOST = 40
"""Thresholds of an arm that are shown; a notebook's cell is not a page. Chosen by hand."""


def card(answer: Answer) -> str:
    """The question, the thresholds and the law of each arm, as a piece of HTML."""
    return (
        environment()
        .get_template("card.html.jinja")
        .render(
            answer=answer,
            words=words,
            summary=tables.summary(answer),
            arms=[tables.arm_table(arm, index) for index, arm in enumerate(answer.arms)],
            most=MOST,
        )
    )


def plain(answer: Answer) -> str:
    """The same as lines of text."""
    return "\n".join(_lines(answer))


def _lines(answer: Answer) -> Iterator[str]:
    yield f"{answer.name} ({answer.sweep}): {answer.status}, {tables.summary(answer)}"
    yield (
        f"{words.count(answer.finished_trials, 'trial')}, {words.count(answer.gaps, 'gap')}; "
        f"success: {answer.criterion}"
    )
    if answer.question:
        yield answer.question
    for index, arm in enumerate(answer.arms):
        table = tables.arm_table(arm, index)
        yield f"\n{table.label}"
        head = ("d", "k", "n*", "interval", "finding", "trials", "gaps")
        rows = [
            (
                row.d,
                row.k,
                row.n_star,
                row.interval,
                words.STATUSES[row.finding],
                row.trials,
                row.gaps,
            )
            for row in table.rows[:MOST]
        ]
        yield from _aligned([head, *rows])
        if len(table.rows) > MOST:
            yield f"… and {len(table.rows) - MOST} more: .thresholds()"
        yield table.sentence


def _cells(row: tables.ThresholdRow) -> tuple[object, ...]:
    finding = words.STATUSES.get(row.finding, row.finding)
    return row.d, row.k, row.n_star, row.interval, finding, row.trials, row.gaps


def _aligned(rows: Sequence[Sequence[object]]) -> Iterator[str]:
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
