"""The people and personas of a run as points: one row a conversation, and what a selection of them has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from workbench.evolve.run import Run
from workbench.measure import FEATURES
from workbench.show.style import FEATURE_NAMES

LAYERS = ("humans", "base", "dp", "initial", "evolved", "search")
MOST_DRAWN = 10_000


def points(run: Run) -> pl.DataFrame:
    """Return one row a conversation: dialogue_id, layer, generation, candidate, task, persona, scores, 19 features.

    ``layer`` is humans, base, dp, initial, evolved, or search for candidates' own batches; ``generation`` is -1
    where there is none. ``axes`` are those placed true. Sorted, so that rows keep their places.
    """
    people = run.humans.with_columns(
        layer=pl.lit("humans"),
        task_id=pl.col("tau2_task_id").cast(pl.String),
        success=(pl.col("reward") >= 1) if "reward" in run.humans.columns else pl.lit(None, pl.Boolean),
    )
    generation = run.candidates.select("candidate_id", "generation")
    axes = run.personas.select(
        "candidate_id",
        "split",
        "task_id",
        "persona_id",
        "policy",
        "description",
        axes=pl.col("axis_placement")
        .list.eval(pl.when(pl.element().struct.field("on")).then(pl.element().struct.field("axis")))
        .list.drop_nulls(),
    ).with_columns(pl.col("candidate_id").fill_null(""))
    about = run.episodes.filter(pl.col("error").is_null()).select(
        "dialogue_id",
        "condition",
        "split",
        "candidate_id",
        "task_id",
        "persona_id",
        "likeness",
        "success",
        "fault",
    )
    simulated = (
        run.fingerprints.join(about, on="dialogue_id")
        .filter(pl.col("condition").is_in(LAYERS))
        .collect()
        .join(generation, on="candidate_id", how="left")
    )
    policies = axes.unique(["candidate_id", "split", "task_id", "persona_id"], keep="first").collect()
    simulated = simulated.with_columns(key=pl.col("candidate_id").fill_null("")).join(
        policies,
        left_on=["key", "split", "task_id", "persona_id"],
        right_on=["candidate_id", "split", "task_id", "persona_id"],
        how="left",
    )
    simulated = simulated.with_columns(
        layer=pl.col("condition"),
        generation=pl.when(pl.col("condition") == "search").then(pl.col("generation")).otherwise(None),
    )
    columns: dict[str, Any] = {
        "dialogue_id": pl.String,
        "layer": pl.String,
        "generation": pl.Int32,
        "split": pl.String,
        "candidate_id": pl.String,
        "task_id": pl.String,
        "persona_id": pl.String,
        "likeness": pl.Float64,
        "success": pl.Boolean,
        "fault": pl.String,
        "axes": pl.List(pl.String),
        "policy": pl.String,
        **dict.fromkeys(FEATURES, pl.Float64),
    }

    def shape(frame: pl.DataFrame) -> pl.DataFrame:
        have = [
            (pl.col(n) if n in frame.columns else pl.lit(None)).cast(kind, strict=False).alias(n)
            for n, kind in columns.items()
        ]
        return frame.select(have)

    both = pl.concat([shape(people), shape(simulated)]).with_columns(pl.col("generation").fill_null(-1))
    order = pl.col("layer").replace_strict({name: i for i, name in enumerate(LAYERS)}, return_dtype=pl.Int32)
    return both.sort(order, "generation", "dialogue_id")


def reference(frame: pl.DataFrame) -> np.ndarray:
    """Return which rows a layout is fitted on: all but the batches of generations after the first."""
    return (frame["generation"] <= 0).to_numpy()


def drawn(layers: Sequence[int] | np.ndarray, most: int = MOST_DRAWN) -> np.ndarray:
    """Return which rows are drawn when there are too many: the same share of each layer, at random but steady."""
    layer = np.asarray(layers)
    if len(layer) <= most:
        return np.arange(len(layer), dtype=np.uint32)
    rng, share, out = np.random.default_rng(0), most / len(layer), []
    for value in np.unique(layer):
        rows = np.flatnonzero(layer == value)
        out.append(rng.choice(rows, max(1, int(len(rows) * share)), replace=False))
    return np.sort(np.concatenate(out)).astype(np.uint32)


def telling(
    vectors: np.ndarray, inside: np.ndarray, names: Sequence[str], most: int = 5
) -> list[tuple[str, float]]:
    """Return what tells a selection from the rest: feature and difference of means in standard deviations."""
    if not inside.any() or inside.all():
        return []
    spread = vectors.std(axis=0)
    gap = (vectors[inside].mean(axis=0) - vectors[~inside].mean(axis=0)) / np.where(
        spread > 1e-9, spread, 1.0
    )
    order = np.argsort(-np.abs(gap), kind="stable")[:most]
    return [(names[i], float(gap[i])) for i in order if abs(gap[i]) > 0.1]


def share_covered(vectors: np.ndarray, people: np.ndarray, inside: np.ndarray) -> float | None:
    """Return the share of people who have one of the selection as near as people have each other.

    Near is the median distance of a person to the nearest other person, in the space of the fingerprints.
    """
    chosen = vectors[inside & ~people]
    crowd = vectors[people]
    if len(chosen) == 0 or len(crowd) < 2:
        return None
    from scipy.spatial import cKDTree

    near = np.median(cKDTree(crowd).query(crowd, k=2)[0][:, 1])
    return float((cKDTree(chosen).query(crowd, k=1)[0] <= near).mean())


def nearest(vectors: np.ndarray, at: int, among: np.ndarray, most: int = 8) -> list[tuple[int, float]]:
    """Return the rows nearest to one, in the original space: row and distance."""
    rows = np.flatnonzero(among)
    rows = rows[rows != at]
    distance = np.linalg.norm(vectors[rows] - vectors[at], axis=1)
    order = np.argsort(distance, kind="stable")[:most]
    return [(int(rows[i]), float(distance[i])) for i in order]


def clusters(vectors: np.ndarray, fit: np.ndarray, count: int = 7) -> tuple[np.ndarray, list[str]]:
    """Group points and name each group by its two most telling features.

    ``vectors`` are standardized fingerprints; groups are k-means centers of the rows in ``fit``.
    """
    from sklearn.cluster import KMeans

    count = min(count, int(fit.sum()))
    if count < 2:
        return np.zeros(len(vectors), dtype=np.int32), ["everyone"]
    clipped = np.clip(vectors, -4, 4)
    model = KMeans(count, n_init=4, random_state=0).fit(clipped[fit])
    group = model.predict(clipped).astype(np.int32)
    names = list(FEATURE_NAMES.values())
    labels = []
    for k in range(count):
        found = telling(clipped, group == k, names, 2)
        labels.append(
            ", ".join(f"{'more' if gap > 0 else 'less'} {name}" for name, gap in found) or "like the rest"
        )
    return group, labels
