"""Every method of the suite: where it runs, on how many problems, with how many outcomes."""

import ast
import hashlib
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.search.families import ODD, ORDINARY, PROBLEMS
from benchmarks.search.methods import environments, optuna_samplers, oracle, ours, textbook
from benchmarks.search.playing import Method, Plan, Version
from orchestrator import inference

SHAPED_BY = ("psychometric", "design")
"""Modules of `orchestrator.inference` that our results hang on, with all that they import there."""

FEW, SLOW_PROBLEMS, SLOW_OUTCOMES = 100, 4, 75
"""Problems of the batched variants; problems and outcomes of slow peers."""

BATCHED = ("base", "one", "surface", "lapse_5")
"""Families in which the batched variants run."""

NO_LAW = ("integer_steps",)
"""Families in which an oracle would know everything."""


@cache
def fingerprint() -> str:
    """A hash of our inference and design, docstrings and comments apart."""
    folder = Path(inference.__file__).parent
    seen: dict[str, str] = {}
    waiting = list(SHAPED_BY)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            tree = ast.parse((folder / f"{name.replace('.', '/')}.py").read_text())
            waiting += [
                node.module.removeprefix(f"{inference.__name__}.")
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.module
                if node.module.startswith(f"{inference.__name__}.")
            ]
            seen[name] = _without_docstrings(tree)
    digest = hashlib.blake2b(repr(sorted(seen.items())).encode(), digest_size=5)
    return f"ours {digest.hexdigest()}"


def _without_docstrings(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                line
                for line in body
                if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            ]
    return ast.dump(tree)


def _here(revision: int, package: str | None = None) -> Version:
    """A peer that runs in this environment. Raise the revision when its results would change."""
    name = f"{package} {version(package)}, " if package else ""
    return lambda: f"{name}revision {revision}"


def _elsewhere(revision: int, package: str) -> Version:
    """A peer with an environment of its own, None where that is missing."""

    def found() -> str | None:
        installed = environments.version_of(package)
        return installed and f"{installed}, revision {revision}"

    return found


def _methods() -> list[Method]:
    ordinary, odd = tuple(ORDINARY), tuple(ODD)
    lawful = tuple(name for name in ordinary if name not in NO_LAW)
    grid_10, grid_20 = partial(textbook.grid_size, 10), partial(textbook.grid_size, 20)
    quest, aepsych = _elsewhere(1, "questplus"), _elsewhere(1, "aepsych")
    many = Plan(ordinary, PROBLEMS, 200)
    quick = Plan(ordinary, PROBLEMS, 75)
    grid = partial(Plan, ordinary, PROBLEMS, 0)
    batched = Plan(BATCHED, FEW, 200)
    slow = Plan(ordinary, SLOW_PROBLEMS, SLOW_OUTCOMES)
    return [
        Method("ours", ours.OneAtATime, fingerprint, many),
        Method("ours-rounds", ours.RoundsOfFour, fingerprint, batched),
        Method("ours-16", ours.SixteenInFlight, fingerprint, batched),
        Method("ours-settled", ours.UntilSettled, fingerprint, Plan(odd, PROBLEMS, 200, each=True)),
        Method("oracle", oracle.Oracle, _here(1), Plan(lawful, PROBLEMS, 200)),
        Method("grid-20x10", textbook.grid_of_10, _here(1), grid(designed=grid_10)),
        Method("grid-20x20", textbook.grid_of_20, _here(1), grid(designed=grid_20)),
        Method("staircase", textbook.Staircase, _here(1), many),
        Method("bisection", textbook.Bisection, _here(1), many),
        Method("at-random", textbook.AtRandom, _here(1), many),
        Method("questplus", environments.questplus, quest, quick),
        Method("optuna-tpe", optuna_samplers.tpe, _here(1, "optuna"), many),
        Method("optuna-gp", optuna_samplers.gp, _here(1, "optuna"), slow, kept=True),
        Method("aepsych-eavc", environments.aepsych_eavc, aepsych, slow, kept=True),
        Method("aepsych-mi", environments.aepsych_mi, aepsych, slow, kept=True),
    ]


METHODS = {method.name: method for method in _methods()}

OURS = ("ours", "ours-rounds", "ours-16", "ours-settled")

PEERS = tuple(name for name in METHODS if name not in (*OURS, "oracle"))
