"""The trials that every way trains: two-layer ReLU networks on 3-parity, 300 steps of SGD."""

from dataclasses import asdict, dataclass
from typing import Any

STEPS, RATE, K = 300, 0.1, 3
TEST_COUNT = 1000


@dataclass(frozen=True)
class Size:
    """A network on d inputs with n examples."""

    name: str
    d: int
    width: int
    batch: int
    n: int = 2000

    @property
    def params(self) -> dict[str, Any]:
        """What a person would record of a trial."""
        return {**asdict(self), "k": K, "steps": STEPS, "learning_rate": RATE, "optimiser": "sgd"}


SIZES = {
    size.name: size
    for size in (
        Size("small", 20, 64, 32),
        Size("medium", 30, 128, 64),
        Size("large", 100, 512, 256),
    )
}
