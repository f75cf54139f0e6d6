"""How a search ended, and what more trials would bring, in sentences.

The sentences come from the answer alone, so the table, `status` and the page say the same. A search
may end with thresholds undecided although nothing is left to ask, because trials there get no
answer; that is said whatever ended it.
"""

from collections.abc import Sequence

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold

MOST_NAMED = 4
"""Thresholds that are named one by one; of more, the widest. Chosen by hand."""

Named = tuple[str, FoundThreshold]
"""A threshold and how to call it: `d=200 k=40`, with its arm where there are several."""


def ending(found: Answer) -> list[str]:
    """What ended the search, what is still open, and what more would bring.

    Empty for searches that do not seek thresholds: a design ends where it ends.
    """
    if found.search is None or found.search.kind != "threshold":
        return []
    named = [(_name(found, arm, one), one) for arm in found.arms for one in arm.thresholds]
    return [
        _ended(found, named),
        *_open(found, named),
        *_left_alone(named),
        *(_exponents(found) if found.search.aim == "exponents" else []),
        *_halving(found, named),
    ]


def _name(found: Answer, arm: ArmAnswer, one: FoundThreshold) -> str:
    place = f"d={one.asked.d} k={one.asked.k}"
    return f"{place} of {arm.label}" if len(found.arms) > 1 else place


def _standing(named: Sequence[Named], stands: str) -> list[Named]:
    return [one for one in named if one[1].prospect and one[1].prospect.stands == stands]


def _ended(found: Answer, named: Sequence[Named]) -> str:
    assert found.search is not None
    search, settled, total = found.search, len(_standing(named, "settled")), len(named)
    count = f"all {total}" if settled == total else f"{settled} of {total}"
    if search.aim == "exponents":
        stand = f"{count} thresholds are settled"
    else:
        stand = f"{count} thresholds are settled at ±{_percent(search.tolerance)}"
    match found.stopped_by:
        case "tolerance" if settled < total and search.aim == "thresholds":
            return f"Stopped with nothing left to ask; {stand}."
        case "tolerance":
            return f"Stopped by tolerance; {stand}."
        case "max_trials" | "max_hours":
            limit = getattr(search, found.stopped_by)
            return f"Stopped by {found.stopped_by} = {limit:,g}; {stand}."
    return f"{found.status.capitalize()}; {stand}."


def _open(found: Answer, named: Sequence[Named]) -> list[str]:
    assert found.search is not None
    waiting = _standing(named, "open")
    if not waiting or found.search.aim != "thresholds":
        return []
    widest = sorted(waiting, key=lambda one: -_width(one[1]))
    asked = _percent(found.search.tolerance)
    stands = ", ".join(f"{name} {_stands(one)}" for name, one in widest[:MOST_NAMED])
    more = f", and {len(waiting) - MOST_NAMED} more" if len(waiting) > MOST_NAMED else ""
    needed = [one.prospect.to_settle for _, one in waiting if one.prospect]
    known = [count for count in needed if count is not None]
    if len(known) < len(needed):
        return [f"Not settled: {stands}{more}, of ±{asked} asked."]
    would = "it" if len(waiting) == 1 else "them"
    return [
        f"Not settled: {stands}{more}, of ±{asked} asked; "
        f"about {_rounded(sum(known))} more trials would settle {would}."
    ]


def _width(one: FoundThreshold) -> float:
    width = one.prospect.half_width if one.prospect else None
    return float("inf") if width is None else width


def _stands(one: FoundThreshold) -> str:
    width = one.prospect.half_width if one.prospect else None
    return "is not located" if width is None else f"stands at ±{_percent(width)}"


def _left_alone(named: Sequence[Named]) -> list[str]:
    said = []
    for stands, why in (
        ("gaps", "for lack of answers: trials there became gaps, and more would too"),
        ("edge", "too close to an end of the range of n for more trials to tell on which side"),
    ):
        names = [name for name, _ in _standing(named, stands)]
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            said.append(f"Left undecided {why}: {', '.join(names[:MOST_NAMED])}{more}.")
    widened = [name for name, one in named if one.threshold.widened]
    if widened:
        count = "one threshold" if len(widened) == 1 else f"{len(widened)} thresholds"
        said.append(f"Gaps widened the interval of {count}.")
    return said


def _exponents(found: Answer) -> list[str]:
    assert found.search is not None
    tolerance = found.search.tolerance
    said = []
    for arm in found.arms:
        of = f" of {arm.label}" if len(found.arms) > 1 else ""
        for letter, one in arm.power.exponents.items() if arm.power else ():
            width = (one.high - one.low) / 2
            more = ""
            if width > tolerance:
                more = f"; about {(width / tolerance) ** 2:.2g} times the trials would reach that"
            stands = f"stands at ±{width:.2g} of ±{tolerance:.2g} asked{more}"
            said.append(f"The exponent of {letter}{of} {stands}.")
    return said


def _halving(found: Answer, named: Sequence[Named]) -> list[str]:
    """Thresholds of one arm inform each other, so about three times what was spent is enough."""
    counts = [
        one.prospect.to_halve
        for _, one in named
        if one.prospect and one.prospect.to_halve and one.threshold.n_star is not None
    ]
    spent = found.finished_trials
    if not counts or not spent or found.status not in ("finished", "running", "interrupted"):
        return []
    more = min(sum(counts), 3 * spent)
    return [
        f"Halving every interval would take about {_rounded(more)} more trials, "
        f"{(spent + more) / spent:.1f} times those so far."
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%"


def _rounded(count: int) -> str:
    """To two digits: these are expectations."""
    size = 10 ** max(0, len(str(count)) - 2)
    return f"{round(count / size) * size:,}"
