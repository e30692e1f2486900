"""Where the head of the queue goes under `adaptive`, GPU memory or modules, and whether it pays to let it in.

Residents are looked at in the middle of what they are still to have, for a request stays for long.
"""

from typing import TYPE_CHECKING

import numpy as np

from l3sim.orchestrator.engine.policies.admission import Home
from l3sim.orchestrator.engine.policies.round_time import Load
from l3sim.orchestrator.engine.reasons import Blocked
from l3sim.units import Floats
from l3sim.work import KvPlacement

if TYPE_CHECKING:
    from l3sim.orchestrator.engine.policies.adaptive import Point

#: One request more must bring this share of what it would bring if rounds did not grow: ours.
WORTH = 0.1


class Homes:
    """Finds homes for the head of the queue, one after the other."""

    def __init__(self, point: "Point") -> None:
        self._point, self._table = point, point.view.table
        rows = point.residents
        inside = self._table.offset[rows] < point.view.layout.ranksets
        tokens = point.middle(rows)
        self._loads = point.loads(rows[inside], tokens[inside] + 1)
        self._beside, self._inside = int((~inside).sum()), int(inside.sum())
        self._beside_tokens = int(tokens[~inside].sum())
        self._prompts = float(self._table.prompt[rows].sum())

    def find(self, request: int) -> Home | None:
        """Where the head would go: in GPU memory while there is room, else where ranks are least full."""
        view, booking = self._point.view, self._table.booking(request)
        on_gpus = view.kv.fits(booking, request, on_gpus=True)
        if on_gpus is not None:
            return Home(*on_gpus, staged=False)
        in_ranks = view.kv.fits(booking, request)
        return None if in_ranks is None else Home(*in_ranks)

    def may_admit(self, placed: KvPlacement) -> Blocked:
        """Whether its KV can be expected to fit, tokens a second still grow, and gaps keep their bound.

        What GPU memory has room for always brings more tokens a second, as on GPUs alone.
        """
        point, request = self._point, placed.request
        rows = np.array([request], dtype=np.int64)
        expected = point.forecast.of(self._table.target[rows], self._table.emitted[rows])
        grown = self._with(request, Home(placed.offset, placed.rank))
        if self._residents:
            if not self._table.lengths_known and not point.forecast.fits(expected):
                return Blocked.KV
            after = self._time(grown)
            before = self._time(self._load(self._loads, self._beside, self._beside_tokens, self._inside))
            bound = point.layer_bound_ps
            if bound is not None and after > bound:
                return Blocked.GAP
            count = self._residents
            if point.in_modules(placed) and ((count + 1) / after * before / count - 1) * count < WORTH:
                return Blocked.ALIGNED
        point.forecast.tokens += expected
        self._enter(placed)
        return Blocked.NOTHING

    @property
    def _residents(self) -> int:
        return self._beside + self._inside

    def _enter(self, placed: KvPlacement) -> None:
        tokens = self._tokens(placed.request)
        self._prompts += float(self._table.prompt[placed.request])
        if self._point.in_modules(placed):
            self._loads = self._loads + self._added(Home(placed.offset, placed.rank), tokens)
            self._inside += 1
        else:
            self._beside += 1
            self._beside_tokens += tokens

    def _tokens(self, request: int) -> int:
        return int(self._point.middle(np.array([request], dtype=np.int64))[0])

    def _with(self, request: int, home: Home) -> Load:
        tokens = self._tokens(request)
        if home.offset == self._point.view.layout.ranksets:
            return self._load(self._loads, self._beside + 1, self._beside_tokens + tokens, self._inside)
        loads = self._loads + self._added(home, tokens)
        return self._load(loads, self._beside, self._beside_tokens, self._inside + 1)

    def _added(self, home: Home, tokens: int) -> Floats:
        place = home.offset * self._point.view.layout.ranks + home.rank
        return self._point.loads_at(np.array([place], dtype=np.int64), np.array([tokens + 1], dtype=np.int64))

    def _load(self, loads: Floats, beside: int, beside_tokens: int, inside: int) -> Load:
        """So many residents, with as many chunk tokens a round as their going and coming brings."""
        load = Load(beside, beside_tokens, inside, float(loads.max()))
        prompt = self._prompts / max(self._residents, 1)
        chunk = (beside + inside) * prompt / max(self._point.expected, 1)
        return self._point.with_chunk(load, round(chunk), round(prompt / 2))

    def _time(self, load: Load) -> float:
        return self._point.times.best(load)[0]
