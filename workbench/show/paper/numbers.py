"""The numbers behind the paper's tables and figures: frames from a matrix's frames, nothing typed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.alignment import alignment
from workbench.measure.reference import DATA
from workbench.measure.uncertainty import Comparison, compare
from workbench.show.style import LOOKS

MAIN = "main"
SIMULATED = ("base", "dp", "initial", "evolved")
PAPER = ("humans", *SIMULATED)
CELL = ("domain", "simulator")
ALIGNMENT = ("D1", "D2", "D3", "D4", "USI_D1_D4")
MEASURES = ("human_likeness", "coverage", "score", *ALIGNMENT)
TESTED = ("human_likeness", "coverage", "score")
METHODS = {
    "Humans": "humans",
    "Base-simulator": "base",
    "DP Personas": "dp",
    "PPol: Initial": "initial",
    "PPol: Evolved": "evolved",
}
"""The paper's names of conditions."""

ORDER = pl.col("condition").replace_strict({c: i for i, c in enumerate(LOOKS)})


def main(matrix: Any, *, equal_n: bool) -> pl.DataFrame:
    """Return the main results, one row a planned (domain, simulator, condition), done or not.

    Returns
    -------
    DataFrame
        domain, simulator, condition, seeds (that have it), planned, for each of :data:`MEASURES` its mean and
        ``_std`` over seeds (null with one), p-values of the paired test by task, adjusted by Holm over the table
        (``_vs_base``; ``_vs_initial`` for evolved), and run_id.
    """
    frame = equal(matrix) if equal_n else matrix.conditions.filter(search=MAIN)
    by = [*CELL, "condition"]
    found = over_seeds(frame, by, MEASURES)
    table = planned(matrix).join(found, on=by, how="left").with_columns(pl.col("seeds").fill_null(0))
    table = table.sort(*CELL, ORDER)
    tests = {}
    for i, row in enumerate(table.to_dicts()):
        others = ["base"] if row["condition"] not in ("humans", "base") else []
        others += ["initial"] if row["condition"] == "evolved" else []
        for other, m in product(others, TESTED):
            if got := paired(matrix.by_task, row, {"condition": other}, m if equal_n else f"{m}_paper"):
                tests[i, f"{m}_vs_{other}"] = got.p
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    return table.with_columns(
        pl.Series(name, [adjusted.get((i, name)) for i in range(len(table))], pl.Float64)
        for name in (f"{m}_vs_{other}" for other, m in product(("base", "initial"), TESTED))
    )


def equal(matrix: Any) -> pl.DataFrame:
    """Return each seed's numbers with every condition at the same N: the base simulator by all its runs of a task."""
    keys = [*CELL, "seed", "condition"]
    frame = matrix.conditions.filter(search=MAIN)
    tasks = (
        matrix.by_task.filter(search=MAIN)
        .group_by(keys)
        .agg(pl.col("human_likeness").sort().mean().alias("all"))
    )
    terms = []
    for key, part in (
        matrix.fingerprints.filter(search=MAIN).partition_by(*CELL, "seed", as_dict=True).items()
    ):
        people = part.filter(condition="humans", split="train")
        for name in frame.filter(**dict(zip(keys, key, strict=False)))["condition"]:
            own = part.filter(condition=name, split="test")
            if len(own) and len(people):
                terms.append(dict(zip(keys, (*key, name), strict=True)) | alignment(own, people))
    frame = frame.with_columns(coverage="coverage_equal_n", score="score_equal_n").join(
        tasks, on=keys, how="left"
    )
    frame = frame.with_columns(human_likeness=pl.coalesce("all", "human_likeness"))
    return frame.drop(ALIGNMENT).join(pl.DataFrame(terms), on=keys, how="left") if terms else frame


