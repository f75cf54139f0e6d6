"""Numbers, intervals and findings in words; tables, pictures and the page speak through here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.answer import ArmAnswer
from orchestrator.inference.threshold import Interval, Law, Threshold

UNKNOWN = "not known"

STATUSES: Mapping[str, str] = {
    "found": "found",
    "below_range": "below range",
    "above_range": "above range",
    "not_sharp": "not sharp",
    "not_monotone": "not monotone",
    "undecided": "undecided",
}

EXPLAINED: Mapping[str, str] = {
    "below_range": "n* lies below every n that was asked for; only an upper bound is known",
    "above_range": "n* lies above every n that was asked for; only a lower bound is known",
    "not_sharp": "success grows too slowly with n to speak of a threshold",
    "not_monotone": "success falls again as n grows, so that one crossing says little",
    "undecided": "the trials so far do not settle it",
}

FAMILIES: Mapping[str, str] = {
    "power": "power law",
    "power_log": "power law times log d",
    "power_in_k": "power of d with k in the exponent",
    "binomial": "power of the binomial coefficient C(d,k)",
    "exponential": "exponential law",
    "constant": "constant, the same at every point",
}

_SUPERSCRIPTS = str.maketrans("0123456789.-−", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻⁻")


def number(value: float | None, digits: int = 3) -> str:
    """`value` to `digits` significant digits, whole numbers in full: 45.9, 0.0123, 12 340."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size >= 7 or size <= -5:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    decimals = max(0, digits - 1 - size)
    text = f"{value:,.{decimals}f}"
    # A narrow no-break space groups thousands the same in every language.
    return text.replace(",", "\u202f").replace("-", "−")


def power_of_ten(exponent: int) -> str:
    """3 as `10³`, −2 as `10⁻²`."""
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def count(value: int, thing: str, things: str | None = None) -> str:
    """`1 gap`, `3 gaps`, `1 234 trials`."""
    return f"{value:,} {thing if value == 1 else things or thing + 's'}".replace(",", "\u202f")


def percent(share: float) -> str:
    """0.95 as `95 %`, 0.999 as `99.9 %`."""
    return f"{100 * share:.6g}\u202f%".replace("-", "−")


