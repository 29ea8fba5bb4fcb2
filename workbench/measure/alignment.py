"""Alignment: how near a simulator's average user is to the average person, dimension by dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure import DIMENSIONS, FEATURES
from workbench.measure.points import by_dimension, needs, one_domain, points, rows

TERMS = (*DIMENSIONS, "USI_D1_D4")


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
        A side is empty, lacks a feature, or holds a value that is not finite, or the sides name two domains.
    """
    one_domain(fingerprints, humans)
    simulated = points(fingerprints, "fingerprints", at_least=1).mean(axis=0)
    people = points(humans, "human fingerprints", at_least=1).mean(axis=0)
    return dict(zip(TERMS, _terms(simulated, people).tolist(), strict=True))


def alignment_interval(
    fingerprints: pl.DataFrame, humans: pl.DataFrame, *, resamples: int = 1000
) -> pl.DataFrame:
    """Give the terms of :func:`alignment` with 95 % intervals from drawing whole tasks, on both sides at once.

    A task's people and simulated users come and go together; dialogues without a task count as a task each.

    Returns
    -------
    DataFrame
        term, value, low, high, std (of the draws; what the paper prints as ±), n_simulated, n_people, n_tasks.

    Raises
    ------
    WorkbenchError
        As :func:`alignment`, or a side lacks tau2_task_id.
    """
    one_domain(fingerprints, humans)
    a, b = _sums(fingerprints, "fingerprints"), _sums(humans, "human fingerprints")
    names = sorted(set(a) | set(b))
    nothing = np.zeros(len(FEATURES) + 1)
    tables = [np.array([side.get(name, nothing) for name in names]) for side in (a, b)]
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    totals = [draws @ table for table in tables]
    usable = (totals[0][:, -1] > 0) & (totals[1][:, -1] > 0)
    found = _terms(*(total[usable, :-1] / total[usable, -1:] for total in totals))
    n = [int(table[:, -1].sum()) for table in tables]
    value = list(alignment(fingerprints, humans).values())
    return _table(value, found).with_columns(n_simulated=n[0], n_people=n[1], n_tasks=len(names))


def human_ceiling(humans: pl.DataFrame, *, splits: int = 200) -> pl.DataFrame:
    """Set people against people: the alignment of random halves, split by task, with the same marker lists.

    Halves hold half the people, so the ceiling is a little low: with more people it would rise.

    Returns
    -------
    DataFrame
        term, value (mean over splits), low, high (2.5 and 97.5 % of splits), std, n_people, n_tasks.

    Raises
    ------
    WorkbenchError
        Fewer than two tasks, or as :func:`alignment`.
    """
    table = np.array(list(_sums(humans, "human fingerprints").values()))
    if len(table) < 2:
        raise WorkbenchError("the people come from fewer than two tasks: a ceiling needs two halves")
    rng = np.random.default_rng(0)
    found = []
    for _ in range(splits):
        order = rng.permutation(len(table))
        halves = [table[part].sum(axis=0) for part in np.array_split(order, 2)]
        found.append(_terms(*(half[:-1] / half[-1] for half in halves)))
    return _table(np.mean(found, axis=0), np.array(found)).with_columns(
        n_people=len(humans), n_tasks=len(table)
    )


def dice(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Give 2 min(|a|, |b|) / (|a| + |b|), elementwise; 1 where both are 0."""
    a, b = np.abs(a), np.abs(b)
    total = a + b
    return np.where(total == 0, 1.0, 2 * np.minimum(a, b) / np.where(total == 0, 1.0, total))


def _table(value: Sequence[float] | np.ndarray, found: np.ndarray) -> pl.DataFrame:
    """Lay out terms with the 95 % interval and deviation of their draws."""
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    std = np.std(found, axis=0, ddof=1)
    return pl.DataFrame({"term": TERMS, "value": value, "low": low, "high": high, "std": std})


def _terms(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Turn means of the features (last axis) into D1-D4 and their mean, in percent."""
    parts = by_dimension(100 * dice(a, b))
    return np.concatenate([parts, parts.mean(axis=-1, keepdims=True)], axis=-1)


def _sums(frame: pl.DataFrame, what: str) -> dict[str, np.ndarray]:
    """Sum the features of each task; the last figure is how many dialogues it has."""
    needs(frame.columns, ["tau2_task_id"], what, "intervals are clustered by task")
    rows(frame, what)  # checked before features are sorted by
    frame = frame.sort("tau2_task_id", *FEATURES)
    x = rows(frame, what)
    if not len(x):
        raise WorkbenchError(f"there are 0 {what}: at least 1 are needed")
    sums: dict[str, np.ndarray] = {}
    for i, name in enumerate(frame["tau2_task_id"].cast(pl.String)):
        key = f"= {name}" if name is not None else f"{what} {i}"
        sums[key] = sums.get(key, 0) + np.append(x[i], 1.0)
    return sums
