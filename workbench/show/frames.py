"""The frames behind the charts: scores by generation, references, conditions, archive cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

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
        about = {"run": pl.lit(run.run_id), "seed": pl.lit(run.settings.seed)}
        for split, term in product(("train", "validation"), SCORES):
            trained = split == "train"
            source = term if trained else f"validation_{'score' if term == 'rank' else term}"
            null = pl.lit(None, pl.Float64)  # validation has no interval
            bounds = {end: pl.col(f"{source}_{end}") if trained else null for end in ("low", "high")}
            best = pl.when("new_best").then(source).forward_fill() if trained else null
            what = {"split": pl.lit(split), "term": pl.lit(term), "value": pl.col(source)}
            frames.append(found.select(*keep, **about, **what, **bounds, best=best))
    return pl.concat(frames).filter(pl.col("value").is_not_null())


def references(run: Run) -> pl.DataFrame:
    """Return where humans and the base simulator stand on held-out tasks: condition, term, value, low, high.

    At equal N for coverage, as candidates have several personas a task. Empty before ``evaluate``.
    """
    if not run.conditions:
        schema = {"condition": pl.String, "term": pl.String, "value": pl.Float64}
        return pl.DataFrame(schema=schema | {"low": pl.Float64, "high": pl.Float64})
    terms = {"score_equal_n": "rank", "human_likeness": "human_likeness", "coverage_equal_n": "coverage"}
    found = conditions(run).filter(pl.col("condition").is_in(["humans", "base"]), pl.col("term").is_in(terms))
    return found.select("condition", pl.col("term").replace_strict(terms), "value", "low", "high")


def over_seeds(frame: pl.DataFrame) -> pl.DataFrame:
    """Return mean, low and high (worst and best run) of the best so far over runs: term, generation, runs and those.

    ``frame`` is that of ``generations``. A run counts up to its own last generation.
    """
    train = frame.filter(split="train").sort("run", "term", "candidate_id")
    ends = train.group_by("run", "term", "generation", maintain_order=True).agg(pl.col("best").last())
    last = ends.group_by("run", "term", maintain_order=True).agg(last=pl.col("generation").max())
    until = pl.int_ranges(pl.col("last") + 1, dtype=pl.Int32)
    grid = last.with_columns(generation=until).explode("generation")
    filled = grid.join(ends, on=["run", "term", "generation"], how="left", maintain_order="left")
    filled = filled.with_columns(pl.col("best").forward_fill().over("run", "term"))
    best = pl.col("best").sort()
    return (
        filled.group_by("term", "generation", maintain_order=True)
        .agg(runs=pl.len(), mean=best.mean(), low=best.min(), high=best.max())
        .sort("term", "generation")
    )


def conditions(run: Run) -> pl.DataFrame:
    """Return the held-out comparison in long form: condition, term, value, low, high, sound, episodes, failed, faulty.

    ``sound`` is the value without faulty episodes, null where it is not measured. D1-D4 are shares here.
    """
    wide = table(run)
    null = pl.lit(None, pl.Float64)
    counts = {"episodes": "n_episodes", "failed": "n_failed", "faulty": "n_faults"}

    def rows(term: str, by: float = 1.0) -> pl.DataFrame:
        ends = {
            e: pl.col(f"{term}_{e}") if f"{term}_{e}" in wide.columns else null
            for e in ("low", "high", "sound")
        }
        return wide.select("condition", term=pl.lit(term), value=pl.col(term) / by, **ends, **counts)

    terms = [c for c in wide.columns if f"{c}_low" in wide.columns]
    frames = [*map(rows, terms), *(rows(d, 100.0) for d in ("D1", "D2", "D3", "D4"))]
    return pl.concat(frames).filter(pl.col("value").is_not_null())


def outcomes(episodes: pl.DataFrame) -> pl.DataFrame:
    """Return how simulated conversations end, by fifth of P(human): fifth, outcome, episodes, share.

    ``episodes`` is that of :func:`episodes`. Outcomes: ``success``; ``user's fault``, when it failed and the simulated user
    spoiled its own task; ``agent's fault``, when it failed and no fault was found in the user.
    """
    outcome = (
        pl.when(pl.col("success"))
        .then(pl.lit("success"))
        .when(pl.col("fault").is_not_null())
        .then(pl.lit("user's fault"))
        .otherwise(pl.lit("agent's fault"))
    )
    known = episodes.filter(pl.col("likeness").is_not_null(), pl.col("success").is_not_null())
    fifth = ((pl.col("likeness") * 5).floor().clip(0, 4) / 5).alias("fifth")
    found = known.group_by(fifth, outcome.alias("outcome")).agg(episodes=pl.len()).sort("fifth", "outcome")
    return found.with_columns(share=pl.col("episodes") / pl.col("episodes").sum().over("fifth"))


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
