"""Our walk of the trees is scikit-learn's, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from l3sim.orchestrator.engine.prediction.learning.forest import DEPTH, Forest, distinct, train


def samples(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Chunk tokens (mostly none) and decoding requests; times with a kink and some noise."""
    stream = np.random.default_rng(seed)
    chunks = stream.integers(0, 3, count) * stream.integers(0, 2000, count)
    decoding = stream.integers(0, 500, count)
    times = 1e6 + 70.0 * chunks + 3.0 * np.maximum(decoding - 100, 0) ** 1.5 + stream.random(count)
    return np.stack([chunks, decoding], axis=1).astype(np.float64), times


@pytest.fixture(scope="module", params=[1, 40, 900])
def both(request: pytest.FixtureRequest) -> tuple[Forest, RandomForestRegressor]:
    features, times = samples(3, request.param)
    theirs = RandomForestRegressor(n_estimators=24, max_depth=DEPTH, random_state=5, n_jobs=1)
    return train(features, times, 5), theirs.fit(*distinct(features, times))


def test_points_are_scikit_learns(both: tuple[Forest, RandomForestRegressor]) -> None:
    ours, theirs = both
    stream = np.random.default_rng(4)
    # Beyond the samples as well, and where float32 no longer holds every whole number.
    chunks = np.r_[stream.integers(0, 3000, 800), 0, 2**24 + 1, 2**30 + 7]
    decoding = np.r_[stream.integers(0, 900, 800), 0, 2**24 + 3, 5]
    points = np.stack([chunks, decoding], axis=1).astype(np.float64)
    assert (ours.at(chunks, decoding) == theirs.predict(points)).all()


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.sampled_from([0, 1, 64, 700, 1999, 5000]), st.integers(0, 900))
def test_a_line_is_its_points(
    both: tuple[Forest, RandomForestRegressor], chunk_tokens: int, most: int
) -> None:
    forest, _ = both
    expected = forest.at(np.full(most + 1, chunk_tokens), np.arange(most + 1))
    assert (forest.line(chunk_tokens, most) == expected).all()


def test_trees_are_scikit_learns(both: tuple[Forest, RandomForestRegressor]) -> None:
    ours, theirs = both
    trees = [tree.tree_ for tree in theirs.estimators_]
    assert len(ours.roots) == len(trees)
    for name, part in (("threshold", ours.threshold), ("feature", ours.feature)):
        assert (np.concatenate([getattr(tree, name) for tree in trees]) == part).all()
    assert (np.concatenate([tree.value[:, 0, 0] for tree in trees]) == ours.value).all()


def test_the_same_seed_grows_the_same_forest() -> None:
    features, times = samples(1, 200)
    one, same, other = (train(features, times, seed) for seed in (7, 7, 8))
    assert (one.threshold == same.threshold).all()
    assert (one.value == same.value).all()
    assert len(one.value) != len(other.value) or (one.value != other.value).any()


def test_equal_features_are_one_sample_with_the_mean() -> None:
    features = np.array([[5.0, 1.0], [0.0, 2.0], [5.0, 1.0], [5.0, 0.0]])
    found, times = distinct(features, np.array([10.0, 1.0, 20.0, 7.0]))
    assert found.tolist() == [[0.0, 2.0], [5.0, 0.0], [5.0, 1.0]]
    assert times.tolist() == [1.0, 7.0, 15.0]


def test_a_forest_knows_what_it_was_shown() -> None:
    features, times = samples(2, 400)
    found = train(features, times, 0).at(features[:, 0].astype(np.int64), features[:, 1].astype(np.int64))
    assert np.median(np.abs(found - times) / times) < 0.01
