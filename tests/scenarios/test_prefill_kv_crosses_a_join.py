"""Prefill KV is still on its way when its round ends, and holds back only who needs it.

two layers, one rankset, half-duplex bus, 1 ps of host time between a join and the next round
round 0: sub-batch 0 prefills request b     round 1: sub-batch 0 decodes b, sub-batch 1 decodes a

gpu   BBPBBPBB.Bb............Bb....b...............B
bus   ..KKKKKKKKKKKKDd......UuDd...uKKKKKKKKKKKK...U.
R0    ..KKKKKKKKKKKKDdAAAaaaUuDdaaauKKKKKKKKKKKKAAAU.
      0         10        20        30        40

K(0,0) of round 0 runs over the join at 8 to its end, and the queries that are ready at 10 wait for it.
K(0,1), ready since 5, is served when nothing else can be: at 30. b's attention of layer 1 waits for it;
a's, ready later, goes before.
"""

from tests.orchestrator.engine.timeline.brute_force import Machine, Pass, Request
from tests.orchestrator.engine.timeline.cases import Call, Case
from tests.orchestrator.engine.timeline.runs import run_timeline
from tests.scenarios.timelines import written

EXPECTED = """\
 0- 2 0 B(0,0)
 2- 3 0 P(0,0)
 2-14 0 K(0,0,R0)
 3- 5 0 B(0,1)
 5- 6 0 P(0,1)
 6- 8 0 B(0,2)
 9-10 1 B(0,0)
10-11 1 B(1,0)
14-15 1 D(0,0,R0)
15-16 1 D(1,0,R0)
16-19 1 A(0,0,R0)
19-22 1 A(1,0,R0)
22-23 1 U(0,0,R0)
23-24 1 B(0,1)
23-24 1 U(1,0,R0)
24-25 1 D(0,1,R0)
24-25 1 B(1,1)
25-26 1 D(1,1,R0)
26-29 1 A(1,1,R0)
29-30 1 U(1,1,R0)
30-42 0 K(0,1,R0)
30-31 1 B(1,2)
42-45 1 A(0,1,R0)
45-46 1 U(0,1,R0)
46-47 1 B(0,2)"""

PREFILL = Pass(
    b_first=2, b_mid=2, b_last=2, prefill=1, down=[[0]], attend=[[0]], up=[[0]], kv=[[12]], batch="b"
)


def decode(request: Request) -> Pass:
    return Pass(
        b_first=1,
        b_mid=1,
        b_last=1,
        prefill=0,
        down=[[1]],
        attend=[[3]],
        up=[[1]],
        kv=[[0]],
        requests=(request,),
    )


def test_prefill_kv_crosses_a_join() -> None:
    a, b = Request(0), Request(0, frozenset({"b"}))
    calls = [Call([{0: PREFILL}]), Call([{0: decode(b), 1: decode(a)}])]
    history = run_timeline(Case(Machine(layers=2, ranksets=1, schedule_ps=1), calls))
    assert written(history) == EXPECTED
    assert [seen.joins for seen in history] == [[8], [47], []]
    assert [seen.pending for seen in history] == [True, False, False]
    assert [seen.batch_ends["b"] for seen in history] == [-1, 42, 42]
