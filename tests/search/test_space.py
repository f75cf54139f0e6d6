import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.search import space
from orchestrator.search.space import levels
from tests.search.sampled import a_sampler, a_study

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(2, 6), (2, 3, 4, 5, 6)),
        (IntDistribution(10, 100, step=30), (10, 40, 70, 100)),
        (IntDistribution(1, 128, log=True), (1, 2, 4, 8, 16, 32, 64, 128)),
        (FloatDistribution(0.0, 1.0, step=0.5), (0.0, 0.5, 1.0)),
        (FloatDistribution(0.0, 7.0), (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)),
        (CategoricalDistribution(["a", None, 3]), ("a", None, 3)),
    ],
)
def test_context_ranges_are_asked_at_all_steps_or_at_eight_values(distribution, values):
    assert levels(distribution) == (values if "a" in values else pytest.approx(values))


@pytest.mark.parametrize("choices", [["few", "many"], [0, 10]])
def test_an_n_that_is_no_amount_is_refused(choices):
    trial = a_study(a_sampler(context=[])).ask()
    with pytest.raises(ValueError, match="n counts examples"):
        trial.suggest_categorical("n", choices)


def test_context_values_that_would_be_taken_for_one_are_refused():
    """Rounding error is no difference: 0.1 + 0.2 is 0.3."""
    study = a_study(a_sampler(context=["noise"]))
    trial = study.ask()
    trial.suggest_categorical("noise", [0.5, 0.50000001])
    with pytest.raises(ValueError, match=r"0\.5 and 0\.50000001 are too close"):
        trial.suggest_int("n", 5, 50)
    close = space.coordinates([(0.5,), (0.5000015,)])
    assert len(set(close.values())) == 2
    one = space.coordinates([(0.1,), (0.3,), (0.1 + 0.2,)])
    assert one[(0.3,)] == one[(0.1 + 0.2,)] != one[(0.1,)]
