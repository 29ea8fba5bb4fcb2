"""Six measures of how much room a population fills (arXiv:2602.03545): support, not density."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.points import Points, by_dimension, one_domain, points

PROBES = 10_000  # random points that coverage and dispersion are measured with
SHARE = 0.99  # of them that a Sobol population of the same size covers
POPULATIONS = 100  # Sobol populations behind the paper's radius and the divergence (the paper: 1,000)
BINS = 20  # an axis, of the histograms behind the divergence
_LEAST = 1e-10

RULES = ("paper", "code")


def summaries(fingerprints: pl.DataFrame, humans: pl.DataFrame) -> Points:
    """Sum fingerprints up as points of the unit cube, one axis for each of D1 to D4.

    A feature is scaled by the people's 5-95 % range; a dimension is the mean of its features, scaled by the people's
    5-95 % range again and clipped to [0, 1].

    Returns
    -------
    ndarray
        Shape (dialogues, 4).
    """
    one_domain(fingerprints, humans)
    people = points(humans, "human fingerprints", at_least=2)
    x = points(fingerprints, "fingerprints", at_least=1)
    means = (by_dimension(_rescale(side, people)) for side in (x, people))
    return np.clip(_rescale(*means), 0, 1)


def support(z: Points, *, rule: str = "paper") -> dict[str, float]:
    """Measure how a population fills the unit cube.

    Parameters
    ----------
    z
        Shape (N, K), in [0, 1].
    rule
        How the radius of coverage is found. ``paper``: the mean, over Sobol populations of size N, of the smallest radius that
        covers 99 % of random points. ``code``: a multiple (by bisection on [1, 10] to 0.01) of the radius at which N
        balls would just hold the cube's volume, so that one Sobol population covers 99 %.

    Returns
    -------
    dict
        ``coverage`` (share of random points nearer than the radius), ``hull_volume``, ``min_pairwise`` and
        ``mean_pairwise`` (all: more is better), ``dispersion`` (the largest hole) and ``kl_to_sobol`` (mean over axes,
        20 bins, against Sobol populations of size N; both: less is better), and ``radius``. NaN where there are too few.

    Raises
    ------
    WorkbenchError
        The points are none, or outside the cube, or the rule is unknown.
    """
    z = np.atleast_2d(np.asarray(z, dtype=float))
    if z.size == 0 or not (np.isfinite(z).all() and z.min() >= 0 and z.max() <= 1):
        raise WorkbenchError(
            "support is measured in the unit cube: give points between 0 and 1, one at least"
        )
    if rule not in RULES:
        raise WorkbenchError(f"there is no rule {rule!r} for the radius: known are {', '.join(RULES)}")
    from scipy.spatial.distance import pdist

    n, k = z.shape
    kappa = _radius(n, k, rule)
    holes = _holes(z, _probes(k, 0))
    pairs = pdist(z) if n > 1 else np.array([np.nan])
    return {
        "coverage": float((holes < kappa).mean()),
        "hull_volume": _hull(z),
        "min_pairwise": float(pairs.min()),
        "mean_pairwise": float(np.sort(pairs).mean()),
        "dispersion": float(holes.max()),
        "kl_to_sobol": _divergence(z),
        "radius": kappa,
    }


@lru_cache(maxsize=64)
def _radius(n: int, k: int, rule: str) -> float:
    probes = _probes(k, 1)
    if rule == "paper":
        return float(
            np.mean([np.quantile(_holes(_sobol(n, k, seed), probes), SHARE) for seed in range(POPULATIONS)])
        )
    from scipy.special import gamma

    ball = np.pi ** (k / 2) / gamma(k / 2 + 1)
    base = (1 / (n * ball)) ** (1 / k)
    holes = _holes(_sobol(n, k, 0), probes)
    low, high = 1.0, 10.0
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if (holes < middle * base).mean() >= SHARE else (middle, high)
    return float(high * base)


def _sobol(n: int, k: int, seed: int) -> Points:
    from scipy.stats.qmc import Sobol

    sampler: Any = Sobol(k, rng=seed)
    return np.asarray(sampler.random_base2(max(0, (n - 1).bit_length())))[:n]


def _probes(k: int, seed: int) -> Points:
    return np.random.default_rng(seed).random((PROBES, k))


def _holes(z: Points, probes: Points) -> np.ndarray:
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(z).query(probes)[0])


def _hull(z: Points) -> float:
    from scipy.spatial import ConvexHull, QhullError

    if len(z) <= z.shape[1]:
        return 0.0
    if z.shape[1] == 1:
        return float(np.ptp(z))
    try:
        return float(ConvexHull(z).volume)
    except QhullError:  # the points lie in a plane
        return 0.0


def _divergence(z: Points) -> float:
    from scipy.stats import entropy

    edges, (n, k) = np.linspace(0, 1, BINS + 1), z.shape
    even = np.vstack([_sobol(n, k, seed) for seed in range(POPULATIONS)])
    found = []
    for mine, other in zip(z.T, even.T, strict=True):
        p, q = (np.histogram(side, edges)[0] / len(side) + _LEAST for side in (mine, other))
        found.append(float(entropy(p, q)))
    return float(np.mean(found))


def _rescale(x: Points, people: Points) -> Points:
    low, high = np.quantile(people, [0.05, 0.95], axis=0)
    width = high - low
    flat = width < 1e-9  # nobody varies: the middle, unless the population leaves it
    return np.where(flat, 0.5 + (x - low), (x - low) / np.where(flat, 1.0, width))
