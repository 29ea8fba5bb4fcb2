"""The people and personas of a run as points: one row a conversation, and what a selection of them has in common."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workbench.evolve.run import Run
from workbench.measure import FEATURES
from workbench.show import style
from workbench.show.style import FEATURE_NAMES, Look
from workbench.traces import read_traces

LAYERS = ("humans", "base", "dp", "initial", "evolved", "search")
# On the map the thousands of candidates lie among the evolved program, which elsewhere shares their look.
LOOKS = style.LOOKS | {"search": Look("Search candidates", "#A89CC8", "triangle-right", "▶")}
MOST_DRAWN = 10_000
GROUPS = 7
SAMPLE = 4_000  # points that groups are fitted on at most


def points(run: Run) -> pl.DataFrame:
    """Return one row a conversation: dialogue_id, layer, generation, candidate, task, persona, scores, 19 features.

    ``layer`` is humans, base, dp, initial, evolved, or search for candidates' own batches; ``generation`` is -1
    where there is none. ``axes`` are those placed true. Sorted, so that rows keep their places.
    """
    people = run.humans.lazy().with_columns(
        layer=pl.lit("humans"), task_id=pl.col("tau2_task_id").cast(pl.String)
    )
    if "reward" in run.humans.columns:
        people = people.with_columns(success=pl.col("reward") >= 1)
    on = pl.element().struct.field("axis").filter(pl.element().struct.field("on"))
    key = ["candidate_id", "split", "task_id", "persona_id"]
    personas = run.personas.select(*key, "policy", axes=pl.col("axis_placement").list.eval(on))
    generation = run.candidates.lazy().select("candidate_id", "generation", condition=pl.lit("search"))
    simulated = (
        run.episodes.filter(pl.col("error").is_null(), pl.col("condition").is_in(LAYERS))
        .join(run.fingerprints.select("dialogue_id", *FEATURES), on="dialogue_id")
        .join(generation, on=["candidate_id", "condition"], how="left")
        .join(personas.unique(key, keep="first"), on=key, how="left", nulls_equal=True)
        .with_columns(layer="condition")
    )
    texts = ("dialogue_id", "layer", "split", "candidate_id", "task_id", "persona_id", "fault", "policy")
    schema: dict[str, Any] = dict.fromkeys(texts, pl.String) | {
        "generation": pl.Int32,
        "likeness": pl.Float64,
    }
    schema |= {"success": pl.Boolean, "axes": pl.List(pl.String)} | dict.fromkeys(FEATURES, pl.Float64)
    frames = []
    for frame in (people, simulated):
        have = frame.collect_schema().names()
        cells = [
            (pl.col(n) if n in have else pl.lit(None)).cast(kind, strict=False).alias(n)
            for n, kind in schema.items()
        ]
        frames.append(frame.select(cells))
    order = pl.col("layer").replace_strict(LAYERS, range(len(LAYERS)), return_dtype=pl.Int32)
    both = pl.concat(frames).with_columns(pl.col("generation").fill_null(-1))
    return both.sort(order, "generation", "dialogue_id").collect()


def numbers(frame: pl.DataFrame) -> np.ndarray:
    """Return each row's layer as its place in ``LAYERS``."""
    return frame["layer"].replace_strict(LAYERS, range(len(LAYERS)), return_dtype=pl.UInt8).to_numpy()


def people_turns(run: Run) -> pl.LazyFrame | None:
    """Return the turns of the people behind a run, where WORKBENCH_TRACES names a folder that holds them."""
    folder = os.environ.get("WORKBENCH_TRACES")
    path = Path(folder or "-") / "human" / f"{run.settings.domain}.jsonl"
    return _read(path) if path.is_file() else None


_read = lru_cache(maxsize=2)(read_traces)


def said(run: Run, frame: pl.DataFrame) -> pl.Series:
    """Return what the user of each conversation said, a message a line; null where its words are not here."""
    people = people_turns(run)
    columns = ("dialogue_id", "turn", "role", "content")
    turns = [t.select(columns) for t in (run.turns, people) if t is not None]
    spoken = pl.concat(turns).filter(role="user").sort("dialogue_id", "turn")
    texts = spoken.group_by("dialogue_id").agg(said=pl.col("content").str.join("\n")).collect()
    return frame.select("dialogue_id").join(texts, on="dialogue_id", how="left", maintain_order="left")[
        "said"
    ]


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


def takeaway(vectors: np.ndarray, layer: np.ndarray) -> str:
    """Say in a line how much of the people each layer of personas comes near to."""
    people = layer == LAYERS.index("humans")
    found = {
        name: share
        for i, name in enumerate(LAYERS)
        if (share := share_covered(vectors, people, layer == i)) is not None
    }
    if not found:
        return "Only people so far: no simulated conversation has finished."
    shown = found if set(found) == {"search"} else {k: v for k, v in found.items() if k != "search"}
    parts = [f"{LOOKS[name].name} {share:.0%}" for name, share in shown.items()]
    return f"Share of people with someone as near as people are to each other: {', '.join(parts)}."


def clusters(
    vectors: np.ndarray, fit: np.ndarray, have: np.ndarray, prints: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Group points and name each group by the two features of behavior that tell it most.

    Parameters
    ----------
    vectors
        What is mapped: groups are k-means centers of the rows in ``fit``.
    fit, have
        Rows to fit on, and rows that have a vector at all.
    prints
        Standardized fingerprints, which the names come from.

    Returns
    -------
    tuple
        The group of each row (-1: none), and the names; empty for a group too small to name.
    """
    from scipy.cluster.vq import kmeans2, vq

    group = np.full(len(vectors), -1, dtype=np.int32)
    rows = np.flatnonzero(fit & have)
    rows = rows if len(rows) <= SAMPLE else np.random.default_rng(0).choice(rows, SAMPLE, replace=False)
    count = min(GROUPS, len(rows))
    if count < 2:
        return group, []
    clipped = np.clip(vectors, -4, 4)
    centers, _ = kmeans2(clipped[rows], count, minit="++", seed=0)
    group[have] = vq(clipped[have], centers)[0]
    features, labels = list(FEATURE_NAMES.values()), []
    for k in range(count):
        enough = (group == k).sum() >= max(5, 0.01 * have.sum())
        found = telling(np.clip(prints, -4, 4)[have], group[have] == k, features, 2) if enough else []
        labels.append(", ".join(f"{'more' if gap > 0 else 'less'} {name}" for name, gap in found))
    return group, labels
