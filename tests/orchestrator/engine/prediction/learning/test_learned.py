"""What is learned in a run, when, and that windows change none of it."""

from typing import Any

import numpy as np
import pytest

from l3sim.orchestrator.engine.prediction.learning import forest, learned
from l3sim.orchestrator.engine.prediction.learning.accuracy import TERMS, accuracy
from l3sim.orchestrator.engine.prediction.learning.learned import (
    ForestCache,
    LearnedPredictor,
    learn,
    samples_of,
)
from l3sim.orchestrator.engine.prediction.learning.samples import COLUMN, WIDTH
from l3sim.reports.prediction import Errors
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from l3sim.work import Chunk
from tests.orchestrator.engine.policies.views import predictor_of
from tests.orchestrator.small_jobs import SmallJob, listed, numbers, small_machine, without_exchange


def passes_of(count: int, chunks: int = 0, seed: int = 0) -> np.ndarray:
    """Passes in which everything is a line; the first `chunks` of them have a chunk."""
    stream = np.random.default_rng(seed)
    passes = np.zeros((count, WIDTH))

    def put(name: str, values: Any) -> np.ndarray:
        passes[:, COLUMN[name]] = values
        return passes[:, COLUMN[name]]

    chunk = put("chunk_tokens", np.where(np.arange(count) < chunks, stream.integers(64, 2048, count), 0))
    decoding = put("decoding", stream.integers(1, 300, count))
    tokens, groups = put("rank_tokens", stream.integers(100, 9000, count)), put("rank_groups", decoding)
    put("t_p", 5 * chunk)
    put("t_batch", 1000 + 2 * (chunk + decoding))
    put("t_d", 3 * tokens + 7 * groups)
    put("t_comm", 11 + 13 * decoding)
    put("t_kv", np.where(chunk > 0, 17 + 19 * chunk, 0))
    return passes


def learn_from(passes: np.ndarray) -> LearnedPredictor:
    return learn(predictor_of(), passes, ForestCache(np.random.SeedSequence(1)))


def test_lines_are_found_exactly() -> None:
    found = learn_from(passes_of(200, chunks=100))
    assert found.attend_group_ps(numbers([0, 10])).tolist() == pytest.approx([7.0, 37.0])
    assert found.comm.tolist() == pytest.approx([11, 13, 17, 19])


def test_forests_come_near() -> None:
    found = learn_from(passes_of(1500, chunks=700))
    line = found.batch_line_ps(0, 250)
    assert line[0] == 0.0
    assert line[50] == pytest.approx(1100, rel=0.02)
    assert found.batch_line_ps(0, 900)[:251].tolist() == line.tolist()
    assert found.batch_ps(numbers([0, 0]), numbers([0, 50])).tolist() == [0.0, line[50]]
    chunks = [Chunk(0, 500, 0, last=False), Chunk(1, 900, 0, last=False)]
    assert found.prefill_ps(chunks, numbers([400, 900])) == pytest.approx([4500, 7000], rel=0.05)
    assert found.batch_line_ps(1000, 3)[3] == pytest.approx(3006, rel=0.05)


def test_tables_speak_for_what_was_seldom_seen() -> None:
    cold = predictor_of(fc=(3.0, 1.0), chunk_ps=2.0, token_ps=4.0, comm=(1.0, 2.0, 3.0, 4.0))
    few = learn(cold, passes_of(200, chunks=5), ForestCache(np.random.SeedSequence(1)))
    assert few.prefill is None
    assert few.pass_prefill_ps([Chunk(0, 10, 0, last=True)]) == 20.0
    # The forest of the fully connected layers has hardly seen a chunk.
    assert few.batch_line_ps(10, 1).tolist() == [13.0, 14.0]
    assert few.batch_ps(numbers([10]), numbers([0])).tolist() == [13.0]
    assert few.batch_line_ps(0, 1)[1] > 900
    assert few.comm.tolist() == pytest.approx([11, 13, 3, 4])
    none = learn(cold, passes_of(10), ForestCache(np.random.SeedSequence(1)))
    assert none.batch_line_ps(0, 2).tolist() == [0.0, 4.0, 5.0]
    assert none.attend_group_ps(numbers([3])).tolist() == [12.0]


