"""Coverage: how well one task's simulated users spread over the people, and nowhere else (two-sided Chamfer)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.points import Points, points

_BLOCK = 2**20  # distances held in memory at a time
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
        self.standardize = standardize
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
        return self._score((points(personas, "fingerprints") - self._center) / self._scale)

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
        if task not in fingerprints.columns:
            raise WorkbenchError(f"the fingerprints lack {task}: coverage is measured task by task")
        parts = fingerprints.partition_by(task, as_dict=True)
        found = [(key[0], len(part), self.coverage(part)) for key, part in parts.items()]
        kind = fingerprints.schema[task]
        return pl.DataFrame(
            found, schema={task: kind, "n": pl.Int64, "coverage": pl.Float64}, orient="row"
        ).sort(task)

    def equal_n(
        self, fingerprints: pl.DataFrame, n: int, *, task: str | None = None, draws: int = 50, seed: int = 0
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
        draws, seed
            How many subsets of each, and the seed of the draws.

        Returns
        -------
        float
            Mean coverage; 0 without fingerprints.
        """
        if fingerprints.is_empty():
            return 0.0
        rng = np.random.default_rng(seed)
        parts = (
            [fingerprints]
            if task is None
            else fingerprints.sort(task).partition_by(task, maintain_order=True)
        )
        means = []
        for part in parts:
            x = (points(part, "fingerprints") - self._center) / self._scale
            if len(x) <= n:
                means.append(self._score(x))
                continue
            chosen = [np.sort(rng.choice(len(x), n, replace=False)) for _ in range(draws)]
            means.append(float(np.mean([self._score(x[rows]) for rows in chosen])))
        return float(np.mean(means))

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

    Small sets are compared directly. For large ones |x|² - 2xy + |y|² finds the nearest row, ten times as fast; its
    distance is then taken directly, so that equal rows are at 0.
    """
    from scipy.spatial.distance import cdist

    if len(a) * len(b) <= _DIRECT:
        found = cdist(a, b)
        return found.min(axis=1), found.min(axis=0)
    near_a, near_b, least = np.empty(len(a), np.int64), np.zeros(len(b), np.int64), np.full(len(b), np.inf)
    columns = np.arange(len(b))
    with _one_thread():
        for start, block in _squares(a, b):
            near_a[start : start + len(block)] = block.argmin(axis=1)
            rows = block.argmin(axis=0)
            values = block[rows, columns]
            closer = values < least
            least[closer], near_b[closer] = values[closer], rows[closer] + start
    return np.sqrt(((a - b[near_a]) ** 2).sum(axis=1)), np.sqrt(((b - a[near_b]) ** 2).sum(axis=1))


def _squares(a: Points, b: Points) -> Iterator[tuple[int, np.ndarray]]:
    """Yield squared distances by blocks of rows of ``a`` (up to rounding; the block is overwritten by the next)."""
    center = b.mean(axis=0)
    a, b = a - center, b - center
    aa, bb = np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b)
    step = max(1, _BLOCK // len(b))
    room, turned = np.empty((step, len(b))), np.ascontiguousarray(-2 * b.T)
    for start in range(0, len(a), step):
        block = room[: len(a) - start]
        np.matmul(a[start : start + step], turned, out=block)
        block += bb
        block += aa[start : start + step, None]
        yield start, block


def _one_thread() -> Any:
    """Keep the matrix products on one thread: the blocks are too thin to share, and sums stay the same to the last bit."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1, user_api="blas")


def _mean_pairwise(x: Points) -> float:
    from scipy.spatial.distance import pdist

    pairs = len(x) * (len(x) - 1)
    if len(x) ** 2 <= _DIRECT:
        return float(2 * pdist(x).sum() / pairs)
    x = x - x.mean(axis=0)
    norms, turned = np.einsum("ij,ij->i", x, x), np.ascontiguousarray(-2 * x.T)
    total, step = 0.0, max(1, _BLOCK // len(x))
    room = np.empty(step * len(x))
    with _one_thread():
        for start in range(
            0, len(x), step
        ):  # a block of rows against those from it on: every pair is met once
            rows = min(step, len(x) - start)
            block = room[: rows * (len(x) - start)].reshape(rows, -1)
            np.matmul(x[start : start + rows], turned[:, start:], out=block)
            block += norms[start:]
            block += norms[start : start + rows, None]
            np.sqrt(np.maximum(block, 0, out=block), out=block)
            total += float(block[:, rows:].sum()) + float(np.triu(block[:, :rows], 1).sum())
    return 2 * total / pairs


def _centers(x: Points, clusters: int) -> Points:
    if not 2 <= clusters <= len(x):
        raise WorkbenchError(f"{clusters} clusters of {len(x)} people: expected 2 to {len(x)}")
    from sklearn.cluster import KMeans

    return KMeans(n_clusters=clusters, n_init=10, random_state=0).fit(x).cluster_centers_
