"""Coverage: how well one task's simulated users spread over the people, and nowhere else (two-sided Chamfer)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.points import Points, needs, one_domain, points

_BLOCK = 2**19  # distances held in memory at a time, on each of two threads
_DIRECT = 2**22  # up to this many distances, every one is taken directly


class Cloud:
    """The human fingerprints that coverage is measured against; its own spread is computed once.

    Parameters
    ----------
    humans
        Frame with the 19 features, two rows at least.
    standardize
        False: raw units, as in the paper's tables, where opening_length and words_per_turn carry most of the
        distance. True: every feature in units of its human standard deviation.
    clusters
        Replace the people by this many k-means centers (after standardizing); None keeps them all.

    Attributes
    ----------
    d_ref
        Mean distance over distinct pairs of targets, in the units in use.

    Raises
    ------
    WorkbenchError
        Fewer than two people, a missing feature, a value that is not finite, or a nonsense number of clusters.
    """

    def __init__(
        self, humans: pl.DataFrame, *, standardize: bool = False, clusters: int | None = None
    ) -> None:
        targets = points(humans, "human fingerprints", at_least=2)
        self.standardize, self._domain = standardize, one_domain(humans)
        self._center = targets.mean(axis=0) if standardize else np.zeros(targets.shape[1])
        spread = targets.std(axis=0) if standardize else np.ones(targets.shape[1])
        self._scale = np.where(spread < 1e-9, 1.0, spread)
        targets = (targets - self._center) / self._scale
        self.targets = targets if clusters is None else _centers(targets, clusters)
        self.d_ref = _mean_pairwise(self.targets)

    def coverage(self, personas: pl.DataFrame) -> float:
        """Score one task's fingerprints: 1 - min(1, err / (2 d_ref)), paper's appendix on coverage.

        ``err`` is the mean distance from each human to the nearest persona plus the mean distance from each
        persona to the nearest human, Euclidean.

        Parameters
        ----------
        personas
            The N fingerprints of one task.

        Returns
        -------
        float
            In [0, 1]; 1 for the people themselves, 0 without personas. It grows with N by itself: compare at equal N.

        Raises
        ------
        WorkbenchError
            A feature is missing or not finite.
        """
        return self._score(self._points(personas))

    def by_task(self, fingerprints: pl.DataFrame, task: str = "task_id") -> pl.DataFrame:
        """Score each task of a batch; a batch's coverage is the mean of the column ``coverage``.

        Parameters
        ----------
        fingerprints
            The 19 features and a column that names the task.
        task
            Name of that column.

        Returns
        -------
        DataFrame
            Task, n (fingerprints of the task) and coverage, sorted by task.

        Raises
        ------
        WorkbenchError
            A column is missing or a value not finite.
        """
        needs(fingerprints.columns, [task], "fingerprints", "coverage is measured task by task")
        parts = fingerprints.partition_by(task, as_dict=True)
        found = [(name, len(part), self.coverage(part)) for (name,), part in parts.items()]
        schema: Any = {task: fingerprints.schema[task], "n": pl.Int64, "coverage": pl.Float64}
        return pl.DataFrame(found, schema=schema, orient="row").sort(task)

    def equal_n(
        self, fingerprints: pl.DataFrame, n: int, *, task: str | None = None, draws: int = 50
    ) -> float:
        """Score subsets of ``n`` fingerprints, averaged: what makes conditions of different size comparable.

        Parameters
        ----------
        fingerprints
            The 19 features, and a task column where ``task`` names one.
        n
            Fingerprints in a subset; a task (or a population) that has fewer counts with all it has.
        task
            Draw within each task and average over tasks; None draws bundles from the whole population.
        draws
            How many subsets of each.

        Returns
        -------
        float
            Mean coverage; 0 without fingerprints.
        """
        if fingerprints.is_empty():
            return 0.0
        rng = np.random.default_rng(0)
        parts, means = [fingerprints], []
        if task is not None:
            parts = fingerprints.sort(task).partition_by(task, maintain_order=True)
        for part in parts:
            x = self._points(part)
            if len(x) <= n:
                means.append(self._score(x))
                continue
            chosen = [np.sort(rng.choice(len(x), n, replace=False)) for _ in range(draws)]
            means.append(float(np.mean([self._score(x[rows]) for rows in chosen])))
        return float(np.mean(means))

    def _points(self, fingerprints: pl.DataFrame) -> Points:
        one_domain(fingerprints, known=self._domain)
        return (points(fingerprints, "fingerprints") - self._center) / self._scale

    def _score(self, personas: Points) -> float:
        if not len(personas):
            return 0.0
        to_persona, to_human = _nearest(self.targets, personas)
        # sorted: a sum of floats must not depend on who came first
        error = float(np.sort(to_persona).mean() + np.sort(to_human).mean())
        if self.d_ref == 0:  # all people alike
            return 1.0 if error == 0 else 0.0
        return max(0.0, 1.0 - min(1.0, error / (2 * self.d_ref)))


def coverage(personas: pl.DataFrame, humans: pl.DataFrame, standardize: bool = False) -> float:
    """Score one task's fingerprints against the human cloud (see :meth:`Cloud.coverage`).

    For many tasks build one :class:`Cloud`: this function measures the people anew each time.

    Parameters
    ----------
    personas, humans
        Frames with the 19 features.
    standardize
        Measure in human standard deviations instead of raw units.

    Returns
    -------
    float
        Coverage in [0, 1].

    Raises
    ------
    WorkbenchError
        Fewer than two humans, a missing feature, or a value that is not finite.
    """
    return Cloud(humans, standardize=standardize).coverage(personas)


def _nearest(a: Points, b: Points) -> tuple[np.ndarray, np.ndarray]:
    """Give each row's distance to the nearest row of the other set, a block of distances in memory at a time.

    Small sets are compared directly. For large ones |x|² - 2xy + |y|², one matrix product, finds the nearest row; its
    distance is then taken directly, so that equal rows are at 0.
    """
    from scipy.spatial.distance import cdist

    if len(a) * len(b) <= _DIRECT:
        found = cdist(a, b)
        return found.min(axis=1), found.min(axis=0)
    left, right = _factors(a, b)
    half = len(a) // 2
    (near, first, least), (more, second, less) = _two(
        lambda part: _scan(part, right), left[:half], left[half:]
    )
    near_a, near_b = np.append(near, more), np.where(less < least, second + half, first)
    return np.sqrt(((a - b[near_a]) ** 2).sum(axis=1)), np.sqrt(((b - a[near_b]) ** 2).sum(axis=1))


def _factors(a: Points, b: Points) -> tuple[Points, Points]:
    """Give two matrices whose product is every squared distance, up to rounding."""
    center = b.mean(axis=0)
    a, b = a - center, b - center
    aa, bb = (a * a).sum(axis=1), (b * b).sum(axis=1)
    right = np.column_stack([b, np.ones(len(b)), bb]).T
    return np.column_stack([-2 * a, aa, np.ones(len(a))]), np.ascontiguousarray(right)


def _scan(left: Points, right: Points) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the nearest column of each row, the nearest row of each column, and the latter's squared distance."""
    step = max(1, _BLOCK // right.shape[1])
    room = np.empty((min(step, len(left)), right.shape[1]))
    near_row, least = np.zeros(right.shape[1], np.int64), np.full(right.shape[1], np.inf)
    near_column = np.empty(len(left), np.int64)
    for start in range(0, len(left), step):
        block = room[: len(left) - start]
        np.matmul(left[start : start + step], right, out=block)
        near_column[start : start + step] = block.argmin(axis=1)
        low = block.min(axis=0)
        closer = np.flatnonzero(low < least)  # ever fewer
        least[closer], near_row[closer] = low[closer], block[:, closer].argmin(axis=0) + start
    return near_column, near_row, least


def _two(work: Callable[[Any], Any], *halves: Any) -> list[Any]:
    """Work on two halves at once, matrix products on one thread each: the same sums whatever the machine."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, halves))


def _mean_pairwise(x: Points) -> float:
    from scipy.spatial.distance import pdist

    pairs = len(x) * (len(x) - 1)
    if len(x) ** 2 <= _DIRECT:
        return float(2 * pdist(x).sum() / pairs)
    left, right = _factors(x, x)
    step = max(1, _BLOCK // len(x))

    def total(first: int) -> float:
        """Sum every other block of rows against those from it on: every pair is met once."""
        room, found = np.empty(step * len(x)), 0.0
        for start in range(first * step, len(x), 2 * step):
            rows = min(step, len(x) - start)
            block = room[: rows * (len(x) - start)].reshape(rows, -1)
            np.matmul(left[start : start + rows], right[:, start:], out=block)
            np.sqrt(np.maximum(block, 0, out=block), out=block)
            found += float(block[:, rows:].sum()) + float(np.triu(block[:, :rows], 1).sum())
        return found

    return 2 * sum(_two(total, 0, 1)) / pairs


def _centers(x: Points, clusters: int) -> Points:
    if not 2 <= clusters <= len(x):
        raise WorkbenchError(f"{clusters} clusters of {len(x)} people: expected 2 to {len(x)}")
    from sklearn.cluster import KMeans

    return KMeans(n_clusters=clusters, n_init=10, random_state=0).fit(x).cluster_centers_
