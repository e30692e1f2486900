"""Requests at home in GPU memory or in modules, and KV that moves: what holds of runs under `adaptive`."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.placement import DecodePlacement
from tests.orchestrator.small_jobs import SmallJob, lines_of, small_jobs, without_exchange
from tests.orchestrator.test_properties import watched


@st.composite
def home_jobs(draw: st.DrawFn) -> SmallJob:
    """Jobs under `adaptive`, with GPU memory for so many tokens of KV beside what prefills need."""
    job = draw(small_jobs(("adaptive",)))
    resolved = SmallJob(job.spec, job.machine.with_settings([("scheduler.gpu_kv_share", 0.0)])).resolved
    tokens = draw(st.sampled_from([30, 60, 200, 2000]))
    pool = tokens * resolved.model.kv_bytes_per_token
    left = resolved.weight_room_bytes
    pool = min(pool, left * 9)
    share = pool / (left + pool) * 0.999
    gpu = job.machine.gpu.memory_bytes + -(-pool // resolved.layout.tp)
    machine = job.machine.with_settings([("gpu.memory_bytes", gpu), ("scheduler.gpu_kv_share", share)])
    return SmallJob(job.spec, machine)


SEEN: Counter[str] = Counter()


@settings(max_examples=40, derandomize=True, deadline=None)
@given(home_jobs())
def test_tokens_come_once_and_nothing_is_over_its_capacity(job: SmallJob) -> None:
    told: Counter[str] = Counter()
    with watched(told):
        result = job.run()
    assert job.resolved.layout.decode is DecodePlacement.BOTH
    assert result.report.invariants == "ok"
    assert told["tokens"] == int(job.resolved.table.output.sum()) == result.report.tokens.output
    SEEN["moved"] += result.report.tokens.moved
    SEEN["beside"] += result.report.utilization.attention == 0
    SEEN["inside"] += result.report.utilization.attention > 0


def test_the_jobs_above_were_of_every_kind() -> None:
    """Some moved KV, some used modules, some stayed with the GPUs."""
    assert not SEEN or (SEEN["moved"] > 0 and SEEN["beside"] > 0 and SEEN["inside"] > 0)


@settings(max_examples=12, derandomize=True, deadline=None)
@given(home_jobs())
def test_windows_change_nothing(job: SmallJob) -> None:
    """Lockstep, a round a window, is the oracle."""
    whole, lockstep = job.run(), job.but(max_window=1).run()
    assert without_exchange(whole) == without_exchange(lockstep)
    assert lines_of(whole) == lines_of(lockstep)


@settings(max_examples=5, derandomize=True, deadline=None)
@given(home_jobs())
def test_without_a_share_of_gpu_memory_all_lie_in_modules(job: SmallJob) -> None:
    none = SmallJob(job.spec, job.machine.with_settings([("scheduler.gpu_kv_share", 0.0)]))
    assert none.resolved.layout.decode is DecodePlacement.ATTENTION
    assert none.run().report.tokens.moved == 0
