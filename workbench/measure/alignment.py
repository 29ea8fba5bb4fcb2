"""Alignment: how near a simulator's average user is to the average person, dimension by dimension."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.measure.features import DIMENSIONS, FEATURES
from workbench.measure.points import points


def alignment(fingerprints: pl.DataFrame, humans: pl.DataFrame) -> dict[str, float]:
    """Compare feature means by the Sørensen-Dice ratio, averaged within each dimension.

    Per feature 2 min(m, h) / (m + h) of the two means (1 where both are 0). Only means enter: two caricatures
    that average out align perfectly, so show coverage beside it.

    Parameters
    ----------
    fingerprints, humans
        Frames with the 19 features, one row at least each.

    Returns
    -------
    dict
        D1, D2, D3, D4 and their mean USI_D1_D4, in percent. (The six-term USI is another number.)

    Raises
    ------
    WorkbenchError
        A side is empty, lacks a feature, or holds a value that is not finite.
    """
    ratios = dice(_means(fingerprints, "fingerprints"), _means(humans, "human fingerprints"))
    ratio = dict(zip(FEATURES, ratios, strict=True))
    found = {
        name: 100 * float(np.mean([ratio[f] for f in features])) for name, features in DIMENSIONS.items()
    }
    return found | {"USI_D1_D4": float(np.mean(list(found.values())))}


def dice(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Give 2 min(|a|, |b|) / (|a| + |b|), elementwise; 1 where both are 0."""
    a, b = np.abs(a), np.abs(b)
    total = a + b
    return np.where(total == 0, 1.0, 2 * np.minimum(a, b) / np.where(total == 0, 1.0, total))


def _means(fingerprints: pl.DataFrame, what: str) -> np.ndarray:
    return points(fingerprints, what, at_least=1).mean(axis=0)
