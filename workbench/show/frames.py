"""The frames behind the charts: scores by generation, references, conditions, archive cells."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from workbench.evolve.conditions import table
from workbench.evolve.run import Run

SCORES = ("rank", "human_likeness", "coverage")


def generations(runs: Sequence[Run]) -> pl.DataFrame:
    """Return the scores of accepted candidates by generation, one row a (run, candidate, split, term).

    ``rank`` is what the search compares by: 0.5·HL + 0.5·coverage at the first stage's N, as the gain over
    the first program on the same tasks. Its validation counterpart averages over the stages' N.
    ``best`` is the value that the best-ranked candidate so far had; null for validation.
    """
    frames = []
    for run in runs:
        found = run.candidates.filter(status="accepted").sort("candidate_id")
        keep = ["candidate_id", "generation", "new_best", "n_personas", "island"]
        for split, prefix in (("train", ""), ("validation", "validation_")):
            for term in SCORES:
                source = "validation_score" if (split, term) == ("validation", "rank") else f"{prefix}{term}"
                low, high = (f"{source}_low", f"{source}_high")
                bounds = [
                    (pl.col(name) if name in found.columns else pl.lit(None, pl.Float64)).alias(end)
                    for name, end in ((low, "low"), (high, "high"))
                ]
                best = pl.when(pl.col("new_best")).then(pl.col(source)).forward_fill()
                frames.append(
                    found.select(
                        *keep,
                        pl.lit(run.run_id).alias("run"),
                        pl.lit(run.settings.seed).alias("seed"),
                        pl.lit(split).alias("split"),
                        pl.lit(term).alias("term"),
                        pl.col(source).alias("value"),
                        *bounds,
                        (best if split == "train" else pl.lit(None, pl.Float64)).alias("best"),
                    )
                )
    return pl.concat(frames).filter(pl.col("value").is_not_null())


def references(run: Run) -> pl.DataFrame:
    """Return where humans and the base simulator stand on held-out tasks: condition, term, value, low, high.

    At equal N for coverage, as candidates have several personas a task. Empty before ``evaluate``.
    """
    found = conditions(run).filter(pl.col("condition").is_in(["humans", "base"])) if run.conditions else None
    schema = {"condition": pl.String, "term": pl.String, "value": pl.Float64}
    if found is None:
        return pl.DataFrame(schema=schema | {"low": pl.Float64, "high": pl.Float64})
    terms = {"score_equal_n": "rank", "human_likeness": "human_likeness", "coverage_equal_n": "coverage"}
    return (
        found.filter(pl.col("term").is_in(list(terms)))
        .with_columns(pl.col("term").replace_strict(terms))
        .select("condition", "term", "value", "low", "high")
    )


def conditions(run: Run) -> pl.DataFrame:
    """Return the held-out comparison in long form: condition, term, value, low, high, episodes, failed, faulty."""
    wide = table(run)
    terms = [c for c in wide.columns if f"{c}_low" in wide.columns]
    rows = [
        wide.select(
            "condition",
            pl.lit(term).alias("term"),
            pl.col(term).alias("value"),
            pl.col(f"{term}_low").alias("low"),
            pl.col(f"{term}_high").alias("high"),
            pl.col("n_episodes").alias("episodes"),
            pl.col("n_failed").alias("failed"),
            pl.col("n_faults").alias("faulty"),
        )
        for term in terms
    ]
    dims = [
        wide.select(
            "condition",
            pl.lit(d).alias("term"),
            (pl.col(d) / 100).alias("value"),
            pl.lit(None, pl.Float64).alias("low"),
            pl.lit(None, pl.Float64).alias("high"),
            pl.col("n_episodes").alias("episodes"),
            pl.col("n_failed").alias("failed"),
            pl.col("n_faults").alias("faulty"),
        )
        for d in ("D1", "D2", "D3", "D4")
    ]
    return pl.concat([*rows, *dims]).filter(pl.col("value").is_not_null())


def cells(run: Run) -> pl.DataFrame:
    """Return the archive's cells over all islands: x (HL bin), y (coverage bin), occupant, rank, arrivals."""
    found = run.candidates.filter(pl.col("cell").is_not_null())
    return (
        found.with_columns(x=pl.col("cell").list.get(0), y=pl.col("cell").list.get(1))
        .sort("rank", "candidate_id", descending=[True, False])
        .group_by("x", "y", maintain_order=True)
        .agg(
            occupant=pl.col("candidate_id").first(),
            rank=pl.col("rank").first(),
            arrivals=pl.len(),
            first_generation=pl.col("generation").min(),
        )
        .sort("x", "y")
    )


def episodes(run: Run) -> pl.DataFrame:
    """Return one row a persona of the held-out conditions: HL, success and fault of its conversation."""
    keep = ["dialogue_id", "condition", "task_id", "persona_id", "likeness", "success", "fault", "ended_by"]
    found = run.episodes.filter(pl.col("split") == "test", pl.col("error").is_null()).select(keep)
    return found.sort("dialogue_id").collect()
