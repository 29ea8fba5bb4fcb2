"""How sure a number is: means with intervals clustered by task, and paired comparisons of two conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.points import needs

RESAMPLES = 2000
PERMUTATIONS = 9999


@dataclass(frozen=True)
class Summary:
    """A mean and what it rests on; NaN where there is nothing to say.

    ``n`` values in ``n_tasks`` tasks, ``missing`` values that were null or NaN (they are in no mean), ``std`` of
    the values (n - 1), ``low`` and ``high`` the ends of the 95 % interval (NaN with a single task).
    """

    n: int
    missing: int
    n_tasks: int
    mean: float
    std: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}], n={self.n} in {self.n_tasks} tasks"


@dataclass(frozen=True)
class Comparison:
    """Two conditions, paired by task: mean of a, of b, their difference with its 95 % interval, and a p-value.

    ``p`` is two-sided, from flipping the sign of whole tasks; ``effect`` is the mean difference in units of the
    standard deviation of the differences (Cohen's d_z); ``unpaired`` counts tasks that only one side has.
    """

    n_tasks: int
    unpaired: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    effect: float

    def __str__(self) -> str:
        return (
            f"{self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}], p={self.p:.4f}, "
            f"d={self.effect:.2f}, {self.n_tasks} tasks"
        )


def summarize(values: pl.Series, tasks: pl.Series | None = None, *, seed: int = 0) -> Summary:
    """Average values, with a 95 % interval from resampling whole tasks (percentile bootstrap).

    Episodes of one task are alike, so they do not count as independent: tasks are drawn, with all their episodes.

    Parameters
    ----------
    values
        One number (or Boolean) an episode.
    tasks
        The task of each value; None takes every value for a task of its own.
    seed
        Of the resampling.

    Returns
    -------
    Summary
        With NaN for what cannot be said (no value at all, or an interval from a single task).

    Raises
    ------
    WorkbenchError
        The two series differ in length, or the values are no numbers.
    """
    tasks = pl.Series(range(len(values)), dtype=pl.Int64) if tasks is None else tasks
    table = _table(values, tasks)
    kept = table.drop_nulls("value")
    if kept.is_empty():
        return Summary(0, len(table), 0, *[float("nan")] * 4)
    sums = kept.group_by("task").agg(pl.col("value").sort().sum(), pl.len().alias("n")).sort("task")
    total, n = sums["value"].to_numpy(), sums["n"].to_numpy().astype(float)
    low, high = _interval((total, n), _ratio, seed)
    std = kept["value"].sort().std() if len(kept) > 1 else 0.0
    missing = len(table) - len(kept)
    return Summary(len(kept), missing, len(sums), float(_ratio(total, n)), float(std), low, high)  # type: ignore[arg-type]


def compare(a: pl.DataFrame, b: pl.DataFrame, value: str = "value") -> Comparison:
    """Compare two conditions on the same tasks: a minus b.

    A task's episodes are averaged first, so every task weighs the same; tasks that only one side has are
    left out and counted. The p-value is exact up to 13 tasks, else from 9,999 random flips.

    Parameters
    ----------
    a, b
        Frames with task_id and a value column, one row an episode (or a task).
    value
        The name of that column.

    Returns
    -------
    Comparison

    Raises
    ------
    WorkbenchError
        A column is missing, or the two have fewer than two tasks in common.
    """
    sides = []
    for name, frame in (("a", a), ("b", b)):
        needs(
            frame.columns,
            ("task_id", value),
            f"rows of condition {name}",
            f"{value} is compared task by task",
        )
        table = _table(frame[value], frame["task_id"]).drop_nulls("value")
        sides.append(table.group_by("task").agg(pl.col("value").sort().mean().alias(name)))
    both = sides[0].join(sides[1], on="task").sort("task")
    if len(both) < 2:
        raise WorkbenchError(
            f"the two conditions have {len(both)} tasks in common: at least two are needed to pair"
        )
    from scipy.stats import permutation_test

    x, y = both["a"].to_numpy(), both["b"].to_numpy()
    gain = x - y
    test = permutation_test(
        (gain,), _mean, permutation_type="samples", n_resamples=PERMUTATIONS, vectorized=True, rng=0
    )
    low, high = _interval((gain,), _mean, 0)
    spread = float(gain.std(ddof=1))
    mean = float(gain.mean())
    effect = mean / spread if spread > 0 else float(np.sign(mean)) * float("inf") if mean else 0.0
    unpaired = len(sides[0]) + len(sides[1]) - 2 * len(both)
    return Comparison(
        len(both), unpaired, float(x.mean()), float(y.mean()), mean, low, high, float(test.pvalue), effect
    )


def _table(values: pl.Series, tasks: pl.Series) -> pl.DataFrame:
    if len(values) != len(tasks):
        raise WorkbenchError(f"{len(values)} values for {len(tasks)} tasks: give one task for each value")
    if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
        raise WorkbenchError(f"values of type {values.dtype} have no mean: give numbers")
    return pl.DataFrame({"task": tasks.cast(pl.String), "value": values.cast(pl.Float64)}).with_columns(
        pl.col("value").fill_nan(None)
    )


def _interval(data: tuple[np.ndarray, ...], statistic: Any, seed: int) -> tuple[float, float]:
    if len(data[0]) < 2:
        return float("nan"), float("nan")
    from scipy.stats import bootstrap

    found = bootstrap(
        data, statistic, paired=True, vectorized=True, n_resamples=RESAMPLES, method="percentile", rng=seed
    ).confidence_interval
    return float(found.low), float(found.high)


def _ratio(total: np.ndarray, n: np.ndarray, axis: int = -1) -> np.ndarray:
    return total.sum(axis=axis) / n.sum(axis=axis)


def _mean(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return x.mean(axis=axis)
