"""Optuna's samplers as a file names them, and the settings each of them takes.

Written down here because only `search` may import optuna; a test holds the table against the
installed library. Left out are settings that are code (functions, other samplers, operators) or
deprecated, those that only silence warnings, and the seed, which follows from the file's. Two
samplers are left out with them: `PartialFixedSampler` wraps another, and a field that is fixed is
simply not named; `GridSampler` lists values, as `BruteForceSampler` does from the fields.
"""

import difflib
from collections.abc import Mapping
from typing import Literal

Setting = Literal["whole", "number", "truth"] | tuple[str, ...]
"""What a setting takes: a whole number, a number, true or false, or one of these words."""

_GENETIC: Mapping[str, Setting] = {
    "population_size": "whole",
    "mutation_prob": "number",
    "crossover_prob": "number",
    "swapping_prob": "number",
}

SAMPLERS: Mapping[str, Mapping[str, Setting]] = {
    "BruteForceSampler": {"avoid_premature_stop": "truth"},
    "CmaEsSampler": {
        "n_startup_trials": "whole",
        "popsize": "whole",
        "use_separable_cma": "truth",
        "with_margin": "truth",
        "lr_adapt": "truth",
    },
    "GPSampler": {"n_startup_trials": "whole", "deterministic_objective": "truth"},
    "NSGAIISampler": _GENETIC,
    "NSGAIIISampler": {**_GENETIC, "dividing_parameter": "whole"},
    "QMCSampler": {"qmc_type": ("sobol", "halton"), "scramble": "truth"},
    "RandomSampler": {},
    "TPESampler": {
        "n_startup_trials": "whole",
        "n_ei_candidates": "whole",
        "multivariate": "truth",
        "group": "truth",
        "constant_liar": "truth",
    },
}

USUAL = "TPESampler"
"""Optuna's own default for one objective."""


def sampler_named(found: str) -> str:
    """The class that a file means: `TPESampler`, `tpesampler` or `tpe`.

    Raises `ValueError` with the nearest known name.
    """
    names = {name.lower(): name for name in SAMPLERS}
    asked = found.lower().removesuffix("sampler") + "sampler"
    if asked in names:
        return names[asked]
    near = difflib.get_close_matches(asked, names, n=1)
    hint = f"did you mean {names[near[0]]!r}? " if near else ""
    raise ValueError(f"unknown sampler {found!r}; {hint}known samplers: {', '.join(SAMPLERS)}")


def unfit(kind: Setting, value: object) -> str | None:
    """What was expected in place of `value`; None where it fits."""
    match kind:
        case "truth":
            return None if isinstance(value, bool) else "true or false"
        case "whole":
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            return None if is_whole else "a whole number"
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return None if is_number else "a number"
        case tuple():
            return None if value in kind else " or ".join(repr(word) for word in kind)
