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
Row = Mapping[str, Any]

# The number under each head, and its digits.
_COLUMNS = {
    "HL": ("human_likeness", 3),
    "Coverage": ("coverage", 3),
    "Score": ("score", 3),
    "Coverage, equal N": ("coverage_equal_n", 3),
    "Score, equal N": ("score_equal_n", 3),
    **{d: (d, 1) for d in ("D1", "D2", "D3", "D4")},
    "Success": ("success", 2),
    "Success, write tasks": ("success_write", 2),
    "Episodes": ("n_episodes", 0),
    "Failed": ("n_failed", 0),
    "Faulty": ("n_faults", 0),
}


def conditions(run: Run) -> pl.DataFrame:
    """Return the comparison as it is printed: one row a condition, cells as text.

    Values are ``mean ± half-width`` of the 95 % interval clustered by task; an empty cell is a value
    that does not exist for the condition.
    """
    return pl.DataFrame(
        {"Condition": NAMES[row["condition"]]}
        | {head: _with_interval(row, name, digits) for head, (name, digits) in _COLUMNS.items()}
        for row in table(run).iter_rows(named=True)
    )


def seeds(runs: Sequence[Run]) -> pl.DataFrame:
    """Return the comparison over independent searches: cells are ``mean ± std`` over seeds, as text."""
    return pl.DataFrame(
        {"Condition": NAMES[row["condition"]], "Seeds": str(row["seeds"])}
        | {head: spread(row, name, digits) for head, (name, digits) in _COLUMNS.items()}
        for row in over_seeds(runs).iter_rows(named=True)
    ).drop("Coverage, equal N")


def provenance(run: Run) -> str:
    """Say where numbers come from: run, domain, seed, models, version and the run's own date."""
    return Origin.of([run]).line


def conditions_text(run: Run) -> str:
    """Return the comparison for a terminal, in two blocks that fit 100 columns, with provenance."""
    realism = ["Condition", "HL", "Coverage", "Score", "Coverage, equal N", "Score, equal N"]
    outcome = ["Condition", "D1", "D2", "D3", "D4", "Success", "Success, write tasks"]
    outcome += ["Episodes", "Failed", "Faulty"]
    note = (
        "Held-out test tasks; ± half a 95 % interval clustered by task. Coverage: paper's protocol (the base "
        "simulator\nruns once a task), then equal N. D1–D4: alignment with people, %. Write tasks: those whose "
        "right outcome changes data."
    )
    return _text([run], conditions(run), [realism, outcome], note)


def seeds_text(runs: Sequence[Run]) -> str:
    """Return the comparison over seeds for a terminal."""
    realism = ["Condition", "Seeds", "HL", "Coverage", "Score", "Score, equal N", "Success"]
    outcome = ["Condition", "D1", "D2", "D3", "D4", "Success, write tasks", "Episodes", "Failed", "Faulty"]
    note = "Held-out test tasks of each seed; ± one standard deviation over seeds."
    return _text(runs, seeds(runs), [realism, outcome], note)


def spread(row: Row, name: str, digits: int = 3) -> str:
    """Write a mean with its deviation over seeds; the mean alone where one seed has none, nothing where there is none."""
    return _plus_minus(row.get(name), row.get(f"{name}_std"), digits)


def _with_interval(row: Row, name: str, digits: int) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return _plus_minus(row[name], None if low is None or high is None else (high - low) / 2, digits)


def _plus_minus(value: float | None, around: float | None, digits: int) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}f}" if around is None else f"{value:.{digits}f} ± {around:.{digits}f}"


def _text(runs: Sequence[Run], frame: pl.DataFrame, blocks: Sequence[Sequence[str]], note: str) -> str:
    lines = [provenance(run) for run in runs]
    for heads in blocks:
        lines += ["", *_block(frame.select(heads))]
    lines += ["", note]
    if any(run.settings.rehearsed for run in runs):
        lines.append(REHEARSED)
    return "\n".join(lines)


def _block(frame: pl.DataFrame) -> list[str]:
    """Lay out a frame in columns, its heads broken at commas."""
    heads = [c.split(", ") for c in frame.columns]
    depth = max(map(len, heads))
    top = [*zip(*([""] * (depth - len(head)) + head for head in heads), strict=True)]
    rows = frame.rows()
    widths = [max(map(len, column)) for column in zip(*top, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        rest = (c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([cells[0].ljust(widths[0]), *rest])

    return [*map(line, top), "─" * len(line(top[0])), *map(line, rows)]