def between(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval with both, one, or neither end known."""
    if low is None and high is None:
        return UNKNOWN
    if low is None:
        return f"below {number(high, digits)}"
    if high is None:
        return f"above {number(low, digits)}"
    return f"{number(low, digits)} to {number(high, digits)}"


def n_star(threshold: Threshold) -> str:
    """The threshold as a table cell: a number, a bound, or that it is not known."""
    if threshold.n_star is not None:
        return number(threshold.n_star)
    if threshold.high is None and threshold.low is not None:
        return f"> {number(threshold.low)}"
    if threshold.low is None and threshold.high is not None:
        return f"< {number(threshold.high)}"
    return UNKNOWN


def interval(threshold: Threshold) -> str:
    """The interval of a threshold; a one-sided bound is already said by `n_star`."""
    if threshold.n_star is None and (threshold.low is None or threshold.high is None):
        return "one-sided" if (threshold.low, threshold.high) != (None, None) else UNKNOWN
    ends = between(threshold.low, threshold.high)
    return f"{ends}, widened for gaps" if threshold.widened else ends


def exponent(value: Interval) -> str:
    """`1.98 (1.90 to 2.06)`, two decimals throughout: exponents are compared by eye."""
    return f"{exponent_value(value.value)} ({between_exponents(value.low, value.high)})"


def between_exponents(low: float, high: float) -> str:
    """`1.90 to 2.06`."""
    return f"{exponent_value(low)} to {exponent_value(high)}"


def exponent_value(value: float) -> str:
    """`1.98`, `−0.20`; to three digits where two decimals would show 0.00."""
    return (f"{value:.2f}" if abs(value) >= 0.05 or value == 0 else f"{value:.2g}").replace(
        "-", "−"
    )


@dataclass(frozen=True)
class Term:
    """A factor of a law: `base` raised to `power`, or the base alone where that is empty."""

    base: str
    power: str = ""


def terms(law: Law) -> list[Term]:
    """The law as factors, without its constant: d^1.98, log d."""
    if law.family == "constant":
        return [Term("1")]
    powers = {name: exponent_value(one.value) for name, one in law.exponents.items()}
    if law.family == "exponential":
        return [Term("e", " + ".join(f"{value} {name}" for name, value in powers.items()))]
    bases = {name: f"({name})" if "^" in name else name for name in powers}
    factors = [Term(bases[name], value) for name, value in powers.items()]
    if law.family == "power_log":
        return [*factors, Term("log d")]
    return factors if law.family in FAMILIES else [Term(law.family), *factors]


def growth(law: Law) -> str:
    """The law as a short formula for legends, where there is no other raised text: `n* ∝ d¹·⁹⁸`."""
    if law.family == "exponential":
        return f"n* ∝ exp({terms(law)[0].power})"
    factors = (f"{one.base}{one.power.translate(_SUPERSCRIPTS)}" for one in terms(law))
    return f"n* ∝ {' '.join(factors)}"


def powers(law: Law) -> str:
    """Powers with their intervals on one line: `d⁰·⁹⁵ (0.86 to 1.04)`."""
    return " ".join(
        f"{name}{exponent_value(one.value).translate(_SUPERSCRIPTS)} "
        f"({between_exponents(one.low, one.high)})"
        for name, one in law.exponents.items()
    )


def law_sentence(arm: ArmAnswer) -> str:
    """What the law says, with exponents, intervals and how far to believe it."""
    if arm.law is None:
        return "No law is fitted with fewer than three thresholds found."
    law, level = arm.law, percent(confidence(arm))
    family = FAMILIES.get(law.family, law.family)
    unit = " per unit" if law.family == "exponential" else ""
    exponents = "; ".join(
        f"{exponent_value(one.value)} in {name}{unit} "
        f"({level} interval {between_exponents(one.low, one.high)})"
        for name, one in law.exponents.items()
    )
    said = f"The data prefer a {family}" + (f" with exponent {exponents}" if exponents else "")
    return f"{said}. {_evidence(law)}{_apparent(arm, level)}"


def _evidence(law: Law) -> str:
    weight = law.weights.get(law.family)
    share = "" if weight is None else f" (weight {_share(weight)})"
    if law.decisive:
        families = count(len(law.weights), "family", "families")
        return f"The evidence for it is decisive among {families}{share}."
    return (
        f"The evidence is not decisive{share}: another family can look the same over this range, "
        "so read the exponent as a description of it."
    )


def _apparent(arm: ArmAnswer, level: str) -> str:
    """The apparent powers, where the family preferred is not one of powers already."""
    if arm.power is None or arm.law is None or arm.law.family == "power" or not arm.power.exponents:
        return ""
    powers = "; ".join(
        f"{exponent_value(one.value)} in {name} "
        f"({level} interval {between_exponents(one.low, one.high)})"
        for name, one in arm.power.exponents.items()
    )
    return f" Over this range it looks like a power of {powers}."


def _share(weight: float) -> str:
    return "> 0.99" if 0.995 <= weight < 1 else f"{weight:.2f}"


def confidence(arm: ArmAnswer) -> float:
    """The confidence of the arm's intervals, as a share; 0.95 for an arm without thresholds."""
    return arm.thresholds[0].threshold.confidence if arm.thresholds else 0.95


def short_names(arms: Sequence[ArmAnswer]) -> list[str]:
    """What tells the arms apart and nothing more: `two_layer`, `width = 64`; else whole labels."""
    if len(arms) == 1:
        return [str(arms[0].learner.get("kind", arms[0].label))]
    targets = _differences([arm.target for arm in arms])
    learners = _differences([arm.learner for arm in arms])
    names = [
        " · ".join(part for part in pair if part) for pair in zip(targets, learners, strict=True)
    ]
    return names if all(names) and len(set(names)) == len(names) else [arm.label for arm in arms]


def _differences(plugins: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each plug-in's kind where kinds differ, and its settings that differ within its kind."""
    kinds = {plugin.get("kind") for plugin in plugins}
    names = []
    for plugin in plugins:
        kin = [other for other in plugins if other.get("kind") == plugin.get("kind")]
        told = [
            f"{name} = {value}"
            for name, value in plugin.items()
            if any(other.get(name) != value for other in kin)
        ]
        kind = str(plugin.get("kind")) if len(kinds) > 1 else ""
        names.append(f"{kind}({', '.join(told)})" if kind and told else kind or ", ".join(told))
    return names


def n_axis(arms: Sequence[ArmAnswer]) -> str:
    """What an axis of n shows: `n, training examples`, or each arm's own when they differ."""
    return f"n, {' / '.join(dict.fromkeys(arm.n_counts for arm in arms))}"


def n_star_axis(arms: Sequence[ArmAnswer]) -> str:
    """What an axis of thresholds shows, with units and level."""
    levels = " / ".join(dict.fromkeys(percent(arm.level) for arm in arms))
    counts = " / ".join(dict.fromkeys(arm.n_counts for arm in arms))
    return f"n* at {levels} success, {counts}"


def moment(seconds: float | None) -> str:
    """Seconds since the epoch as `2025-03-01 12:00:05 UTC`."""
    if seconds is None:
        return UNKNOWN
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Seconds as `12.3 s`, `4 min 05 s`, `2 h 07 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
