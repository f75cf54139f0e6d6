"""Studies of a simulated learner whose n_star is 2 d."""

import numpy as np
import optuna

from orchestrator.search import ThresholdSampler

DS = [10, 20, 40]


def success(d, n, luck, sharpness=8):
    """1 with probability one half at n = 2 d."""
    return float(luck < 1 / (1 + (2 * d / n) ** sharpness))


def outcome(trial):
    """The trial's luck follows from its number."""
    luck = np.random.default_rng(trial.number).random()
    return success(trial.params["d"], trial.params["n"], luck)


def suggested(trial):
    """(d, n) as the trial is suggested them."""
    return trial.suggest_categorical("d", DS), trial.suggest_int("n", 5, 10_000, log=True)


def objective(trial):
    suggested(trial)
    return outcome(trial)


def a_sampler(**more):
    return ThresholdSampler(**{"n": "n", "context": ["d"], "seed": 0, **more})


def a_study(sampler=None, **more):
    return optuna.create_study(sampler=sampler or a_sampler(), **more)


def points(study):
    return [(trial.params["d"], trial.params["n"]) for trial in study.trials]