def test_a_forest_grows_when_asked_and_only_from_new_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[int] = []

    def train(features: Any, times: Any, seed: int) -> forest.Forest:
        grown.append(len(times))
        return forest.train(features, times, seed)

    monkeypatch.setattr(learned, "train", train)
    passes, forests = passes_of(300, chunks=100), ForestCache(np.random.SeedSequence(1))
    chunks, size = [Chunk(0, 500, 0, last=False)], numbers([500])
    first = learn(predictor_of(), passes, forests)
    assert len(grown) == 1
    assert first.prefill_ps(chunks, size) == first.prefill_ps(chunks, size)
    assert len(grown) == 2
    # More rounds that only decode: t_batch learns from them, t_p is what it was.
    more = np.concatenate([passes, passes_of(50, seed=1)])
    second = learn(predictor_of(), more, forests)
    assert second.prefill_ps(chunks, size) == first.prefill_ps(chunks, size)
    assert len(grown) == 3
    learn(predictor_of(), more, forests)
    assert len(grown) == 3
    # The same samples elsewhere grow the same forest, whatever was grown before.
    alone = learn(predictor_of(), more, ForestCache(np.random.SeedSequence(1)))
    assert alone.batch_line_ps(0, 300).tolist() == second.batch_line_ps(0, 300).tolist()
    slower = passes.copy()
    slower[:, COLUMN["t_p"]] *= 2
    assert learn(predictor_of(), slower, forests).prefill_ps(chunks, size) != first.prefill_ps(chunks, size)


def test_samples_of_a_term_are_the_passes_that_have_it() -> None:
    features, times = samples_of("t_kv", passes_of(20, chunks=4))
    assert features.shape == (4, 2)
    assert (times == 17 + 19 * features[:, 1]).all()
    assert (features[:, 0] == 1).all()


def long_job() -> SmallJob:
    """Attention is slow, so that requests are left out; a few hundred rounds."""
    model = small_model(kv_heads=4)
    machine = small_machine(attention__ccd_l_tck=128_000, attention__ranksets=1, scheduler__horizon=3)
    workload = listed([30, 90, 20, 150, 40, 60, 10, 80] * 3, [31, 60, 25, 44, 80, 33, 70, 55] * 3)
    return SmallJob(JobSpec(workload, model=model, policy="l3"), machine)


def test_windows_change_nothing_that_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "FIRST_ROUNDS", 16)
    monkeypatch.setattr(learned, "LEAST_SAMPLES", 4)
    job = long_job()
    results = [job.but(max_window=k).run() for k in (1, 2, 4096)]
    report = results[0].report
    assert report.prediction.predictor == "learned"
    assert report.prediction.trainings > 3
    assert len({without_exchange(result) for result in results}) == 1
    assert len({result.artifacts["decisions.jsonl"] for result in results}) == 1


def test_nobody_trains_before_the_first_rounds_and_for_a_policy_that_predicts_nothing() -> None:
    short = SmallJob(JobSpec(listed([30], [40]), model=small_model(), policy="l3"), small_machine())
    found = short.run().report.prediction
    assert (found.predictor, found.trainings) == ("learned", 0)
    assert found.random_split.t_d == Errors(samples=0, median=None, p99=None)
    assert found.plans.gpu.samples > 0
    found = short.but(policy="fill").run().report.prediction
    assert found.predictor is None
    assert found.plans.gpu == Errors(samples=0, median=None, p99=None)


def test_accuracy_is_that_of_what_was_not_trained_on() -> None:
    passes = np.concatenate([np.arange(1200)[:, None], passes_of(1200, chunks=500)], axis=1)
    found = accuracy([passes], [1200], seed=3)
    assert found == accuracy([passes], [1200], seed=3)
    for split in ("random_split", "last_fifth"):
        assert set(found[split]) == set(TERMS)
        assert found[split]["t_d"]["p99"] < 1e-6
        assert 0 < found[split]["t_batch"]["median"] < 0.02
    assert found["random_split"]["t_batch"]["samples"] > 700
    assert found["random_split"]["t_d"]["samples"] == 1000
    # Nothing with a chunk happened in the last fifth.
    assert found["last_fifth"]["t_p"]["median"] is None
    # A world that changes: what the first four fifths taught is wrong by half.
    changed = passes.copy()
    changed[960:, 1 + COLUMN["t_d"]] *= 2
    late = accuracy([changed], [1200], seed=3)["last_fifth"]["t_d"]
    assert late["median"] == pytest.approx(0.5)
