"""Fitness: every term of it from a batch's frames, with n, failures and an interval."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from workbench.measure import FEATURES
from workbench.measure.coverage import Cloud
from workbench.measure.discriminator import Discriminator
from workbench.measure.fingerprint import fingerprint
from workbench.measure.uncertainty import summarize
from workbench.simulate.batch import Batch
from workbench.simulate.seeds import derive

SCORES = {"task_id": pl.String, "score": pl.Float64}
EVEN = (0.5, 0.5)  # weights of HL and coverage in the score of held-out evaluation
COMPLETE = 0.8  # share of episodes that have to finish
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


def simulated(run: Path) -> pl.DataFrame:
    """Return the simulators' side of a run's discriminator.

    That is its base simulator on the train tasks, with the train side of one's own reference where it has one: the
    forest has to know the simulator that the search starts from, whatever others it is shown.
    """
    base = pl.read_parquet(run / "conditions" / "base_train" / "fingerprints.parquet").select(FEATURES)
    other = run / "reference" / "simulators.parquet"
    if not other.exists():
        return base
    return pl.concat([base, pl.read_parquet(other).filter(split="train").select(FEATURES)])


def measured(batch: Batch, reference: Reference) -> pl.DataFrame:
    """Fingerprint a batch's finished episodes and add ``likeness`` = P(human); sorted by dialogue_id."""
    prints = printed(batch)
    return prints.with_columns(likeness=reference.discriminator.likeness(prints))


def printed(batch: Batch) -> pl.DataFrame:
    """Fingerprint a batch's finished episodes; sorted by dialogue_id."""
    good = batch.episodes.filter(pl.col("error").is_null()).select("dialogue_id")
    return fingerprint(batch.turns.join(good, on="dialogue_id", how="semi")).sort("dialogue_id")


def terms(
    episodes: pl.DataFrame, prints: pl.DataFrame, reference: Reference, lambdas: tuple[float, float] = EVEN
) -> dict[str, Any]:
    """Compute a batch's fitness and its terms.

    Human-likeness is the mean P(human) over episodes; coverage the mean over tasks of each task's
    fingerprints; fitness λ_h·HL + λ_b·coverage. Each comes with the ends of its 95 % interval clustered
    by task. Failed episodes are in no mean, and are counted.
    """
    table = prints.join(episodes.select("dialogue_id", "task_id", "success"), on="dialogue_id")
    table = table.sort("task_id", "dialogue_id")
    tasks = task_scores(table, reference.cloud, lambdas)
    out: dict[str, Any] = interval("fitness", tasks["score"], tasks["task_id"])
    out |= interval("human_likeness", table["likeness"], table["task_id"])
    out |= interval("coverage", tasks["coverage"], tasks["task_id"])
    out |= interval("success", table["success"], table["task_id"])
    means = lambdas[0] * out["human_likeness"] + lambdas[1] * out["coverage"] if len(table) else 0.0
    return out | {
        "fitness": means,
        "lambda_h": lambdas[0],
        "lambda_b": lambdas[1],
        "n_episodes": len(episodes),
        "n_failed": int(episodes["error"].is_not_null().sum()),
        "n_faults": int(episodes["fault"].is_not_null().sum()),
        "n_tasks": len(tasks),
    }


def task_scores(table: pl.DataFrame, cloud: Cloud, lambdas: tuple[float, float] = EVEN) -> pl.DataFrame:
    """Return HL, coverage and score of each task, from fingerprints with ``task_id`` and ``likeness``."""
    likeness = table.group_by("task_id").agg(human_likeness=pl.col("likeness").sort().mean())
    scored = cloud.by_task(table).join(likeness, on="task_id").sort("task_id")
    score = lambdas[0] * pl.col("human_likeness") + lambdas[1] * pl.col("coverage")
    return scored.with_columns(score=score)


def interval(name: str, values: pl.Series, tasks: pl.Series) -> dict[str, float | None]:
    """Return a mean and the ends of its interval clustered by task, as ``name``, ``name_low``, ``name_high``.

    What cannot be said is None: JSON and frames have no NaN.
    """
    found = summarize(values, tasks)
    ends = {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
    return {key: value if math.isfinite(value) else None for key, value in ends.items()}


def subsets(frame: pl.DataFrame, n: int, draws: int, seed: int) -> list[pl.DataFrame]:
    """Draw rows of a frame, ``n`` at a time, in their order; a frame that has no more is drawn once, whole."""
    if len(frame) <= n:
        return [frame]
    rng = random.Random(seed)
    return [frame[sorted(rng.sample(range(len(frame)), n))] for _ in range(draws)]


def score_at(
    prints: pl.DataFrame, episodes: pl.DataFrame, reference: Reference, n: int, seed: int, lambda_b: float
) -> pl.DataFrame:
    """Score each task as if it had ``n`` personas: (1 - λ_b)·HL + λ_b·coverage of subsets of n, with the final λ_b.

    Coverage grows with N by itself, so candidates of different curriculum stages are compared at one N.

    Returns
    -------
    DataFrame
        task_id and score, sorted by task_id.
    """
    table = prints.join(episodes.select("dialogue_id", "task_id"), on="dialogue_id")
    table = table.sort("task_id", "dialogue_id")
    scores: dict[str, float] = {}
    for key, frame in table.partition_by("task_id", as_dict=True, maintain_order=True).items():
        draws = subsets(frame, n, SUBSETS, derive(seed, "subset", key[0], n))
        cover = sum(reference.cloud.coverage(d) for d in draws) / len(draws)
        likeness = float(frame["likeness"].sort().to_numpy().mean())
        scores[str(key[0])] = (1 - lambda_b) * likeness + lambda_b * cover
    return pl.DataFrame({"task_id": list(scores), "score": list(scores.values())}, schema=SCORES)


def rank_of(scores: pl.DataFrame, baseline: pl.DataFrame) -> dict[str, float | None]:
    """Return the rank and its interval: task scores as gains over the first program's, on top of its mean.

    Tasks differ more than programs do (one window's coverage can be twice another's), so candidates of
    different windows are compared by what they gain on each task, not by what they get.
    """
    paired = scores.join(baseline.rename({"score": "first"}), on="task_id").sort("task_id")
    gains = paired["score"] - paired["first"] + float(baseline["score"].to_numpy().mean())
    return interval("rank", gains, paired["task_id"])


def frames_of(batch: Batch, prints: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return a batch's frames as they are kept, with ``likeness`` in the episodes."""
    likeness = prints.select("dialogue_id", "likeness")
    episodes = batch.episodes.drop("likeness").join(likeness, on="dialogue_id", how="left")
    return {
        "personas": batch.personas,
        "episodes": episodes.sort("dialogue_id"),
        "turns": batch.turns,
        "fingerprints": prints.select("dialogue_id", *FEATURES),
    }


def enough(finished: Mapping[str, Any]) -> bool:
    """Whether enough episodes finished for a candidate to be scored as complete."""
    return finished["n_episodes"] > 0 and finished["n_failed"] <= (1 - COMPLETE) * finished["n_episodes"]
