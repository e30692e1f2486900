"""The check of level `fast` inside a job: which windows it takes, which call it runs, what it notes."""

from collections.abc import Sequence

import numpy as np
import pytest

from l3sim.device.attention.levels import CallCost
from l3sim.device.attention.rank_sums import RankSums, decoding
from l3sim.services.dram.fast.fidelity import FidelityCheck
from l3sim.testing.builders import small_layout
from l3sim.units import Int64s
from l3sim.work import Fidelity

LAYOUT = small_layout(ranksets=1, ranks=1, groups=1)


class Exact:
    """A model whose calls take 1,000 ps a token at level `command`."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def exact(self) -> CallCost:
        def call(tokens: Int64s, appends: Sequence[bool] | None = None) -> tuple[int, int]:
            assert appends is None
            self.asked.append(tokens.tolist())
            return 1000 * int(tokens.sum()), 0

        return call


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_share_of_the_windows_is_taken(share: float) -> None:
    wanted = [FidelityCheck(share, seed=5).wants(window) for window in range(2000)]
    assert sum(wanted) / 2000 == pytest.approx(share, abs=0.02)
    assert wanted == [FidelityCheck(share, seed=5).wants(window) for window in range(2000)]


def test_the_slowest_call_of_each_sub_batch_is_run() -> None:
    check, quick, slow = FidelityCheck(1.0, seed=0), Exact(), Exact()
    sums = RankSums(LAYOUT, [0])
    requests = decoding(np.array([0, 0, 1]), 2, np.array([9, 19, 99]), rounds=2)
    exact = np.array([30_000, 100_000]).reshape(2, 1, 1, 1)  # of 10 + 20 and of 100 tokens
    fast = [exact - 1, exact + np.array([300, -500]).reshape(2, 1, 1, 1)]
    check.compare(requests, [quick, slow], [sums, sums], fast)
    # In sub-batch 1 the quick model's calls are the slower ones.
    assert (slow.asked, quick.asked) == ([[10, 20]], [[100]])
    assert check.found == Fidelity(windows=1, calls=2, gap_ps=300, gap_ppm=10_000)


def test_an_empty_sub_batch_is_passed_over() -> None:
    check, model = FidelityCheck(1.0, seed=0), Exact()
    requests = decoding(np.array([1]), 2, np.array([9]), rounds=1)
    check.compare(requests, [model], [RankSums(LAYOUT, [0])], [np.array([0, 10_000]).reshape(2, 1, 1, 1)])
    assert model.asked == [[10]]
    assert check.found == Fidelity(windows=1, calls=1)
