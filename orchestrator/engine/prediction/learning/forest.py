"""Random forests: scikit-learn grows their trees, we draw what each one sees and evaluate them.

scikit-learn's forest takes 3 ms a prediction, whatever is asked, where a plan asks hundreds of times; and of
the time in which it trains a forest as small as ours, two thirds go into cloning and checking estimators. So
the trees are trained one by one, on what scikit-learn's forest of the same seed would draw for them. They are
flattened into arrays and walked by compiled loops, one call for all candidates of a plan. Sums are made in
scikit-learn's order: trees and predictions are its own to the last bit (a test compares them).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from l3sim.jit import jit
from l3sim.units import Floats, Int64s

#: Trees of a forest: ours. More of them change the predictions of these two-feature forests by less than the
#: devices' costs differ between neighbours, and cost time in every plan.
TREES = 24
#: Deepest tree; the compiled walk keeps a stack of that size.
DEPTH = 60
_LEAF = -1


@dataclass(frozen=True)
class Forest:
    """Trees over two features, one after the other in arrays over nodes, shape (nodes,).

    Attributes:
        roots: first node of each tree, shape (trees,).
        left, right: children, absolute; -1 at a leaf.
        feature, threshold: which of the two features, as float32, goes left when it is <= threshold.
        value: prediction of a leaf.
    """

    roots: Int64s
    left: Int64s
    right: Int64s
    feature: Int64s
    threshold: Floats
    value: Floats

    def at(self, first: Int64s, second: Int64s) -> Floats:
        """Predictions of this many points: shape (n,)."""
        return forest_at(*self._arrays, first, second)

    def line(self, first: int, most: int) -> Floats:
        """Predictions for one first feature and 0, 1, ..., most as the second: shape (most + 1,)."""
        return forest_line(*self._arrays, first, most)

    @property
    def _arrays(self) -> tuple[Int64s, Int64s, Int64s, Int64s, Floats, Floats]:
        return self.roots, self.left, self.right, self.feature, self.threshold, self.value


def train(features: Floats, values: Floats, seed: int, trees: int = TREES) -> Forest:
    """Train a forest on samples: features of shape (n, 2), values of shape (n,).

    Equal features are one sample, with the mean of their values, so that what happens often does not
    crowd out what happens seldom.

    Args:
        seed: 0 to 2^32 - 1.
    """
    features, values = distinct(features, values)
    parts = _grow(np.ascontiguousarray(features, dtype=np.float32), values[:, None].copy(), seed, trees)
    counts = np.array([part.node_count for part in parts], dtype=np.int64)
    roots = np.cumsum(counts) - counts
    before = np.repeat(roots, counts)

    def joined(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    left, right = joined("children_left"), joined("children_right")
    return Forest(
        roots,
        np.where(left == _LEAF, _LEAF, left + before),
        np.where(right == _LEAF, _LEAF, right + before),
        joined("feature"),
        joined("threshold"),
        joined("value")[:, 0, 0].copy(),
    )


def _grow(features: Any, values: Floats, seed: int, trees: int) -> list[Any]:
    """Trees as scikit-learn's RandomForestRegressor grows them: each draws its samples with its own seed.

    Args:
        features: float32 of shape (n, 2), as scikit-learn compares them.
        values: shape (n, 1).
    """
    config_context, regressor = trainer()
    count = len(values)
    stream = np.random.RandomState(seed)
    seeds = [stream.randint(np.iinfo(np.int32).max) for _ in range(trees)]
    grown = []
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for own in seeds:
            # Seeding anew is what a stream of its own would give, and takes a tenth of the time.
            stream.seed(own)
            drawn = np.bincount(stream.randint(0, count, count, dtype=np.int32), minlength=count)
            stream.seed(own)
            tree = regressor(max_depth=DEPTH, random_state=stream)
            tree.fit(features, values, sample_weight=drawn.astype(np.float64), check_input=False)
            grown.append(tree.tree_)
    return grown


def trainer() -> tuple[Any, Any]:
    """scikit-learn's config_context and DecisionTreeRegressor; the first call of a process takes a second.

    Not imported above, for only jobs that learn need them.
    """
    from sklearn import config_context
    from sklearn.tree import DecisionTreeRegressor

    return config_context, DecisionTreeRegressor


def distinct(features: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Each pair of features once, ascending, with the mean of its values."""
    if not len(values):
        return features, values
    order = np.lexsort((features[:, 1], features[:, 0]))
    features, values = features[order], values[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(features, axis=0) != 0).any(axis=1)])
    counts = np.diff(np.r_[starts, len(values)])
    return features[starts], np.add.reduceat(values, starts) / counts


def _leaf() -> tuple[Int64s, Int64s, Int64s, Int64s, Floats, Floats]:
    """A tree that is a leaf."""
    zero, leaf = np.zeros(1, dtype=np.int64), np.full(1, _LEAF)
    return zero, leaf, leaf, zero, np.zeros(1), np.zeros(1)


@jit(cache=True, example=lambda: (*_leaf(), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)))
def forest_at(
    roots: Int64s,
    left: Int64s,
    right: Int64s,
    feature: Int64s,
    threshold: Floats,
    value: Floats,
    first: Int64s,
    second: Int64s,
) -> Floats:
    """The mean over trees at every point; scikit-learn compares features as float32."""
    result = np.zeros(len(first))
    for point in range(len(first)):
        x, y = np.float32(first[point]), np.float32(second[point])
        for tree in range(len(roots)):
            node = roots[tree]
            while left[node] >= 0:
                goes_left = (x if feature[node] == 0 else y) <= threshold[node]
                node = left[node] if goes_left else right[node]
            result[point] += value[node]
        result[point] /= len(roots)
    return result


@jit(cache=True, example=lambda: (*_leaf(), 0, 1))
def forest_line(
    roots: Int64s,
    left: Int64s,
    right: Int64s,
    feature: Int64s,
    threshold: Floats,
    value: Floats,
    first: int,
    most: int,
) -> Floats:
    """`forest_at` along a line, each tree walked once: a node splits the part of the line that reaches it."""
    result = np.zeros(most + 1)
    x = np.float32(first)
    nodes = np.empty(DEPTH + 1, dtype=np.int64)
    lows, highs = np.empty(DEPTH + 1, dtype=np.int64), np.empty(DEPTH + 1, dtype=np.int64)
    for tree in range(len(roots)):
        nodes[0], lows[0], highs[0] = roots[tree], 0, most
        depth = 1
        while depth > 0:
            depth -= 1
            node, low, high = nodes[depth], lows[depth], highs[depth]
            while left[node] >= 0 and low <= high:
                if feature[node] == 0:
                    node = left[node] if x <= threshold[node] else right[node]
                    continue
                # Whole numbers below 2^24 are their own float32.
                cut = min(max(np.floor(threshold[node]), -1.0), float(most))
                split = np.int64(cut)
                if split + 1 <= high:
                    nodes[depth], lows[depth], highs[depth] = right[node], max(low, split + 1), high
                    depth += 1
                node, high = left[node], min(high, split)
            for point in range(low, high + 1):
                result[point] += value[node]
    return result / len(roots)
