"""The paper's tables of the search: gains, ablations, transfer, cost, failures; the paper's quirks; the runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from workbench.show.origin import Origin
from workbench.show.paper import numbers
from workbench.show.paper.cells import (
    absent,
    counted,
    ends,
    mean,
    missing,
    p_value,
    search,
    seeds,
    sheet,
    signed,
    spread,
    tested,
    where,
)
from workbench.show.paper.numbers import CELL, MAIN
from workbench.show.style import count, money
from workbench.show.tables import Row
from workbench.show.typeset import Table, plain


def tables(matrix: Any, origin: Origin) -> list[Table]:
    """Return the tables of this module, in the order of reading."""
    return [
        gains(matrix, origin),
        searches(matrix, origin, transfer=False),
        searches(matrix, origin, transfer=True),
        cost(matrix, origin),
        failures(matrix, origin),
        quirks(),
        runs(matrix, origin),
    ]


def gains(matrix: Any, origin: Origin) -> Table:
    """What each search of the main plan gained on held-out tasks."""
    winners = matrix.conditions.filter(search=MAIN, condition="evolved").select(
        *CELL, "seed", winner="candidate_id"
    )
    found = numbers.gains(matrix).filter(search=MAIN).join(winners, on=[*CELL, "seed"], how="left")
    first = matrix.programs.filter(pl.col("parent").is_null()).select(
        *CELL, "search", "seed", first="candidate_id"
    )
    found = found.join(first, on=[*CELL, "search", "seed"], how="left").sort(*CELL, "seed")
    columns = {
        "Setting": where,
        "Seed": lambda r: str(r["seed"]),
        "Winner": lambda r: "seed program" if r["winner"] == r["first"] else r["winner"],
        "Gain": lambda r: signed(r["gain"]),
        "95 % interval": lambda r: ends(r["low"], r["high"], sign=True),
        "p": lambda r: p_value(r["p"]),
        "Tasks": lambda r: str(r["n_tasks"]),
    }
    note = (
        "Score at equal N of the evolved minus the seed program, paired by held-out task; p by sign flips, not adjusted. "
        "Where the winner is the seed program itself (validation found none better), the gain is chance: how far two samples of one program differ."
    )
    return sheet("gains", "What evolution gained, seed by seed", found, columns, note, origin)


def searches(matrix: Any, origin: Origin, *, transfer: bool) -> Table:
    """Ablations and controls beside the main search, or transfers beside the native program."""
    found = numbers.searches(matrix, transfer=transfer)

    def from_where(row: Row) -> str:
        there = row["search"].removeprefix("transfer:")
        return "evolved here" if there == MAIN else f"evolved on {there}"

    columns = {
        "Scored on": where,
        "Search": from_where if transfer else search,
        "Seeds": seeds,
        "Score": lambda r: spread(r, "score") or absent(r),
        "HL": mean("human_likeness"),
        "Coverage": mean("coverage"),
        "Success": mean("success", 2),
        "Gain over seed program": lambda r: tested(r, "gain"),
        "Against main": lambda r: tested(r, "to_main"),
    }
    kind = pl.col("search").str.starts_with("transfer:")
    note = (
        "Evolved programs on held-out tasks at equal N, mean ± standard deviation over seeds. Differences of score are paired by task, over the "
        "seeds that both have, with 95 % interval; each task counts once, however many seeds drew it, so a difference can be a little off that of the "
        "scores; * p < 0.05 by sign flips, not adjusted. "
        + missing(matrix.cells.filter(kind if transfer else ~kind))
    )
    title = "Transfer: evolved there, scored here" if transfer else "Ablations of the search"
    return sheet("transfer" if transfer else "ablations", title, found, columns, note, origin)


def cost(matrix: Any, origin: Origin) -> Table:
    """What searching took."""
    found = numbers.cost(matrix)
    columns = {
        "Setting": where,
        "Search": search,
        "Seeds": counted("seeds"),
        "Programs": counted("candidates"),
        "Accepted": counted("accepted"),
        "Rejected": counted("rejected"),
        "New bests": counted("new_best"),
        "Conversations": lambda r: count(r["episodes"]),
        "Requests": lambda r: count(r["requests"]),
        "Tokens in": lambda r: count(r["tokens_in"]),
        "Tokens out": lambda r: count(r["tokens_out"]),
        "Cost": lambda r: money(r["cost"]),
    }
    note = (
        "Sums over seeds, of candidates (train batches, validation, mutation and reflection), without held-out evaluation. A dash: no known price; "
        "rehearsal models cost nothing."
    )
    return sheet("cost", "What the searches took", found, columns, note, origin)


def failures(matrix: Any, origin: Origin) -> Table:
    """Why candidates were rejected."""
    found = numbers.rejections(matrix)
    columns = {
        "Setting": where,
        "Search": search,
        "Why": lambda r: plain(r["what"], 80),
        "Programs": counted("n"),
        "of": counted("candidates"),
    }
    note = f"Candidates that were not accepted, by the beginning of their reason, all seeds. {missing(matrix.cells)}"
    table = sheet("failures", "What failed in the searches", found, columns, note, origin)
    if len(found):
        return table
    cells = ("all", "all", "none was rejected", "0", f"{len(matrix.candidates):,}")
    return replace(table, frame=pl.DataFrame([cells], schema=list(columns), orient="row"))


def quirks() -> Table:
    """Where the paper's printed tables disagree with themselves."""
    found = numbers.quirks()
    frame = found.select(
        Table="table",
        Row="row",
        What="what",
        Printed=pl.col("printed").map_elements("{:.3f}".format, return_dtype=pl.String),
        Recomputed=pl.col("recomputed").map_elements("{:.4f}".format, return_dtype=pl.String),
    )
    note = "Recomputed from the numbers of arXiv:2605.12894 as printed (data/paper); differences that rounding explains are left out."
    return Table("quirks", "Where the paper's tables disagree with themselves", frame, note, data=found)


def runs(matrix: Any, origin: Origin) -> Table:
    """Every planned search with its run's id, and how far it came."""
    done = pl.col("status") == "done"
    keys = [*CELL, "search", "seed"]
    found = (
        matrix.cells.group_by(keys)
        .agg(
            pl.len().alias("planned"),
            done.sum().alias("done"),
            pl.col("run_id", "reason").drop_nulls().first(),
        )
        .sort(*CELL, pl.col("search") != MAIN, "search", "seed")
    )
    columns = {
        "Setting": where,
        "Search": search,
        "Seed": lambda r: str(r["seed"]),
        "Conditions": lambda r: f"{r['done']} of {r['planned']}",
        "Run": lambda r: r["run_id"] or "none",
        "Why not all": lambda r: plain(r["reason"] or "", 80),
    }
    note = "Every search of the plan, and how many of its conditions were evaluated."
    return sheet("runs", "The runs behind everything", found, columns, note, origin)
