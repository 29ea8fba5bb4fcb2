"""The frames behind the paper's figures."""

from __future__ import annotations

from typing import Any

import polars as pl

from workbench.measure import FEATURES
from workbench.measure.alignment import human_ceiling
from workbench.measure.reference import DOMAINS, humans
from workbench.show.paper.numbers import ALIGNMENT, CELL, MAIN, paper_rows, searches
from workbench.show.typeset import plain

SCORES = ("rank", "human_likeness", "coverage")
MOST = 1_800  # points of a map: two maps of them go into one PDF
RUN = (*CELL, "seed")


def components(matrix: Any) -> pl.DataFrame:
    """Follow the best program so far: domain, simulator, term, generation; mean, low, high (over seeds), seeds."""
    found = matrix.candidates.filter(search=MAIN, status="accepted").sort(*RUN, "candidate_id")
    best = [pl.when("new_best").then(term).forward_fill().over(RUN).alias(term) for term in SCORES]
    last = (
        found.with_columns(best).group_by(*RUN, "generation", maintain_order=True).agg(pl.col(SCORES).last())
    )
    every = _every_generation(matrix, last).with_columns(pl.col(SCORES).forward_fill().over(RUN))
    by = [*RUN, "generation"]
    long = every.unpivot(SCORES, index=by, variable_name="term", value_name="value").drop_nulls("value")
    return _band(long, *CELL, "term", "generation")


def _every_generation(matrix: Any, found: pl.DataFrame) -> pl.DataFrame:
    """Give each run of a frame a row for every generation of its setting, null where it has none."""
    ends = matrix.candidates.filter(search=MAIN).group_by(CELL).agg(last=pl.col("generation").max())
    grid = (
        found.select(RUN).unique().join(ends, on=CELL)
        .with_columns(generation=pl.int_ranges(0, pl.col("last") + 1)).explode("generation").drop("last")
        .with_columns(pl.col("generation").cast(found.schema["generation"]))
    )  # fmt: skip
    return grid.join(found, on=[*RUN, "generation"], how="left").sort(*RUN, "generation")


