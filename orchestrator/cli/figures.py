"""Numbers and intervals as the tables write them."""


def number(value: float | None) -> str:
    """Four significant digits for people; a dash where it is not known."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def interval(low: float | None, high: float | None) -> str:
    """An interval, or the bound that is known."""
    if low is None and high is None:
        return "–"
    if high is None:
        return f"> {number(low)}"
    if low is None:
        return f"< {number(high)}"
    return f"{number(low)} – {number(high)}"
