"""How far a population lies from people, by measures that no search looked at: Fréchet, density, precision, recall."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from workbench.measure.points import Points, one_domain, points

DRAWS = 20
NEIGHBORS = 3
AXES = 3  # principal axes in which densities are estimated: with some dozens of people more cannot be

NAMES = ("frechet", "density_js", "precision", "recall")


def distances(fingerprints: pl.DataFrame, people: pl.DataFrame, *, seed: int = 0) -> dict[str, float]:
    """Compare a population with people, both drawn down to the same number (mean over draws).

    Features are in units of the people's deviation (one that no person varies in is left in its own unit).

    Parameters
    ----------
    fingerprints, people
        Frames with the 19 features, 5 rows at least each.
    seed
        Of the draws.

    Returns
    -------
    dict
        ``frechet``: Fréchet distance of two normal distributions (shrunk covariances; 0 is best); ``density_js``:
        Jensen-Shannon divergence in bits between kernel densities on the people's first principal axes, each point
        judged by the others (0 to 1, 0 is best); ``precision``: share of the population within people's
        neighborhoods; ``recall``: share of people within the population's (Kynkäänniemi et al. 2019, 3 neighbors).

    Raises
    ------
    WorkbenchError
        Too few rows, a missing feature, or a value that is not finite.
    """
    one_domain(fingerprints, people)
    a = points(fingerprints, "fingerprints", at_least=5)
    b = points(people, "human fingerprints", at_least=5)
    spread = b.std(axis=0)
    center, scale = b.mean(axis=0), np.where(spread < 1e-9, 1.0, spread)
    a, b = (a - center) / scale, (b - center) / scale
    _, _, axes = np.linalg.svd(b, full_matrices=False)
    size = min(len(a), len(b))
    rng = np.random.default_rng(seed)
    draws = 1 if len(a) == len(b) else DRAWS
    found = []
    for _ in range(draws):
        x, y = (side[np.sort(rng.choice(len(side), size, replace=False))] for side in (a, b))
        inside = _inside(x, y), _inside(y, x)
        found.append((frechet(x, y), density_js(x @ axes[:AXES].T, y @ axes[:AXES].T), *inside))
    return dict(zip(NAMES, np.mean(found, axis=0).tolist(), strict=True))


def frechet(x: Points, y: Points) -> float:
    """Give the Fréchet (2-Wasserstein) distance of two normal distributions fitted to the points."""
    from sklearn.covariance import LedoitWolf

    s, t = (LedoitWolf().fit(side).covariance_ for side in (x, y))
    values, vectors = np.linalg.eigh(s)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ t @ root), 0, None)).sum()
    gap = x.mean(axis=0) - y.mean(axis=0)
    return float(np.sqrt(max(0.0, gap @ gap + np.trace(s) + np.trace(t) - 2 * cross)))


def density_js(x: Points, y: Points) -> float:
    """Estimate the Jensen-Shannon divergence (bits) of two samples of one size from leave-one-out kernel densities."""
    parts = []
    for at, others in ((x, y), (y, x)):
        own, other = _log_density(at, at, leave_out=True), _log_density(others, at)
        parts.append(np.mean(own - np.logaddexp(own, other) + np.log(2)))
    return float(np.clip(np.mean(parts) / np.log(2), 0, 1))


def _log_density(sample: Points, at: Points, *, leave_out: bool = False) -> np.ndarray:
    from scipy.spatial.distance import cdist
    from scipy.special import logsumexp

    n, d = sample.shape
    width = max(1e-3, float(np.mean(sample.std(axis=0)))) * n ** (-1 / (d + 4))  # Scott's rule
    logs = -cdist(at, sample, "sqeuclidean") / (2 * width**2)
    if leave_out:
        np.fill_diagonal(logs, -np.inf)
    found: Any = logsumexp(logs, axis=1)
    return np.asarray(found) - np.log(n - leave_out) - d * np.log(width * np.sqrt(2 * np.pi))


def _inside(x: Points, y: Points) -> float:
    """Give the share of ``x`` that lies within the neighborhood of some point of ``y``."""
    from scipy.spatial.distance import cdist

    among = np.sort(cdist(y, y), axis=1)
    radius = among[:, min(NEIGHBORS, len(y) - 1)]
    return float((cdist(x, y) <= radius + 1e-12).any(axis=1).mean())
