"""A point (d, n, k) of the space in which thresholds are sought."""

from pydantic import BaseModel, ConfigDict, Field


class Point(BaseModel):
    """Ambient dimension d, amount of data n, complexity k; all positive integers.

    n counts what is scarce: training examples, unless the learner's docstring says otherwise
    (fresh examples streamed, steps, …). Each target says what its k counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    d: int = Field(ge=1)
    n: int = Field(ge=1)
    k: int = Field(default=1, ge=1)
