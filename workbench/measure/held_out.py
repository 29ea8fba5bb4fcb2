"""How good a discriminator is on tasks that it never saw, what it goes by, and whether it knows people or one model's tics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.discriminator import Discriminator
from workbench.measure.fresh import auc
from workbench.measure.points import needs, rows

BINS = 5


def scored(forest: Discriminator, people: pl.DataFrame, simulated: pl.DataFrame) -> pl.DataFrame:
    """Score held-out dialogues of both sides: task (tau2's), y (1 for people), score = P(human)."""
    sides = []
    for y, frame in ((1, people), (0, simulated)):
        needs(frame.columns, ["tau2_task_id"], "fingerprints", "intervals are clustered by task")
        task = frame.select(task=pl.col("tau2_task_id").cast(pl.String), y=pl.lit(y, pl.Int64))
        sides.append(task.with_columns(score=forest.likeness(frame)))
    return pl.concat(sides)


def report(table: pl.DataFrame, *, resamples: int = 1000) -> dict[str, float]:
    """Summarize scored held-out dialogues.

    Parameters
    ----------
    table
        From :func:`scored`, both sides present.
    resamples
        Of the interval of the AUC, which draws whole tasks.

    Returns
    -------
    dict
        n_people, n_simulated, auc with auc_low and auc_high, accuracy and f1 (of people) at 0.5, balanced_accuracy,
        brier (mean squared error of P(human)), and ece: the mean gap between P(human) and the share of people over
        :data:`BINS` bins of equal width, the two sides weighing the same, as in training.

    Raises
    ------
    WorkbenchError
        One side has no dialogues.
    """
    y, score = table["y"].to_numpy(), table["score"].to_numpy()
    ones = int(y.sum())
    if not 0 < ones < len(y):
        raise WorkbenchError(f"{ones} people of {len(y)} held-out dialogues: a report needs both sides")
    said = score >= 0.5
    hits = int((said & (y == 1)).sum())
    middle, low, high = auc(table, resamples=resamples)
    bins = calibration(table)
    return {
        "n_people": ones,
        "n_simulated": len(y) - ones,
        "auc": middle,
        "auc_low": low,
        "auc_high": high,
        "accuracy": float((said == (y == 1)).mean()),
        "balanced_accuracy": float(np.mean([said[y == 1].mean(), 1 - said[y == 0].mean()])),
        "f1": 2 * hits / (int(said.sum()) + ones),
        "brier": float(np.mean((score - y) ** 2)),
        "ece": float((bins["weight"] * (bins["predicted"] - bins["people"]).abs()).sum()),
    }


def calibration(table: pl.DataFrame) -> pl.DataFrame:
    """Compare P(human) with the share of people, bin by bin, both sides weighing the same.

    Returns
    -------
    DataFrame
        bin, n, weight (sums to 1), predicted (mean P(human)), people (share); bins without dialogues are left out.
    """
    w, place = pl.col("w"), (pl.col("score") * BINS).floor().clip(0, BINS - 1).cast(pl.Int64)
    return (
        table.sort("y", "score")
        .with_columns(w=0.5 / pl.len().over("y"), bin=place)
        .group_by("bin", maintain_order=True)
        .agg(
            n=pl.len(),
            weight=w.sum(),
            predicted=(w * pl.col("score")).sum() / w.sum(),
            people=(w * pl.col("y")).sum() / w.sum(),
        )
        .sort("bin")
    )


def importance(
    forest: Discriminator, people: pl.DataFrame, simulated: pl.DataFrame, *, repeats: int = 10
) -> pl.DataFrame:
    """Give each feature's permutation importance on held-out dialogues beside its Gini importance.

    Gini counts how often a feature was split on while fitting; permutation how much the AUC drops when its column
    is shuffled. Features that say the same cover for each other: each alone then drops little.

    Returns
    -------
    DataFrame
        feature, gini, permutation and its std over repeats, greatest drop first.
    """
    from sklearn.inspection import permutation_importance

    x = np.vstack([rows(side, "fingerprints") for side in (people, simulated)])
    y = np.repeat([1, 0], [len(people), len(simulated)])
    found: Any = permutation_importance(
        forest.pipeline, x, y, scoring="roc_auc", n_repeats=repeats, random_state=0, n_jobs=1
    )
    drops = pl.DataFrame(
        {"feature": FEATURES, "permutation": found.importances_mean, "std": found.importances_std}
    )
    gini = forest.importance.rename({"importance": "gini"})
    return gini.join(drops, on="feature").sort(-pl.col("permutation"), "feature", maintain_order=True)


def matrix(
    people: Mapping[str, pl.DataFrame],
    simulators: Mapping[str, Mapping[str, pl.DataFrame]],
    *,
    resamples: int = 300,
) -> pl.DataFrame:
    """Fit against simulator A, test on simulator B: a forest that knows people does well off the diagonal too.

    Parameters
    ----------
    people
        ``train`` and ``test`` fingerprints with tau2_task_id.
    simulators
        By name the same two frames; an empty train frame is not fitted on, an empty test frame not tested on.
    resamples
        Of the intervals.

    Returns
    -------
    DataFrame
        fitted, tested and the columns of :func:`report`, one row a pair.
    """
    found = []
    for fitted, sides in simulators.items():
        if len(sides["train"]) < 2:
            continue
        forest = Discriminator.fit(people["train"], sides["train"])
        for tested, others in simulators.items():
            if len(others["test"]):
                table = scored(forest, people["test"], others["test"])
                found.append({"fitted": fitted, "tested": tested} | report(table, resamples=resamples))
    return pl.DataFrame(found)
