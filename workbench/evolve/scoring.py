"""Fitness: every term of it from a batch's frames, with n, failures and an interval."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from workbench.measure.coverage import Cloud
from workbench.measure.discriminator import Discriminator
from workbench.measure.fingerprint import FEATURES, fingerprint
from workbench.measure.uncertainty import summarize
from workbench.simulate.batch import Batch
from workbench.simulate.seeds import derive

SUBSETS = 16  # draws that average coverage over smaller populations


@dataclass(frozen=True)
class Reference:
    """What a run measures against: human train fingerprints, the frozen discriminator, the human cloud."""

    humans: pl.DataFrame
    discriminator: Discriminator
    cloud: Cloud

    @classmethod
    def fit(cls, humans: pl.DataFrame, base: pl.DataFrame, *, standardize: bool) -> Reference:
        """Fit on human train fingerprints and the base simulator's episodes of train tasks."""
        return cls(humans, Discriminator.fit(humans, base), Cloud(humans, standardize=standardize))


def measured(batch: Batch, reference: Reference) -> pl.DataFrame:
    """Fingerprint a batch's finished episodes and add ``likeness`` = P(human); sorted by dialogue_id."""
    good = batch.episodes.filter(pl.col("error").is_null()).select("dialogue_id")
    prints = fingerprint(batch.turns.join(good, on="dialogue_id", how="semi")).sort("dialogue_id")
    if prints.is_empty():
        return prints.with_columns(likeness=pl.lit(None, pl.Float64))
    return prints.with_columns(likeness=reference.discriminator.likeness(prints))


def terms(
    episodes: pl.DataFrame, prints: pl.DataFrame, reference: Reference, lambdas: tuple[float, float]
) -> dict[str, Any]:
    """Compute a batch's fitness and its terms.

    Human-likeness is the mean P(human) over episodes; coverage the mean over tasks of each task's
    fingerprints; fitness λ_h·HL + λ_b·coverage. Each comes with the ends of its 95 % interval clustered
    by task. Failed episodes are in no mean, and are counted.
    """
    table = prints.join(episodes.select("dialogue_id", "task_id", "success", "fault"), on="dialogue_id")
    tasks = table.sort("task_id", "dialogue_id").partition_by("task_id", as_dict=True, maintain_order=True)
    by_task = {str(key[0]): frame for key, frame in tasks.items()}
    likeness = summarize(table["likeness"], table["task_id"])
    coverages = {task: reference.cloud.coverage(frame) for task, frame in by_task.items()}
    coverage = summarize(pl.Series(list(coverages.values()), dtype=pl.Float64), pl.Series(list(coverages)))
    success = summarize(table["success"].cast(pl.Float64), table["task_id"])
    out: dict[str, Any] = {
        "fitness": lambdas[0] * likeness.mean + lambdas[1] * coverage.mean if len(table) else 0.0,
        "lambda_h": lambdas[0],
        "lambda_b": lambdas[1],
        "n_episodes": len(episodes),
        "n_failed": int(episodes["error"].is_not_null().sum()),
        "n_faults": int(episodes["fault"].is_not_null().sum()),
        "n_tasks": len(by_task),
    }
    for name, value in (("human_likeness", likeness), ("coverage", coverage), ("success", success)):
        out |= {name: value.mean, f"{name}_low": value.low, f"{name}_high": value.high}
    return out


def score_at(prints: pl.DataFrame, episodes: pl.DataFrame, reference: Reference, n: int, seed: int) -> float:
    """Score a batch as if it had ``n`` personas a task: 0.5·HL + 0.5·coverage of subsets of n.

    Coverage grows with N by itself, so candidates of different curriculum stages are compared at one N.
    """
    if prints.is_empty():
        return 0.0
    table = prints.join(episodes.select("dialogue_id", "task_id"), on="dialogue_id").sort(
        "task_id", "dialogue_id"
    )
    found = []
    for key, frame in table.partition_by("task_id", as_dict=True, maintain_order=True).items():
        if len(frame) <= n:
            found.append(reference.cloud.coverage(frame))
            continue
        rng = random.Random(derive(seed, "subset", key[0], n))
        draws = [frame[sorted(rng.sample(range(len(frame)), n))] for _ in range(SUBSETS)]
        found.append(sum(reference.cloud.coverage(d) for d in draws) / SUBSETS)
    likeness = float(table["likeness"].mean() or 0.0)  # type: ignore[arg-type]
    return 0.5 * likeness + 0.5 * sum(found) / len(found)


def features_only(prints: pl.DataFrame) -> pl.DataFrame:
    """Keep ``dialogue_id`` and the 19 features."""
    return prints.select("dialogue_id", *FEATURES)


def at_least(finished: Mapping[str, Any], share: float = 0.8) -> bool:
    """Whether enough episodes finished for a candidate to be scored as complete."""
    return finished["n_episodes"] > 0 and finished["n_failed"] <= (1 - share) * finished["n_episodes"]