def _band(long: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return mean, least and greatest value over seeds, and how many there are."""
    value = pl.col("value")
    found = long.group_by(by).agg(mean=value.sort().mean(), low=value.min(), high=value.max(), seeds=pl.len())
    return found.sort(by)


def maps(matrix: Any) -> pl.DataFrame:
    """Return the points of both maps, thinned evenly where there are too many; people are all kept."""
    frame = matrix.umap.sort("domain", "condition", "dialogue_id")
    people = frame.filter(condition="humans")
    others = frame.filter(pl.col("condition") != "humans")
    every = max(1, -(-len(others) // max(1, MOST - len(people))))
    return pl.concat([others.gather_every(every), people])


def paper_gains() -> pl.DataFrame:
    """Return the paper's gains: score of evolved minus initial by domain and simulator."""
    table = paper_rows().pivot("condition", index=["domain", "user_simulator"], values="score")
    return table.select(
        "domain",
        simulator=pl.col("user_simulator").str.strip_suffix("-Instruct"),
        gain=pl.col("evolved") - pl.col("initial"),
    )


def dimensions(matrix: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return D1–D4 of the conditions (mean and range over seeds), and of halves of the people, by domain."""
    by_seed = matrix.conditions.filter(search=MAIN)
    index = [*CELL, "condition"]
    long = by_seed.unpivot(ALIGNMENT[:4], index=index, variable_name="term", value_name="value")
    frame = _band(long, *CELL, "term", "condition").select(*index, "mean", "low", "high", "term")
    bands = [
        human_ceiling(humans(domain)).filter(pl.col("term").is_in(ALIGNMENT[:4])).with_columns(domain=pl.lit(domain))
        for domain in sorted(set(by_seed["domain"]) & set(DOMAINS))
    ]  # fmt: skip
    keep = ["domain", "term", "value", "low", "high"]
    band = pl.concat(bands).select(keep) if bands else pl.DataFrame(schema=dict.fromkeys(keep, pl.Float64))
    return frame, band


def archive(matrix: Any) -> pl.DataFrame:
    """Return the archive's cells over all seeds: domain, simulator, x, y, rank of the best, arrivals, seeds."""
    found = matrix.candidates.filter(pl.col("cell").is_not_null(), search=MAIN)
    return (
        found.with_columns(x=pl.col("cell").list.get(0), y=pl.col("cell").list.get(1))
        .group_by(*CELL, "x", "y")
        .agg(rank=pl.col("rank").max(), arrivals=pl.len(), seeds=pl.col("seed").n_unique())
        .sort(*CELL, "x", "y")
    )


def axes(matrix: Any) -> pl.DataFrame:
    """Count the distinct behaviors met so far: domain, simulator, generation; mean, low, high over seeds."""
    found = matrix.axes.filter(search=MAIN)
    first = found.group_by(*RUN, "behavior").agg(pl.col("generation").min())
    new = first.group_by(*RUN, "generation").agg(new=pl.len())
    every = _every_generation(matrix, new)
    return _band(
        every.with_columns(value=pl.col("new").fill_null(0).cum_sum().over(RUN)), *CELL, "generation"
    )


def winners(matrix: Any) -> pl.DataFrame:
    """Return for each (domain, simulator) the seed whose evolved program scores best on held-out tasks, and its id."""
    found = matrix.conditions.filter(search=MAIN, condition="evolved").drop_nulls("score_equal_n")
    return (
        found.sort(*CELL, "score_equal_n", "seed", descending=[False, False, True, False])
        .group_by(CELL, maintain_order=True)
        .first()
        .select(*RUN, winner="candidate_id", run_id="run_id")
    )


def spans_of_axes(matrix: Any, most: int = 12) -> pl.DataFrame:
    """Return the lives of a winner's run's axes: domain, behavior, first and last generation, programs, in the winner."""
    found = matrix.axes.filter(search=MAIN).join(winners(matrix), on=RUN)
    return (
        found.with_columns(
            behavior=pl.col("behavior").map_elements(lambda b: plain(b, 28), return_dtype=pl.String)
        )
        .group_by(*CELL, "behavior")
        .agg(
            first=pl.col("generation").min(),
            last=pl.col("generation").max(),
            programs=pl.col("candidate_id").n_unique(),
            kept=(pl.col("candidate_id") == pl.col("winner")).any(),
        )
        .sort(*CELL, "kept", "programs", "behavior", descending=[False, False, True, True, False])
        .group_by(CELL, maintain_order=True)
        .head(most)
        .sort(*CELL, "first", "behavior")
    )


def lineage(matrix: Any) -> pl.DataFrame:
    """Return the candidates of each winner's run: generation, rank, status, step (its place on the winner's path)."""
    found = matrix.candidates.filter(search=MAIN).join(winners(matrix), on=RUN)
    path = matrix.programs.filter(search=MAIN).sort(*RUN, "candidate_id")
    path = path.with_columns(step=pl.int_range(pl.len()).over(RUN)).select(*RUN, "candidate_id", "step")
    return (
        found.join(path, on=[*RUN, "candidate_id"], how="left")
        .select(*RUN, "candidate_id", "parent", "generation", "rank", "status", "step", "winner")
        .sort(*RUN, "candidate_id")
    )


def features(matrix: Any) -> pl.DataFrame:
    """Return quantiles of each feature by condition on test tasks: domain, condition, feature; p10 to p90, n."""
    one = pl.when(pl.col("condition") != "humans").then(
        pl.struct("simulator", "seed")
    )  # people are the same in all
    found = matrix.fingerprints.filter(search=MAIN, split="test").with_columns(one=one)
    found = found.unique(["domain", "dialogue_id", "one"])
    there = found.select("domain", "condition", *FEATURES)
    long = there.unpivot(FEATURES, index=["domain", "condition"], variable_name="feature", value_name="value")
    q = [pl.col("value").quantile(p / 100, "linear").alias(f"p{p}") for p in (10, 25, 50, 75, 90)]
    found = long.group_by("domain", "feature", "condition").agg(*q, n=pl.len())
    return found.sort("domain", "feature", "condition")


def transfer(matrix: Any) -> pl.DataFrame:
    """Return scores of programs by where they were evolved and where they are scored, with the gain there."""
    found = searches(matrix, transfer=True)
    here = pl.format("{}, {}", "domain", "simulator")
    name = pl.col("search").str.strip_prefix("transfer:")
    domains = found["domain"].unique().implode()
    there = (
        pl.when(pl.col("search") == MAIN).then(here)
        .when(name.is_in(domains)).then(pl.format("{}, {}", name, "simulator"))
        .otherwise(pl.format("{}, {}", "domain", name))
    )  # fmt: skip
    return found.select(there.alias("there"), here.alias("here"), "score", "gain", "gain_low", "gain_high", "gain_p", "seeds").sort("there", "here")  # fmt: skip


def coverage_n(matrix: Any) -> pl.DataFrame:
    """Return coverage against N in long form: domain, simulator, condition, n, kind (raw, standardized), value, low, high."""
    parts = [
        matrix.n_curve.select(
            *CELL, "condition", "n", kind=pl.lit(kind), value=name, low=f"{name}_low", high=f"{name}_high"
        )
        for kind, name in (("raw", "coverage"), ("standardized", "coverage_standardized"))
    ]
    return pl.concat(parts).sort(*CELL, "condition", "kind", "n")
