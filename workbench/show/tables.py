"""The comparison of conditions as text cells, and laid out for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from workbench.evolve.conditions import over_seeds, table
from workbench.evolve.run import Run
from workbench.show.origin import REHEARSED, Origin
from workbench.show.style import LOOKS

NAMES = {condition: look.name for condition, look in LOOKS.items()}


def conditions(run: Run) -> pl.DataFrame:
    """Return the comparison as it is printed: one row a condition, cells as text.

    Values are ``mean ± half-width`` of the 95 % interval clustered by task; an empty cell is a value
    that does not exist for the condition.
    """
    rows = []
    for row in table(run).iter_rows(named=True):
        rows.append(
            {
                "Condition": NAMES[row["condition"]],
                "HL": _value(row, "human_likeness"),
                "Coverage": _value(row, "coverage"),
                "Score": _value(row, "score"),
                "Coverage, equal N": _value(row, "coverage_equal_n"),
                "Score, equal N": _value(row, "score_equal_n"),
                **{d: _number(row[d], 1) for d in ("D1", "D2", "D3", "D4")},
                "Success": _value(row, "success", 2),
                "Success, write tasks": _value(row, "success_write", 2),
                "Episodes": _number(row["n_episodes"], 0),
                "Failed": _number(row["n_failed"], 0),
                "Faulty": _number(row["n_faults"], 0),
            }
        )
    return pl.DataFrame(rows)


def seeds(runs: Sequence[Run]) -> pl.DataFrame:
    """Return the comparison over independent searches: cells are ``mean ± std`` over seeds, as text."""
    rows = []
    for row in over_seeds(runs).iter_rows(named=True):
        spread = {k: _spread(row, k) for k in ("human_likeness", "coverage", "score", "score_equal_n")}
        rows.append(
            {
                "Condition": NAMES[row["condition"]],
                "Seeds": str(row["seeds"]),
                "HL": spread["human_likeness"],
                "Coverage": spread["coverage"],
                "Score": spread["score"],
                "Score, equal N": spread["score_equal_n"],
                **{d: _spread(row, d, 1) for d in ("D1", "D2", "D3", "D4")},
                "Success": _spread(row, "success", 2),
                "Success, write tasks": _spread(row, "success_write", 2),
                "Episodes": _number(row["n_episodes"], 0),
                "Failed": _number(row["n_failed"], 0),
                "Faulty": _number(row["n_faults"], 0),
            }
        )
    return pl.DataFrame(rows)


def seeds_text(runs: Sequence[Run]) -> str:
    """Return the comparison over seeds for a terminal."""
    frame = seeds(runs)
    realism = ["Condition", "Seeds", "HL", "Coverage", "Score", "Score, equal N", "Success"]
    outcome = ["Condition", "D1", "D2", "D3", "D4", "Success, write tasks", "Episodes", "Failed", "Faulty"]
    lines = [provenance(run) for run in runs]
    lines += ["", *_block(frame.select(realism)), "", *_block(frame.select(outcome)), ""]
    lines.append("Held-out test tasks of each seed; ± one standard deviation over seeds.")
    if any(run.settings.rehearsed for run in runs):
        lines.append(REHEARSED)
    return "\n".join(lines)


def provenance(run: Run) -> str:
    """Say where numbers come from: run, domain, seed, models, version and the run's own date."""
    return Origin.of([run]).line


def conditions_text(run: Run) -> str:
    """Return the comparison for a terminal, in two blocks that fit 100 columns, with provenance."""
    frame = conditions(run)
    realism = ["Condition", "HL", "Coverage", "Score", "Coverage, equal N", "Score, equal N"]
    outcome = ["Condition", "D1", "D2", "D3", "D4", "Success", "Success, write tasks"]
    outcome += ["Episodes", "Failed", "Faulty"]
    lines = [provenance(run), "", *_block(frame.select(realism)), "", *_block(frame.select(outcome)), ""]
    lines.append(
        "Held-out test tasks; ± half a 95 % interval clustered by task. Coverage: paper's protocol (the base "
        "simulator\nruns once a task), then equal N. D1–D4: alignment with people, %. Write tasks: those whose "
        "right outcome changes data."
    )
    if run.settings.rehearsed:
        lines.append(REHEARSED)
    return "\n".join(lines)


def _block(frame: pl.DataFrame) -> list[str]:
    """Lay out a frame in columns, its heads broken at commas."""
    rows = [list(r) for r in frame.iter_rows()]
    heads = [c.split(", ") for c in frame.columns]
    depth = max(map(len, heads))
    top = [[h[i - depth + len(h)] if i >= depth - len(h) else "" for h in heads] for i in range(depth)]
    widths = [max(len(r[i]) for r in [*top, *rows]) for i in range(len(heads))]

    def line(cells: list[str]) -> str:
        return "  ".join(
            c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        )

    return [*map(line, top), "─" * len(line(top[0])), *map(line, rows)]


def _spread(row: Mapping[str, Any], name: str, digits: int = 3) -> str:
    value, spread = row[name], row[f"{name}_std"]
    if value is None:
        return ""
    return f"{value:.{digits}f}" if spread is None else f"{value:.{digits}f} ± {spread:.{digits}f}"


def _value(row: Mapping[str, Any], name: str, digits: int = 3) -> str:
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if value is None:
        return ""
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ± {(high - low) / 2:.{digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