def planned(matrix: Any) -> pl.DataFrame:
    """Return the grid of the main search: domain, simulator, condition, planned (seeds; 0: not in the plan)."""
    cells = matrix.cells.filter(search=MAIN)
    seeds = cells.group_by(*CELL, "condition").agg(planned=pl.col("seed").n_unique())
    extra = [c for c in LOOKS if c in set(cells["condition"]) and c not in PAPER]
    grid = cells.select(CELL).unique().join(pl.DataFrame({"condition": [*PAPER, *extra]}), how="cross")
    grid = grid.join(seeds, on=[*CELL, "condition"], how="left").with_columns(pl.col("planned").fill_null(0))
    return grid.sort(*CELL, ORDER)


def over_seeds(frame: pl.DataFrame, by: Sequence[str], names: Sequence[str]) -> pl.DataFrame:
    """Average over seeds: ``by``, seeds, run_id (list), and mean and ``_std`` (n - 1) of each column, null where it is missing."""
    there = [n for n in names if n in frame.columns]
    return (
        frame.group_by(by)
        .agg(
            pl.col("seed").n_unique().alias("seeds"),
            *([pl.col("run_id").unique().sort()] if "run_id" in frame.columns else []),
            pl.col(there).drop_nans().sort().mean(),
            pl.col(there).drop_nans().sort().std().name.suffix("_std"),
        )
        .with_columns(
            pl.lit(None, pl.Float64).alias(c) for n in names if n not in there for c in (n, f"{n}_std")
        )
        .sort(by)
    )


def paired(
    by_task: pl.DataFrame, row: dict[str, Any], other: dict[str, Any], value: str
) -> Comparison | None:
    """Compare a row's condition with another, paired by task over the seeds that both have; None if it cannot be."""
    keys = {k: row[k] for k in (*CELL, "condition")} | {"search": row.get("search", MAIN)}
    if "seed" in row:
        keys["seed"] = row["seed"]
    against = keys | other
    a, b = by_task.filter(**keys), by_task.filter(**against)
    seeds = sorted(set(a["seed"]) & set(b["seed"]))
    try:
        return compare(a.filter(pl.col("seed").is_in(seeds)), b.filter(pl.col("seed").is_in(seeds)), value)
    except WorkbenchError:
        return None


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm's step-down method)."""
    values = np.asarray(p)
    order = np.argsort(values, kind="stable")
    found = np.empty(len(p))
    found[order] = np.maximum.accumulate(np.minimum(1, np.arange(len(p), 0, -1) * values[order]))
    return found.tolist()


def gains(matrix: Any) -> pl.DataFrame:
    """Return what each search gained on held-out tasks at equal N: evolved minus the main search's initial program.

    One row a (domain, simulator, search, seed): gain with 95 % interval and p (paired by task), n_tasks; the
    transfers too, against the first program where they are scored.
    """
    rows = []
    scored = matrix.by_task.filter(condition="evolved")
    for row in scored.select(*CELL, "search", "seed").unique().sort(*CELL, "search", "seed").to_dicts():
        at, first = row | {"condition": "evolved"}, {"search": MAIN, "condition": "initial"}
        if got := paired(matrix.by_task, at, first, "score"):
            ends = {"low": got.low, "high": got.high, "p": got.p, "n_tasks": got.n_tasks}
            rows.append(row | {"gain": got.difference} | ends)
    floats = dict.fromkeys(("gain", "low", "high", "p"), pl.Float64)
    text = dict.fromkeys((*CELL, "search"), pl.String)
    return pl.DataFrame(rows, schema=text | {"seed": pl.Int64} | floats | {"n_tasks": pl.Int64})


