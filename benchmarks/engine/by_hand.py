"""One trial as somebody would write it: data, an `nn.Module`, SGD, accuracy on fresh examples."""

import time
from dataclasses import dataclass

import torch
from torch.nn.functional import softplus

from benchmarks.engine.sizes import RATE, STEPS, TEST_COUNT, K, Size


@dataclass(frozen=True)
class Trained:
    """What came of a trial, and the CPU seconds it took."""

    measures: dict[str, float]
    cpu_s: float


def train(size: Size, seed: int) -> Trained:
    started = time.thread_time()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    hidden = torch.randperm(size.d, generator=generator)[:K]
    x, y = _examples(size.n, size.d, hidden, generator)
    net = torch.nn.Sequential(
        torch.nn.Linear(size.d, size.width), torch.nn.ReLU(), torch.nn.Linear(size.width, 1)
    )
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE)
    for _ in range(STEPS):
        rows = torch.randint(size.n, (size.batch,), generator=generator)
        optimiser.zero_grad()
        softplus(-net(x[rows])[:, 0] * y[rows]).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    x, y = _examples(TEST_COUNT, size.d, hidden, generator)
    with torch.no_grad():
        scores = net(x)[:, 0]
        accuracy = (scores * y > 0).float().mean().item()
        squared = (scores - y).square().mean().item()
    measures = {
        "test_accuracy": accuracy,
        "test_error": 1.0 - accuracy,
        "r_squared": 1.0 - squared / y.var().item(),
        "steps": float(STEPS),
    }
    return Trained(measures, time.thread_time() - started)


def _examples(
    count: int, d: int, hidden: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randint(2, (count, d), generator=generator).float() * 2 - 1
    return x, x[:, hidden].prod(1)
