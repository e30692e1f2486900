"""What a round is predicted to take, in one batch or in two sub-batches: what `adaptive` compares.

A layer, of one batch (d, a, u in modules run beside prefill and the GPUs' own attention)

    B(tokens) + max(P + G, D + A + U + K)

and of two sub-batches, while one of which attends the GPU does the other's fully connected layers

    max(P_0 + G_0 + B_1, D_0 + A_0 + U_0 + K_1) + max(P_1 + G_1 + B_0, D_1 + A_1 + U_1 + K_0)

where B is block_out and block_in, P prefill attention, G decode attention on the GPUs, A that of the slowest
rank, and D, U, K the link. Halves are taken to be equal: dealing makes them so.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.units import Int64s


@dataclass(frozen=True, slots=True)
class Load:
    """What decodes and prefills in a round.

    Attributes:
        beside: requests that decode on the GPUs. beside_tokens: that they attend.
        inside: requests that decode in modules. slowest_ps: of the slowest rank over all of them, a layer.
        chunk_tokens: that are prefilled. prefill_ps: their attention.
    """

    beside: int = 0
    beside_tokens: int = 0
    inside: int = 0
    slowest_ps: float = 0.0
    chunk_tokens: int = 0
    prefill_ps: float = 0.0

    @property
    def decoding(self) -> int:
        """Requests that decode."""
        return self.beside + self.inside


class RoundTimes:
    """Predicted times of rounds, ps a layer."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def one(self, load: Load) -> float:
        """One batch."""
        dense = self._batch_ps(load.chunk_tokens, load.decoding)
        gpu = load.prefill_ps + self._beside_ps(load.beside, load.beside_tokens)
        return dense + max(gpu, self._modules_ps(load, load.inside, load.slowest_ps, load.chunk_tokens))

    def two(self, load: Load) -> float:
        """Two equal sub-batches."""
        dense = self._batch_ps(load.chunk_tokens / 2, load.decoding / 2)
        gpu = load.prefill_ps / 2 + self._beside_ps(load.beside / 2, load.beside_tokens / 2)
        inside = self._modules_ps(load, load.inside / 2, load.slowest_ps / 2, load.chunk_tokens / 2)
        return 2 * max(gpu + dense, inside)

    def best(self, load: Load) -> tuple[float, int]:
        """The shorter round, and its sub-batches; one where they tie, and where no module attends."""
        one = self.one(load)
        if load.inside < 2:
            return one, 1
        two = self.two(load)
        return (two, 2) if two < one else (one, 1)

    def _batch_ps(self, chunk_tokens: float, decoding: float) -> float:
        return float(self._predictor.batch_ps(_rows(chunk_tokens), _rows(decoding))[0])

    def _beside_ps(self, requests: float, tokens: float) -> float:
        return float(self._predictor.gpu_attend_ps(_rows(requests), _rows(tokens))[0]) if requests else 0.0

    def _modules_ps(self, load: Load, inside: float, slowest_ps: float, chunk_tokens: float) -> float:
        """Attention in modules, its transfers, and prefill KV of what is not kept beside."""
        comm = self._predictor.comm
        decoding = comm[0] + comm[1] * inside + slowest_ps if inside else 0.0
        # Which chunks go to modules is not known before they are admitted: all, unless none decodes there.
        moved = comm[2] + comm[3] * chunk_tokens if chunk_tokens and load.inside else 0.0
        return float(decoding + moved)


def _rows(value: float) -> Int64s:
    return np.array([max(round(value), 0)], dtype=np.int64)
