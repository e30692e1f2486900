"""A token a round for every request that decodes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.tokens import advance


@settings(max_examples=100, derandomize=True)
@given(st.data())
def test_each_round_gives_each_request_a_token(data: st.DataObject) -> None:
    """Five requests, some of which decode; the same, token by token in plain Python."""
    stream = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    rows = np.array(data.draw(st.permutations(range(5)))[: data.draw(st.integers(1, 5))], dtype=np.int64)
    rounds = data.draw(st.integers(1, 6))
    last, longest, emitted = stream.integers(1, 50, (3, 5))
    output = emitted + rounds + stream.integers(0, 2, 5)
    stamps = 100 + np.cumsum(stream.integers(1, 60, rounds))
    before = [column.tolist() for column in (last, longest, emitted)]
    gaps, counts, finished = advance(rows, stamps, last, longest, emitted, output)

    expected: list[int] = []
    for one in rows.tolist():
        for stamp in stamps.tolist():
            expected.append(stamp - before[0][one])
            before[0][one] = stamp
            before[1][one] = max(before[1][one], expected[-1])
            before[2][one] += 1
    assert sorted(np.repeat(gaps, counts).tolist()) == sorted(expected)
    assert [column.tolist() for column in (last, longest, emitted)] == before
    assert finished.tolist() == [one for one in rows.tolist() if before[2][one] == output[one]]