def searches(matrix: Any, *, transfer: bool) -> pl.DataFrame:
    """Compare searches by their evolved programs at equal N: the ablations beside the main search, or the transfers.

    Returns
    -------
    DataFrame
        domain, simulator, search, seeds, planned, run_id, means and ``_std`` of score, human_likeness, coverage,
        success, USI_D1_D4; ``gain`` over the seed program and ``to_main`` (minus the main search's), both with interval
        and p, paired by task over all seeds.
    """
    kind = pl.col("search").str.starts_with("transfer:")
    keep = (kind if transfer else ~kind) | (pl.col("search") == MAIN)
    frame = matrix.conditions.filter(keep, condition="evolved")
    frame = frame.with_columns(coverage="coverage_equal_n", score="score_equal_n")
    by = [*CELL, "search"]
    found = over_seeds(frame, by, ["score", "human_likeness", "coverage", "success", "USI_D1_D4"])
    cells = matrix.cells.filter(keep, condition="evolved")
    table = cells.group_by(by).agg(planned=pl.col("seed").n_unique()).join(found, on=by, how="left")
    table = table.with_columns(pl.col("seeds").fill_null(0)).sort(*CELL, pl.col("search") != MAIN, "search")
    at = [row | {"condition": "evolved"} for row in table.to_dicts()]
    first = {"search": MAIN, "condition": "initial"}
    tests = {
        "gain": [paired(matrix.by_task, row, first, "score") for row in at],
        "to_main": [
            None if row["search"] == MAIN else paired(matrix.by_task, row, {"search": MAIN}, "score")
            for row in at
        ],
    }
    ends = {"": "difference", "_low": "low", "_high": "high", "_p": "p"}
    return table.with_columns(
        pl.Series(f"{name}{end}", [getattr(got, what, None) for got in results], pl.Float64)
        for name, results in tests.items()
        for end, what in ends.items()
    )


def paper_rows() -> pl.DataFrame:
    """Return the paper's main results: domain, user_simulator, condition and :data:`MEASURES` with ``_std``."""
    table = pl.read_csv(DATA / "paper" / "table_simulators.csv")
    table = table.rename(
        {m.lower(): m for m in ALIGNMENT} | {f"{m.lower()}_std": f"{m}_std" for m in ALIGNMENT}
    )
    return table.with_columns(condition=pl.col("method").replace_strict(METHODS)).drop("method")


def quirks() -> pl.DataFrame:
    """Recompute what can be recomputed from the paper's printed tables, and return where it differs.

    Returns
    -------
    DataFrame
        table, row, what, printed, recomputed; differences that rounding explains are left out.
    """
    found = []
    training = pl.read_csv(DATA / "paper" / "table_agent_training.csv")
    traits = ("skeptical", "incoherent", "impatient", "confusion")
    tasks = {"retail": 40, "airline": 20, "retail+airline": 60}
    for row in training.to_dicts():
        name = f"{row['domain']}, {row['training']}"
        mean = sum(row[t] for t in traits) / len(traits)
        # four printed values and their printed mean are each off by half a unit of the last digit at most
        if abs(mean - row["ood_average"]) > 0.001 + 1e-9:
            found.append(("agent training", name, "mean of its four columns", row["ood_average"], mean))
        for column in ("default", *traits):
            share = round(row[column] * tasks[row["domain"]]) / tasks[row["domain"]]
            if abs(share - row[column]) > 0.0005 + 1e-9:
                what = f"{column}: nearest share of {tasks[row['domain']]} tasks"
                found.append(("agent training", name, what, row[column], share))
    untrained = {r["domain"]: r for r in training.filter(training="No Fine Tuning").to_dicts()}
    for column in ("default", *traits):
        a, b, both = (untrained[d][column] for d in ("retail", "airline", "retail+airline"))
        pooled = (40 * a + 20 * b) / 60
        if abs(pooled - both) > 0.001 + 1e-9:
            what = f"{column}: its retail and airline rows pooled, 40 and 20 tasks"
            found.append(("agent training", "retail+airline, No Fine Tuning", what, both, pooled))
    for row in paper_rows().to_dicts():
        name = f"{row['domain']}, {row['user_simulator']}, {row['condition']}"
        checks = (
            (
                "score",
                "mean of human-likeness and coverage",
                (row["human_likeness"] + row["coverage"]) / 2,
                0.001,
            ),
            ("USI_D1_D4", "mean of D1 to D4", sum(row[d] for d in ALIGNMENT[:4]) / 4, 0.1),
        )
        for column, what, value, slack in checks:
            if abs(row[column] - value) > slack + 1e-9:
                found.append(("simulators", name, what, row[column], value))
    schema = {"table": pl.String, "row": pl.String, "what": pl.String, "printed": pl.Float64}
    return pl.DataFrame(found, schema=schema | {"recomputed": pl.Float64}, orient="row")


