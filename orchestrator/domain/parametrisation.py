"""How weights, their start and their steps scale with a network's width: abc-parametrisations.

A weight matrix of a network of width N is W = N^-a w, starts at w ~ N(0, N^-2b) and moves with
learning rate eta N^-c. Which a, b, c are chosen decides what a wide network does under training:

| name | what happens as N grows at fixed eta |
| --- | --- |
| standard | outputs of order 1, steps that explode: the largest stable eta falls like 1/N |
| ntk | a kernel method with fixed features (lazy) |
| mup | features move as much as they can (rich); one eta is best at every width |
| mean_field | the same for one hidden layer, written as a mean over units |

Source: Yang & Hu (2021), "Feature learning in infinite-width neural networks" (Tensor Programs IV),
arXiv:2011.14522, the table of abc-parametrisations, where the dimension of the inputs is constant.
Powers of N for Adam, whose steps do not shrink with the gradient, are ours, from the same demands:
that preactivations move by order 1 (mup, mean_field), or by N^-1/2 and outputs by 1 (ntk); they
agree with Yang & Littwin (2023), arXiv:2308.01814, in what is stable. `standard` is without a power
for Adam as for gradient descent.
"""

from typing import Literal, NamedTuple

Parametrisation = Literal["standard", "ntk", "mup", "mean_field"]


class Scaling(NamedTuple):
    """The powers of one kind of weights; `adam` is c for Adam, `sgd` c for gradient descent."""

    a: float
    b: float
    sgd: float
    adam: float

    def multiplier(self, width: int) -> float:
        """N^-a."""
        return float(width**-self.a)

    def deviation(self, width: int) -> float:
        """N^-b, the standard deviation of w at the start."""
        return float(width**-self.b)

    def rate(self, width: int, optimiser: str) -> float:
        """N^-c, by which eta is multiplied."""
        return float(width ** -(self.adam if optimiser == "adam" else self.sgd))


class Scalings(NamedTuple):
    """Of weights from the inputs, between hidden layers, and to the output.

    Biases of hidden units are weights from an input of 1, and scale with those from the inputs.
    """

    inputs: Scaling
    hidden: Scaling
    output: Scaling


SCALINGS: dict[str, Scalings] = {
    "standard": Scalings(
        Scaling(0.0, 0.0, 0.0, 0.0), Scaling(0.0, 0.5, 0.0, 0.0), Scaling(0.0, 0.5, 0.0, 0.0)
    ),
    "ntk": Scalings(
        Scaling(0.0, 0.0, 0.0, 0.5), Scaling(0.5, 0.0, 0.0, 1.0), Scaling(0.5, 0.0, 0.0, 0.5)
    ),
    "mup": Scalings(
        Scaling(-0.5, 0.5, 0.0, 0.5), Scaling(0.0, 0.5, 0.0, 1.0), Scaling(0.5, 0.5, 0.0, 0.5)
    ),
    "mean_field": Scalings(
        Scaling(0.0, 0.0, -1.0, 0.0), Scaling(1.0, 0.0, -1.0, 0.0), Scaling(1.0, 0.0, -1.0, 0.0)
    ),
}
"""Powers by name. `mean_field` is defined for one hidden layer only: its `hidden` is not used."""
