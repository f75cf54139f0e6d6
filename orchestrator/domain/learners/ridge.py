"""Ridge regression: least squares with a penalty on the squared norm."""

from typing import ClassVar, Literal

from pydantic import Field

from orchestrator.domain.learner import Fit, LoopedLearner
from orchestrator.domain.linear_fit import linear_fit, ridge_solution
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class Ridge(LoopedLearner):
    """w = (X'X + ridge I)^-1 X'y, which minimises |X w - y|^2 + ridge |w|^2; predicts <w, x>.

    The ridge is added as it is, not times n. With n < d the same w is X'(XX' + ridge I)^-1 y, and
    the smaller of the two systems is solved by LAPACK's Cholesky, one trial at a time. A trial
    whose system is not finite or not positive definite to rounding diverges.

    x is (n, d) real, y (n,) real or ±1. For y = <w, x> + noise with |w| = 1 spread evenly over d
    coordinates, the ridge of least expected error is noise^2 d; the default 1 was chosen by hand.

    Source: Hoerl & Kennard (1970), "Ridge regression: biased estimation for nonorthogonal
    problems", Technometrics 12(1); Dobriban & Wager (2018), "High-dimensional asymptotics of
    prediction", Annals of Statistics 46(1), for the best ridge; our ridge is n times their lambda.
    """

    kind: Literal["ridge"] = "ridge"
    ridge: float = Field(1.0, gt=0.0, description="added to the diagonal of X'X")

    reports: ClassVar[tuple[str, ...]] = ("train_error",)
    linear: ClassVar[bool] = True

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d,), and `train_error`, the mean squared error on the n examples."""
        w = ridge_solution(examples.x, examples.y, self.ridge)
        return linear_fit(w, examples)

    def work(self, point: Point) -> float:
        """The smaller Gram matrix and its Cholesky factor."""
        least = min(point.n, point.d)
        return 2.0 * point.n * point.d * least + least**3 / 3.0
