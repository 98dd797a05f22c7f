"""Two small classifiers: can they tell two samples apart?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]


class LogisticRegression:
    """Linear in standardised features, with a quadratic penalty on the weights."""

    name = "logistic"

    def __init__(self, penalty: float = 1.0):
        self.penalty = penalty

    def fit(self, x: Array, y: Array) -> LogisticRegression:
        """x (n, p), y (n,) of 0 and 1."""
        self.mean, self.scale = x.mean(0), x.std(0) + 1e-9
        z, sign = (x - self.mean) / self.scale, 2 * y - 1

        def loss(w: Array) -> tuple[float, Array]:
            margin = sign * (z @ w[1:] + w[0])
            slope = -sign / (1 + np.exp(np.clip(margin, -30, 30)))
            gradient = np.append(slope.sum(), z.T @ slope + self.penalty * w[1:])
            return np.logaddexp(0, -margin).sum() + self.penalty / 2 * (w[1:] ** 2).sum(), gradient

        self.w = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
        return self

    def score(self, x: Array) -> Array:
        """Above 0 where class 1 is likelier, (n,)."""
        return (x - self.mean) / self.scale @ self.w[1:] + self.w[0]


class BoostedTrees:
    """Gradient boosting of the logistic loss with trees of two levels.

    Source: J. H. Friedman, Ann. Statist. 29 (2001) 1189.
    """

    name = "boosted trees"

    def __init__(self, trees: int = 150, rate: float = 0.08, thresholds: int = 16, least: int = 5):
        self.trees, self.rate, self.thresholds, self.least = trees, rate, thresholds, least

    def fit(self, x: Array, y: Array) -> BoostedTrees:
        """x (n, p), y (n,) of 0 and 1."""
        self.edges = np.quantile(x, np.linspace(0, 1, self.thresholds + 2)[1:-1], axis=0)  # (t, p)
        above = x[:, None] > self.edges  # (n, t, p)
        score, self.forest = np.zeros(len(x)), []
        for _ in range(self.trees):
            p = 1 / (1 + np.exp(-score))
            tree = self._tree(above, y - p, p * (1 - p) + 1e-6, np.ones(len(x), bool), depth=2)
            self.forest.append(tree)
            score += self._value(tree, above)
        return self

    def _tree(self, above, gradient, curvature, rows, depth):
        leaf = self.rate * gradient[rows].sum() / (curvature[rows].sum() + 1.0)
        if depth == 0 or rows.sum() < 2 * self.least:
            return leaf
        inside = above[rows]
        n = inside.sum(0)
        g, h = (np.tensordot(v[rows], inside, 1) for v in (gradient, curvature))
        g_all, h_all = gradient[rows].sum(), curvature[rows].sum()
        gain = g**2 / (h + 1) + (g_all - g) ** 2 / (h_all - h + 1)
        gain[(n < self.least) | (rows.sum() - n < self.least)] = -np.inf
        best = np.unravel_index(gain.argmax(), gain.shape)
        if not np.isfinite(gain[best]):
            return leaf
        high = above[:, best[0], best[1]]
        parts = (self._tree(above, gradient, curvature, rows & side, depth - 1) for side in (~high, high))
        return (best, *parts)

    def _value(self, tree, above) -> Array:
        if not isinstance(tree, tuple):
            return np.full(len(above), tree)
        best, low, high = tree
        return np.where(above[:, best[0], best[1]], self._value(high, above), self._value(low, above))

    def score(self, x: Array) -> Array:
        """Above 0 where class 1 is likelier, (n,)."""
        above = x[:, None] > self.edges
        return np.sum([self._value(tree, above) for tree in self.forest], axis=0)


def balanced_accuracy(score: Array, y: Array) -> float:
    """Mean over the classes of the share that was recognised."""
    return float(np.mean([((score > 0) == c)[y == c].mean() for c in (0, 1)]))


def separation(values: Array, y: Array) -> float:
    """Area under the ROC curve of one feature, the larger of both directions: ½ where it tells nothing."""
    rank = np.argsort(np.argsort(values)) + 1.0
    for v in np.unique(values):
        rank[values == v] = rank[values == v].mean()
    n1 = (y == 1).sum()
    auc = (rank[y == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * (len(y) - n1))
    return float(max(auc, 1 - auc))
