"""What the ranks of a process give for one attend call: outputs, or partial results of heads on several."""

import numpy as np

from l3sim.functional import Attended, Partials
from l3sim.services.dimm_pim.functional.rank_unit import RankUnit
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s


class Results:
    """Collects them, head group by head group.

    Args:
        requests: of the call.
    """

    def __init__(self, model: ModelShape, requests: int) -> None:
        self._model = model
        self._outputs = np.zeros((requests, model.heads, model.head_size), dtype=np.float16)
        self._present = np.zeros((requests, model.kv_heads), dtype=np.bool_)
        self._parts: list[Partials] = []

    def enter(self, request: int, heads: slice, step: int, ranks: int, unit: RankUnit) -> None:
        """What a rank's unit gives of some KV heads of a request, which lie on so many ranks."""
        model, count = self._model, heads.stop - heads.start
        if ranks == 1:
            queries = slice(heads.start * model.queries_per_kv, heads.stop * model.queries_per_kv)
            self._outputs[request, queries] = unit.output[:count].reshape(-1, model.head_size)
            self._present[request, heads] = True
            return
        alike = (np.full(count, value, dtype=np.int64) for value in (step, ranks))
        here = np.full(count, request, dtype=np.int64), np.arange(heads.start, heads.stop)
        self._parts.append(Partials(*here, *alike, *(result[:count] for result in unit.partial)))

    def answer(self, device: tuple[int, ...], domain: tuple[int, ...], duration_ps: Int64s) -> Attended:
        """All of it; see Attended."""
        none = Partials.none(self._model.queries_per_kv, self._model.head_size)
        parts = [none, *self._parts]
        names = ("request", "head", "step", "ranks", "top", "total", "output")
        partials = Partials(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))
        return Attended(self._outputs, self._present, device, domain, duration_ps, partials)
