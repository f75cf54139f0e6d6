"""A two-layer network trained by minibatch gradient descent, all layers at once."""

from typing import Literal

from orchestrator.domain.two_layer_network import TwoLayerNetwork


class TwoLayer(TwoLayerNetwork):
    """f(x) = sum_j a_j phi(w_j . x + b_j) + c with `width` hidden units, trained on all layers.

    n counts training examples; with `samples: fresh` it counts fresh examples streamed, each seen
    once, and the steps are ceil(n / batch_size) whatever `steps` says (the last batch is what is
    left of n).

    With finite samples a step uses all n examples while n <= batch_size and otherwise batch_size
    of them drawn with replacement; `batch_size: null` always uses all. Weights start at N(0,
    1/fan-in), biases at 0. Each step multiplies both weight matrices, not the biases, by
    1 - learning_rate * weight_decay and then moves all along the optimiser's step (decoupled
    decay: Loshchilov & Hutter 2019, arXiv:1711.05101). Losses are log(1 + exp(-y f)),
    (f - y)^2 / 2, max(0, 1 - y f) and -y f, averaged over a batch; logistic and hinge mean little
    for real labels.

    It is judged where it stands after the last step. With `stop_at` it is judged where it stood
    when its test accuracy (R^2 for real labels) first exceeded `stop_at` at a multiple of
    `check_every` steps or after its own last step; the check looks at the very examples that judge
    it, so that a stopped trial is a successful one. That asks another question, "was it ever that
    good?" instead of "is it in the end?", whose thresholds may be lower; hence it is off unless
    asked for. A trial that never gets there has outcome out_of_budget. The measure `steps` is the
    number of steps taken.

    Its learning curve, `train_loss`, is the loss on the examples of a step before that step is
    taken, at steps 1, 2, 4, … and, with finite samples, at the last.

    Trials whose parameters end infinite or nan have outcome diverged.

    Defaults are a protocol on which 2-parities show their threshold within seconds (Adam 0.01,
    decay 1, 800 steps, batches of 64, width 128), chosen by hand; without decay more examples are
    needed.
    """

    kind: Literal["two_layer"] = "two_layer"
