"""Two sub-batches take turns: while one attends on a rankset, the other has the GPU.

two layers, two ranksets; a request of offset 0 in sub-batch 0, one of offset 1 in sub-batch 1,
so that layer 0 lies on R0 and R1, layer 1 on R1 and R0. Sub-batch 0 in capitals, 1 in small letters,
one letter for 2 ps:

gpu   BBBBBbbbbb.BBBBB..bbbbbBBBBB.bbbbb
bus   .....D....Ud....Du....Ud....u.....
R0    .....DAAAAU............daaaau.....
R1    ...........daaaaDuAAAAU...........
      0    10   20   30   40   50   60

At 32 sub-batch 1's outputs and sub-batch 0's queries become ready together: the lower sub-batch goes
first, though both use R1. At 34 the outputs, ready since 32, go before the attention that is ready now:
a rankset cannot compute while it communicates.
"""

from tests.orchestrator.engine.timeline.brute_force import Machine, Pass, Request
from tests.orchestrator.engine.timeline.cases import Call, Case
from tests.orchestrator.engine.timeline.runs import run_timeline
from tests.scenarios.timelines import written

EXPECTED = """\
 0-10 0 B(0,0)
10-12 0 D(0,0,R0)
10-20 0 B(1,0)
12-20 0 A(0,0,R0)
20-22 0 U(0,0,R0)
22-32 0 B(0,1)
22-24 0 D(1,0,R1)
24-32 0 A(1,0,R1)
32-34 0 D(0,1,R1)
34-36 0 U(1,0,R1)
36-44 0 A(0,1,R1)
36-46 0 B(1,1)
44-46 0 U(0,1,R1)
46-56 0 B(0,2)
46-48 0 D(1,1,R0)
48-56 0 A(1,1,R0)
56-58 0 U(1,1,R0)
58-68 0 B(1,2)"""


def decode(offset: int) -> Pass:
    def on_ranksets(duration: int) -> list[list[int]]:
        return [[duration if (offset + c) % 2 == j else 0 for j in range(2)] for c in range(2)]

    return Pass(
        b_first=10,
        b_mid=10,
        b_last=10,
        prefill=0,
        down=on_ranksets(2),
        attend=on_ranksets(8),
        up=on_ranksets(2),
        kv=on_ranksets(0),
        requests=(Request(offset),),
    )


def test_two_sub_batches() -> None:
    case = Case(Machine(layers=2, ranksets=2), [Call([{0: decode(0), 1: decode(1)}])])
    history = run_timeline(case)
    assert written(history) == EXPECTED
    assert history[0].ends == [(56, 68)]
    assert history[0].joins == [68]
