"""Laws for people: what they are, what they predict, and two arms beside each other."""

import re
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.answer import Answer, ArmAnswer, Comparison
from orchestrator.cli.figures import interval, number
from orchestrator.errors import RequestError
from orchestrator.inference.threshold import Interval, Law

PLACE = re.compile(r"d=(\d+)(?:,k=(\d+))?")
"""Where a threshold is to be predicted."""


def sentence(arm: ArmAnswer) -> str:
    """The law of one arm in a line or two."""
    law = arm.law
    if law is None:
        return "law: fewer than three thresholds stand\n"
    weight = law.weights.get(law.family, 0.0)
    firm = (
        "the data prefer it clearly"
        if law.decisive
        else "not decisive: the data leave other families open"
    )
    words = f"law: {law.family} {_exponents(law)}; {firm} (weight {weight:.2f})\n"
    if law.family != "power" and arm.power is not None:
        words += f"     as a power over this range: {_exponents(arm.power)}\n"
    return words


def _exponents(law: Law) -> str:
    return ", ".join(_exponent(law, name, one) for name, one in law.exponents.items())


def _exponent(law: Law, name: str, one: Interval) -> str:
    """A factor with its exponent; of an exponential law, nats of log n per unit of the letter."""
    if law.family == "exponential":
        return f"{one.value:.3g} per unit of {name} [{one.low:.3g}, {one.high:.3g}]"
    base = f"({name})" if "^" in name else name
    return f"{base}^{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def place(words: str, found: Answer) -> tuple[int, int]:
    """The (d, k) of `d=400,k=20`; k may be left out where every threshold has the same.

    Raises `RequestError`.
    """
    match = PLACE.fullmatch(words.replace(" ", ""))
    if match is None:
        raise RequestError(f"--predict {words}: expected d and k, such as d=400,k=20")
    ks = {one.asked.k for arm in found.arms for one in arm.thresholds}
    if match[2] is None and len(ks) != 1:
        raise RequestError(f"--predict {words}: this sweep has several k; say d={match[1]},k=...")
    return int(match[1]), int(match[2] or ks.pop())


def predictions(found: Answer, places: Sequence[tuple[int, int]]) -> Iterator[str]:
    """What each arm's laws say of thresholds at (d, k), or why they say nothing."""
    for arm in found.arms:
        for d, k in places:
            yield f"{arm.label}: predicted at d = {d}, k = {k}: {_prediction(arm, d, k)}"


def _prediction(arm: ArmAnswer, d: int, k: int) -> str:
    if arm.law is None:
        return "nothing, as fewer than three thresholds stand"
    try:
        seen = arm.law.predict(d, k)
    except ValueError as reason:
        return f"nothing: {reason}"
    averaged = "" if arm.law.decisive else ", families averaged by weight"
    return f"n_star = {number(seen.value)} [{interval(seen.low, seen.high)}]{averaged}"


def comparison(pair: Comparison, found: Answer) -> Iterator[RenderableType]:
    """Ratios of thresholds and differences of apparent exponents, with how far to believe them."""
    first, second = found.arms[pair.first].label, found.arms[pair.second].label
    if pair.ratios:
        yield Text(f"{first} over {second}", style="bold")
        table = Table(box=box.SIMPLE_HEAD)
        for name in ("d", "k", "ratio of n_star", "interval", ""):
            table.add_column(name, justify="right")
        for d, k, ratio, low, high in pair.ratios:
            said = "not decisive" if low <= 1 <= high else ""
            table.add_row(str(d), str(k), f"{ratio:.3f}", f"{low:.3f} – {high:.3f}", said)
        yield table
    for letter, gap, low, high in pair.exponent_gaps:
        said = "; not decisive" if low <= 0 <= high else ""
        between = f"apparent exponent of {letter}, {first} minus {second}"
        yield Text(f"{between}: {gap:.2f} [{low:.2f}, {high:.2f}]{said}")
