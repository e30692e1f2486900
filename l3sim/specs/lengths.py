"""Lengths of requests, drawn from published moments.

The data sets behind the published traces cannot be shipped, so lengths are drawn from log-normal
distributions with their moments (mean and standard deviation), by PCG64(seed).
"""

import math
from dataclasses import dataclass

import numpy as np

from l3sim.units import Int64s

#: prompt + output of a drawn request never exceed this.
MAX_DRAWN_TOKENS = 32_768


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of the lengths of a published trace, in tokens."""

    prompt_mean: float
    prompt_std: float
    output_mean: float
    output_std: float
    divisor: int = 1


#: arXiv 2504.17584, table of workloads.
PUBLISHED = {
    "openr1": Moments(96.0, 75.1, 12684.1, 8464.6),  # OpenR1-Math-220k
    "dolphin": Moments(201.9, 563.0, 3926.2, 4216.0),  # Dolphin-r1
    "openthoughts": Moments(89.4, 66.7, 6366.7, 4662.9),  # OpenThoughts-114k-math
    "dolphin-short": Moments(201.9, 563.0, 3926.2, 4216.0, divisor=10),
}


def log_normal(moments: Moments, count: int, seed: int) -> tuple[Int64s, Int64s]:
    """Prompt and output tokens of so many requests, each shape (count,)."""
    stream = np.random.Generator(np.random.PCG64(seed))
    normals = stream.standard_normal((2, count))
    lengths = []
    for row, mean, std in (
        (normals[0], moments.prompt_mean, moments.prompt_std),
        (normals[1], moments.output_mean, moments.output_std),
    ):
        # Moments of a log-normal: mean = exp(mu + s^2/2), var/mean^2 = exp(s^2) - 1.
        variance = math.log1p((std / mean) ** 2)
        mu = math.log(mean) - variance / 2
        # math.exp rather than numpy's, whose vector forms differ between processors.
        drawn = [math.exp(mu + math.sqrt(variance) * float(normal)) for normal in row]
        lengths.append([max(1, math.floor(value / moments.divisor + 0.5)) for value in drawn])
    prompt = np.minimum(np.array(lengths[0], dtype=np.int64), MAX_DRAWN_TOKENS - 1)
    output = np.minimum(np.array(lengths[1], dtype=np.int64), MAX_DRAWN_TOKENS - prompt)
    return prompt, output
