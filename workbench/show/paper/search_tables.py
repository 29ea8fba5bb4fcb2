"""The paper's tables of the search: gains, ablations, transfer, cost, failures; the paper's quirks; the runs."""

from __future__ import annotations

from typing import Any

import polars as pl

from workbench.show.origin import Origin
from workbench.show.paper import numbers
from workbench.show.paper.cells import (
    absent,  # fmt: skip
    count_of,
    ends,
    framed,
    missing,
    p_value,
    search,
    seeds,
    signed,
    spread,
    tested,
    where,
)
from workbench.show.paper.numbers import CELL, MAIN
from workbench.show.style import count, money
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
    rows = [
        {"Setting": where(r), "Seed": str(r["seed"]), "Winner": "seed program" if r["winner"] == r["first"] else r["winner"], "Gain": signed(r["gain"]), "95 % interval": ends(r["low"], r["high"], sign=True),
         "p": p_value(r["p"]), "Tasks": str(r["n_tasks"])}
        for r in found.to_dicts()
    ]  # fmt: skip
    note = (
        "Score at equal N of the evolved minus the seed program, paired by held-out task; p by sign flips, not adjusted. "
        "Where the winner is the seed program itself (validation found none better), the gain is chance: how far two samples of one program differ."
    )
    schema = ["Setting", "Seed", "Winner", "Gain", "95 % interval", "p", "Tasks"]
    title = "What evolution gained, seed by seed"
    return Table("gains", title, framed(rows, schema), note, origin, group="Setting", data=found)


def searches(matrix: Any, origin: Origin, *, transfer: bool) -> Table:
    """Ablations and controls beside the main search, or transfers beside the native program."""
    found = numbers.searches(matrix, transfer=transfer)
    rows = []
    for r in found.to_dicts():
        here = (
            "evolved here" if r["search"] == MAIN else f"evolved on {r['search'].removeprefix('transfer:')}"
        )
        cells = {"Scored on": where(r), "Search": here if transfer else search(r), "Seeds": seeds(r)}
        cells |= {
            "Score": spread(r, "score"),
            "HL": spread(r, "human_likeness"),
            "Coverage": spread(r, "coverage"),
        }
        cells |= {
            "Success": spread(r, "success", 2),
            "Gain over seed program": tested(r, "gain"),
            "Against main": tested(r, "to_main"),
        }
        rows.append(cells if r["seeds"] else cells | {"Score": absent(r)})
    kind = pl.col("search").str.starts_with("transfer:")
    note = (
        "Evolved programs on held-out tasks at equal N, mean ± standard deviation over seeds. Differences of score are paired by task, over the "
        "seeds that both have, with 95 % interval; each task counts once, however many seeds drew it, so a difference can be a little off that of the "
        "scores; * p < 0.05 by sign flips, not adjusted. "
        + missing(matrix.cells.filter(kind if transfer else ~kind))
    )
    title, file = (
        ("Transfer: evolved there, scored here", "transfer")
        if transfer
        else ("Ablations of the search", "ablations")
    )
    schema = [
        "Scored on",
        "Search",
        "Seeds",
        "Score",
        "HL",
        "Coverage",
        "Success",
        "Gain over seed program",
        "Against main",
    ]
    return Table(file, title, framed(rows, schema), note.strip(), origin, group="Scored on", data=found)


def cost(matrix: Any, origin: Origin) -> Table:
    """What searching took."""
    found = numbers.cost(matrix)
    rows = [
        {"Setting": where(r), "Search": search(r), "Seeds": count_of(r["seeds"]), "Programs": count_of(r["candidates"]),
         "Accepted": count_of(r["accepted"]), "Rejected": count_of(r["rejected"]), "New bests": count_of(r["new_best"]),
         "Conversations": count(r["episodes"]), "Requests": count(r["requests"]), "Tokens in": count(r["tokens_in"]),
         "Tokens out": count(r["tokens_out"]), "Cost": money(r["cost"])}
        for r in found.to_dicts()
    ]  # fmt: skip
    note = (
        "Sums over seeds, of candidates (train batches, validation, mutation and reflection), without held-out evaluation. A dash: no known price; "
        "rehearsal models cost nothing."
    )
    schema = ["Setting", "Search", "Seeds", "Programs", "Accepted", "Rejected", "New bests", "Conversations", "Requests", "Tokens in",
              "Tokens out", "Cost"]  # fmt: skip
    return Table(
        "cost", "What the searches took", framed(rows, schema), note, origin, group="Setting", data=found
    )


def failures(matrix: Any, origin: Origin) -> Table:
    """Why candidates were rejected."""
    found = numbers.rejections(matrix)
    rows = [
        {"Setting": where(r), "Search": search(r), "Why": plain(r["what"], 80), "Programs": count_of(r["n"]), "of": count_of(r["candidates"])}
        for r in found.to_dicts()
    ]  # fmt: skip
    note = f"Candidates that were not accepted, by the beginning of their reason, all seeds. {missing(matrix.cells)}"
    if not rows:
        rows = [{"Setting": "all", "Search": "all", "Why": "none was rejected", "Programs": "0", "of": count_of(len(matrix.candidates))}]  # fmt: skip
    schema = ["Setting", "Search", "Why", "Programs", "of"]
    title = "What failed in the searches"
    return Table("failures", title, framed(rows, schema), note.strip(), origin, group="Setting", data=found)


def quirks() -> Table:
    """Where the paper's printed tables disagree with themselves."""
    found = numbers.quirks()
    rows = [
        {"Table": r["table"], "Row": r["row"], "What": r["what"], "Printed": f"{r['printed']:.3f}", "Recomputed": f"{r['recomputed']:.4f}"}
        for r in found.to_dicts()
    ]  # fmt: skip
    note = "Recomputed from the numbers of arXiv:2605.12894 as printed (data/paper); differences that rounding explains are left out."
    schema = ["Table", "Row", "What", "Printed", "Recomputed"]
    return Table(
        "quirks", "Where the paper's tables disagree with themselves", framed(rows, schema), note, data=found
    )


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
    rows = [
        {"Setting": where(r), "Search": search(r), "Seed": str(r["seed"]), "Conditions": f"{r['done']} of {r['planned']}",
         "Run": r["run_id"] or "none", "Why not all": plain(r["reason"] or "", 80)}
        for r in found.to_dicts()
    ]  # fmt: skip
    schema = ["Setting", "Search", "Seed", "Conditions", "Run", "Why not all"]
    note = "Every search of the plan, and how many of its conditions were evaluated."
    return Table(
        "runs", "The runs behind everything", framed(rows, schema), note, origin, group="Setting", data=found
    )
