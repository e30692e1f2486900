"""Lengths of requests, drawn from published moments.

The data sets behind the published traces cannot be shipped, so lengths are drawn from log-normal
distributions with their moments (mean and standard deviation), by PCG64(seed). With a bound N, as a server's
limit on output tokens sets one, outputs are min(X, N) of a log-normal X whose parameters are such that the
*cut* lengths have the published moments:

    E[min(X, N)]   = e^(mu + s^2/2)  Phi((ln N - mu - s^2) / s)  + N   (1 - Phi((ln N - mu) / s))
    E[min(X, N)^2] = e^(2 mu + 2s^2) Phi((ln N - mu - 2s^2) / s) + N^2 (1 - Phi((ln N - mu) / s))

As s grows the cut lengths become 0 or N, so every pair of moments that any distribution on [0, N] can have is
reached: std^2 < mean (N - mean).
"""

import math
from dataclasses import dataclass

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.units import Int64s

#: One request may not claim more than this; a machine refuses far earlier.
MAX_TOKENS = 100_000_000
#: Between the name of a workload and its bound.
BOUND = ":max="
#: prompt + output of a drawn request never exceed this.
MAX_DRAWN_TOKENS = 32_768
#: The least bound, over that at which lengths could only be 0 or the bound itself.
_LEAST_ROOM = 1.02
#: Halvings of a bisection: enough for every bit of a float.
_HALVINGS = 80
#: Between these lie ln of every median, and every sigma, of a workload that has moments at all.
_LEAST_MU, _MOST_MU, _LEAST_SIGMA, _MOST_SIGMA = -200.0, 200.0, 1e-3, 60.0


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


def log_normal(moments: Moments, count: int, seed: int, bound: int | None = None) -> tuple[Int64s, Int64s]:
    """Prompt and output tokens of N requests, each shape (count,).

    Args:
        bound: outputs are at most that many tokens and keep the published moments; None: no such bound.

    Raises:
        InvalidInput: no distribution up to `bound` has these moments.
    """
    stream = np.random.Generator(np.random.PCG64(seed))
    normals = stream.standard_normal((2, count))
    lengths = []
    for row, mean, std, most in (
        (normals[0], moments.prompt_mean, moments.prompt_std, None),
        (normals[1], moments.output_mean, moments.output_std, bound),
    ):
        mu, sigma = _parameters(mean, std)
        limit = math.inf
        if most is not None:
            limit = float(most * moments.divisor)
            mu, sigma = cut_parameters(mean, std, limit)
        # math.exp rather than numpy's, whose vector forms differ between processors.
        drawn = [min(_exp(mu + sigma * float(normal)), limit) for normal in row]
        lengths.append([max(1, math.floor(value / moments.divisor + 0.5)) for value in drawn])
    prompt = np.minimum(np.array(lengths[0], dtype=np.int64), MAX_DRAWN_TOKENS - 1)
    longest = MAX_DRAWN_TOKENS - prompt if bound is None else np.full(count, bound, dtype=np.int64)
    output = np.minimum(np.array(lengths[1], dtype=np.int64), longest)
    return prompt, output


def cut_parameters(mean: float, std: float, limit: float) -> tuple[float, float]:
    """(mu, sigma) of the log-normal X for which min(X, limit) has this mean and standard deviation.

    Raises:
        InvalidInput: no distribution on [0, limit] has these moments, or only one of 0 and the limit.
    """
    least = mean + std**2 / mean
    if limit < _LEAST_ROOM * least:
        text = f"no lengths up to {limit:g} have a mean of {mean:g} and a standard deviation of {std:g}"
        raise InvalidInput(("workload", f"{text}; use a bound of {math.ceil(_LEAST_ROOM * least)} or more"))
    low, high = _LEAST_SIGMA, _MOST_SIGMA
    for _ in range(_HALVINGS):
        sigma = (low + high) / 2
        mu = _mu_with(mean, sigma, limit)
        spread = _cut_moment(2, mu, sigma, limit) - _cut_moment(1, mu, sigma, limit) ** 2
        if spread < std**2:
            low = sigma
        else:
            high = sigma
    return _mu_with(mean, high, limit), high


def bound_of(name: str) -> int:
    """The N of `NAME:max=N`.

    Raises:
        InvalidInput: it is no whole number of tokens.
    """
    text = name.partition(BOUND)[2]
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_TOKENS):
        raise InvalidInput(
            ("workload", f"{name!r}: max must be a whole number of tokens from 1 to {MAX_TOKENS}")
        )
    return int(text)


def fixed(name: str, count: int, seed: int) -> tuple[Int64s, Int64s]:
    """Prompt and output tokens of `fixed:IN:OUT`; a range A..B is drawn from evenly, both ends included.

    Raises:
        InvalidInput: it has another form, or a size that is refused.
    """
    form = (
        f"{name!r} must be fixed:IN:OUT with whole numbers of tokens from 1 to {MAX_TOKENS}, "
        "or ranges of them like 64..4096"
    )
    parts = name.split(":")[1:]
    ranges = [tuple(part.split("..")) for part in parts]
    if len(parts) != 2 or any(len(ends) > 2 for ends in ranges):
        raise InvalidInput(("workload", form))
    stream = np.random.Generator(np.random.PCG64(seed))
    lengths = []
    for ends in ranges:
        if not all(end.isascii() and end.isdigit() and 1 <= int(end) <= MAX_TOKENS for end in ends):
            raise InvalidInput(("workload", form))
        least, most = int(ends[0]), int(ends[-1])
        if least > most:
            raise InvalidInput(("workload", f"{name!r}: a range must begin with its smaller end"))
        lengths.append(stream.integers(least, most, size=count, endpoint=True, dtype=np.int64))
    return lengths[0], lengths[1]


def _parameters(mean: float, std: float) -> tuple[float, float]:
    """Of a log-normal that is not cut: mean = exp(mu + s^2/2), var/mean^2 = exp(s^2) - 1."""
    variance = math.log1p((std / mean) ** 2)
    return math.log(mean) - variance / 2, math.sqrt(variance)


def _mu_with(mean: float, sigma: float, limit: float) -> float:
    """The mu at which the cut lengths have this mean: it grows with mu."""
    low, high = _LEAST_MU - _MOST_SIGMA**2, _MOST_MU + _MOST_SIGMA**2
    for _ in range(_HALVINGS):
        mu = (low + high) / 2
        if _cut_moment(1, mu, sigma, limit) < mean:
            low = mu
        else:
            high = mu
    return (low + high) / 2


def _cut_moment(power: int, mu: float, sigma: float, limit: float) -> float:
    """E[min(X, limit)^power], over limit^power so that nothing overflows, times it."""
    away = (math.log(limit) - mu) / sigma
    # The part below the limit is e^(power mu + (power s)^2 / 2) Phi(away - power s): as one exponent, since a
    # tiny Phi may stand beside a huge factor.
    exponent = power * (mu - math.log(limit)) + (power * sigma) ** 2 / 2
    below = _exp(exponent + _log_phi(away - power * sigma))
    return float(limit**power * (below + _phi(-away)))


def _phi(x: float) -> float:
    """Standard normal distribution function."""
    return math.erfc(-x / math.sqrt(2)) / 2


def _log_phi(x: float) -> float:
    """Its logarithm, also far out, where it follows the first terms of Mills' ratio."""
    if x > -30:
        return math.log(_phi(x))
    return -(x**2) / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / x**2)


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
