"""Fingerprint frames as points: 19 checked columns in a fixed order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure import DIMENSIONS, FEATURES

Points = np.ndarray  # float64, (dialogues, 19)


def points(fingerprints: pl.DataFrame, what: str, *, at_least: int = 0) -> Points:
    """Take the 19 features out of a frame, rows in lexicographic order.

    The order makes every later sum independent of the order in which dialogues came; :func:`rows` keeps theirs.

    Parameters
    ----------
    fingerprints
        A frame with the columns of :data:`workbench.measure.FEATURES`; others are ignored.
    what
        What the rows are, for messages ("human fingerprints").
    at_least
        How many rows are needed.

    Returns
    -------
    ndarray
        Shape (dialogues, 19), float64.

    Raises
    ------
    WorkbenchError
        A column is missing or no number, a value is null, NaN or infinite, or there are too few rows.
    """
    found = rows(fingerprints, what)
    if len(found) < at_least:
        raise WorkbenchError(f"there are {len(found)} {what}: at least {at_least} are needed")
    return found[np.lexsort(found.T[::-1])]


def rows(fingerprints: pl.DataFrame, what: str, features: Sequence[str] = FEATURES) -> Points:
    """Take the 19 features out of a frame in the order of its rows (else as :func:`points`)."""
    needs(fingerprints.columns, features, what, f"expected the {len(features)} features of `fingerprint`")
    one_domain(fingerprints)
    table = fingerprints.select(features)
    words = [name for name, kind in table.schema.items() if not (kind.is_numeric() or kind == pl.Null)]
    if words:
        raise WorkbenchError(
            f"the {what} have {', '.join(words)} that are no numbers: fingerprint the turns again"
        )
    table = table.cast(pl.Float64)
    bad = [name for name in features if not table[name].is_finite().all() or table[name].null_count()]
    if bad:
        raise WorkbenchError(
            f"the {what} have {', '.join(bad)} missing or not finite: fingerprint the turns again"
        )
    return np.ascontiguousarray(table.to_numpy(), dtype=np.float64).reshape(-1, len(features))


def needs(columns: Collection[str], names: Sequence[str], what: str, why: str) -> None:
    """Refuse a frame that lacks a column, with all that it lacks named."""
    if missing := [name for name in names if name not in columns]:
        raise WorkbenchError(f"the {what} lack {', '.join(missing)}: {why}")


def by_dimension(x: np.ndarray) -> np.ndarray:
    """Average the features (last axis) that make up a dimension: D1 to D4."""
    places = [[FEATURES.index(name) for name in names] for names in DIMENSIONS.values()]
    return np.stack([x[..., place].mean(axis=-1) for place in places], axis=-1)


def one_domain(*frames: pl.DataFrame, known: str | None = None) -> str | None:
    """Name the one ``domain`` of frames (None where they name none); refuse two: people and simulators are compared within one."""
    named = [set(frame["domain"].drop_nulls()) for frame in frames if "domain" in frame.columns]
    found = sorted(map(str, set().union(*named, {known} - {None})))
    if len(found) > 1:
        raise WorkbenchError(
            f"the fingerprints mix the domains {', '.join(found)}: measure one domain at a time"
        )
    return found[0] if found else None