def success(matrix: Any) -> pl.DataFrame:
    """Return success and realism with and without faulty episodes, by condition of the main search.

    The ``_sound`` columns leave out every episode in which the simulated user spoiled its task; episodes, failed and
    faulty are sums over seeds.
    """
    names = ["success", "success_write"]
    names += [n for m in TESTED for n in (m, f"{m}_sound")]
    by = [*CELL, "condition"]
    frame = equal(matrix)  # sound episodes come from all runs of a task, so what stands beside them does too
    judged = pl.col("n_faults").is_not_null().any()
    sums = frame.group_by(by).agg(
        pl.col("n_episodes", "n_failed").sum(), pl.when(judged).then(pl.col("n_faults").sum())
    )
    table = (
        planned(matrix).join(over_seeds(frame, by, names), on=by, how="left").join(sums, on=by, how="left")
    )
    return table.with_columns(pl.col("seeds").fill_null(0)).sort(*CELL, ORDER)


def fault_counts(matrix: Any) -> pl.DataFrame:
    """Count episodes by condition and first fault, errors apart: domain, simulator, condition, kind, what, n, episodes."""
    frame = matrix.episodes.filter(search=MAIN)
    keys = [*CELL, "condition"]
    total = frame.group_by(keys).agg(episodes=pl.len())
    parts = [
        frame.filter(pl.col(column).is_not_null())
        .group_by(*keys, pl.col(column).cast(pl.String).alias("what"))
        .agg(n=pl.len())
        .with_columns(kind=pl.lit(kind))
        for column, kind in (("error", "failed"), ("fault", "fault"))
    ]
    return pl.concat(parts).join(total, on=keys).sort(*CELL, ORDER, "kind", "n", "what", descending=[False] * 4 + [True, False])  # fmt: skip


def cost(matrix: Any) -> pl.DataFrame:
    """Return what searches took: candidates by status, conversations, requests, tokens, money, summed over seeds."""
    by = [*CELL, "search"]
    total = pl.col("n_episodes").sum() + pl.col("validation_n_episodes").sum()
    return (
        matrix.candidates.group_by(by)
        .agg(
            seeds=pl.col("seed").n_unique(),
            candidates=pl.len(),
            accepted=(pl.col("status") == "accepted").sum(),
            rejected=(pl.col("status") == "rejected").sum(),
            new_best=pl.col("new_best").fill_null(False).sum(),
            episodes=total,
            failed=pl.col("n_failed").sum() + pl.col("validation_n_failed").sum(),
            requests=pl.col("requests").sum(),
            tokens_in=pl.col("tokens_in").sum(),
            tokens_out=pl.col("tokens_out").sum(),
            cost=pl.when(pl.col("cost").is_not_null().any()).then(pl.col("cost").sort().sum()),
        )
        .sort(*CELL, pl.col("search") != MAIN, "search")
    )


def rejections(matrix: Any) -> pl.DataFrame:
    """Count rejected candidates by the beginning of their reason: domain, simulator, search, what, n, candidates."""
    by = [*CELL, "search"]
    total = matrix.candidates.group_by(by).agg(candidates=pl.len())
    what = pl.col("reason").fill_null("no reason given").str.split(":").list.first()
    return (
        matrix.candidates.filter(pl.col("status") != "accepted")
        .group_by(*by, what.alias("what"))
        .agg(n=pl.len())
        .join(total, on=by)
        .sort(*CELL, "search", "n", "what", descending=[False, False, False, True, False])
    )
