"""One torch thread everywhere: results of a pack are compared bit for bit."""

import orchestrator.domain  # noqa: F401  sets MKL_CBWR before torch is imported

import torch  # isort: skip

torch.set_num_threads(1)
