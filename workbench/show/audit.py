"""Frames that question a score: λ, what each axis adds, raw against standardized coverage, two runs side by side."""

from __future__ import annotations

from typing import Any

import polars as pl

from workbench.evolve.conditions import by_task
from workbench.evolve.run import Run
from workbench.measure.uncertainty import summarize


def lambda_ranks(run: Run, steps: int = 11) -> pl.DataFrame:
    """Return the rank of each accepted candidate as the weight of coverage goes from 0 to 1.

    Columns: candidate_id, weight, score = (1 - weight)·HL + weight·coverage, rank (1 is best), best (whether
    selection names it). From each candidate's own batch; nothing is simulated anew.
    """
    good = run.candidates.filter(status="accepted").select("candidate_id", "human_likeness", "coverage")
    weights = pl.DataFrame({"weight": [i / (steps - 1) for i in range(steps)]})
    score = (1 - pl.col("weight")) * pl.col("human_likeness") + pl.col("weight") * pl.col("coverage")
    best = run.best if len(good) else ""
    return (
        good.join(weights, how="cross")
        .with_columns(score=score)
        .with_columns(rank=pl.col("score").rank("ordinal", descending=True).over("weight").cast(pl.Int32))
        .with_columns(best=pl.col("candidate_id") == best)
        .select("candidate_id", "weight", "score", "rank", "best")
        .sort("candidate_id", "weight")
    )


def axis_effects(run: Run) -> pl.DataFrame:
    """Return what placing an axis true does to P(human) and to success, within candidate and task.

    Columns: axis, pairs (candidates × tasks in which both placements occur), likeness with _low and _high, success
    with _low and _high: mean differences true − false with 95 % intervals clustered by task.
    """
    key = ["candidate_id", "split", "task_id", "persona_id"]
    episodes = run.episodes.filter(pl.col("condition") == "search", pl.col("error").is_null())
    placed = run.personas.select(*key, "axis_placement").explode("axis_placement").unnest("axis_placement")
    terms = ("likeness", "success")
    cells = (
        placed.filter(pl.col("axis").is_not_null())
        .join(episodes.select(*key, "likeness", pl.col("success").cast(pl.Float64)), on=key)
        .group_by("axis", "candidate_id", "task_id")
        .agg(
            pl.col(t).filter(pl.col("on")).sort().mean() - pl.col(t).filter(~pl.col("on")).sort().mean()
            for t in terms
        )
        .sort("axis", "candidate_id", "task_id")
        .collect()
    )
    rows = []
    for (axis,), part in cells.partition_by("axis", as_dict=True, maintain_order=True).items():
        row: dict[str, Any] = {"axis": axis}
        for term in terms:
            known = part.filter(pl.col(term).is_not_null())
            found = summarize(known[term], known["task_id"]) if len(known) else None
            row["pairs"] = len(known)
            row |= {
                term: found and found.mean,
                f"{term}_low": found and found.low,
                f"{term}_high": found and found.high,
            }
        rows.append(row)
    schema: dict[str, Any] = {"axis": pl.String, "pairs": pl.Int32}
    schema |= {f"{t}{end}": pl.Float64 for t in terms for end in ("", "_low", "_high")}
    return (
        pl.DataFrame(rows, schema=schema)
        .filter(pl.col("pairs") > 0)
        .sort("likeness", "axis", descending=[True, False])
    )


def coverages(run: Run) -> pl.DataFrame:
    """Return coverage of each held-out condition by three rules: the paper's, at equal N, and standardized at equal N.

    Raw coverage is carried by the two features of length; standardized gives each of the 19 the same say.
    """
    rows = []
    for name, found in run.conditions.items():
        if name == "humans":
            continue
        scaled = by_task(run, name, standardize=True)
        rows.append(
            {
                "condition": name,
                "paper": found["coverage"],
                "equal N": found["coverage_equal_n"],
                "standardized, equal N": float(scaled["coverage"].to_numpy().mean()),
            }
        )
    return pl.DataFrame(rows)


def differences(a: Run, b: Run) -> pl.DataFrame:
    """Return what two runs differ in, and only that: settings, and held-out results of each condition.

    Columns: what, a, b as text.
    """
    left, right = a.settings.as_json(), b.settings.as_json()
    rows = [
        {"what": f"setting {k}", "a": str(left[k]), "b": str(right.get(k))}
        for k in left
        if left[k] != right.get(k)
    ]
    terms = ("score_equal_n", "human_likeness", "coverage_equal_n", "success", "n_faults", "n_failed")
    for name in sorted({*a.conditions, *b.conditions}):
        mine, theirs = a.conditions.get(name, {}), b.conditions.get(name, {})
        for term in terms:
            x, y = (_text(c.get(term), c.get(f"{term}_low"), c.get(f"{term}_high")) for c in (mine, theirs))
            if x != y:
                rows.append({"what": f"{name}: {term}", "a": x, "b": y})
    return pl.DataFrame(rows, schema={"what": pl.String, "a": pl.String, "b": pl.String})


def _text(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:.3f}".removesuffix(".000")
    return f"{value:.3f} ± {(high - low) / 2:.3f}"
