"""A two-layer network that others learn from."""

from typing import ClassVar, Literal

from pydantic import Field

from orchestrator.domain.batched_net import Sizes
from orchestrator.domain.point import Point
from orchestrator.domain.two_layer_network import TwoLayerNetwork


class TwoLayerTeacher(TwoLayerNetwork):
    """`two_layer`, trained on a stream of fresh examples, which keeps what students learn from.

    n counts the fresh examples of its stream. What it teaches are its networks after s / stages of
    its steps (rounded up) for s = 1, …, `stages`, the last of them as it ends: float32
    (B, stages, P), each with its P parameters as `Parameters.rows` lays them out. A trial that ends
    before its last step (`stop_at`) teaches its network as it ended for all later s.

    Fields are those of `two_layer`, with defaults chosen by hand: squared loss, because a teacher's
    scores are what students regress on, and they then stay near the labels ±1; no decay.

    Source: Panigrahi et al. (2024), arXiv:2410.05464, whose students learn from checkpoints of
    networks trained on sparse parities.
    """

    kind: Literal["two_layer_teacher"] = "two_layer_teacher"
    loss: Literal["logistic", "squared", "hinge", "correlation"] = "squared"
    weight_decay: float = Field(0.0, ge=0.0, description="decoupled, of both weight matrices")
    samples: Literal["finite", "fresh"] = "fresh"
    stages: int = Field(8, ge=1, le=64, description="networks along training that are kept")

    teaches: ClassVar[bool] = True
    revision: ClassVar[int] = 2

    def kept_steps(self, n: int) -> list[int]:
        """After s / stages of all steps, s = 1, …, stages."""
        last = self.steps_at(n)
        return [-(-last * stage // self.stages) for stage in range(1, self.stages + 1)]

    def memory_bytes(self, point: Point) -> float:
        """Also the networks that are kept, three times: as they are put together, for each trial
        and as the content of a file.
        """
        _, inputs, hidden = Sizes.of(1, point.d, self.width)
        return super().memory_bytes(point) + 3.0 * 4.0 * self.stages * hidden * (inputs + 1)
