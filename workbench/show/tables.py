"""Tables for the terminal and for papers: text, Markdown, LaTeX (booktabs) and CSV from one frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench.evolve.conditions import table
from workbench.evolve.run import Run

NAMES = {
    "humans": "Humans",
    "base": "Base simulator",
    "dp": "DP personas",
    "initial": "PPol initial",
    "evolved": "PPol evolved",
}
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "–": "--",
    }
)


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


def provenance(run: Run) -> str:
    """Say where numbers come from: run, domain, seed, models, version and the run's own date."""
    models = sorted({e.model for e in run.settings.roles.values()})
    who = (
        "rehearsal models (stand-ins)"
        if len(run.settings.rehearsed) == len(run.settings.roles)
        else ", ".join(models)
    )
    return (
        f"run {run.run_id} · {run.settings.domain} · seed {run.settings.seed} · {who} · "
        f"workbench {run.info['version']} · {str(run.info['created'])[:10]}"
    )


def conditions_text(run: Run) -> str:
    """Return the comparison for a terminal, with provenance and what the columns mean."""
    frame = conditions(run)
    rows = [list(frame.columns), *[list(r) for r in frame.iter_rows()]]
    heads = [_wrap(h) for h in rows[0]]
    widths = [max(len(c) for c in [*heads[i], *(r[i] for r in rows[1:])]) for i in range(len(heads))]
    depth = max(map(len, heads))
    lines = [provenance(run), ""]
    for level in range(depth):
        cells = [h[level - depth + len(h)] if level >= depth - len(h) else "" for h in heads]
        lines.append(
            "  ".join(
                c.ljust(w) if i == 0 else c.rjust(w)
                for i, (c, w) in enumerate(zip(cells, widths, strict=True))
            )
        )
    lines.append("─" * len(lines[-1]))
    lines += [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))
        )
        for r in rows[1:]
    ]
    if run.settings.rehearsed:
        lines.append("Made by rehearsal models: this proves the machinery, not the paper's claims.")
    return "\n".join(lines)


def markdown(frame: pl.DataFrame) -> str:
    """Return a Markdown table."""
    rows = [frame.columns, ["---", *["---:"] * (frame.width - 1)], *frame.iter_rows()]
    return "\n".join("| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in rows) + "\n"


def latex(frame: pl.DataFrame, caption: str) -> str:
    """Return a ``table`` environment with booktabs rules; every cell is escaped."""
    line = [
        " & ".join(str(c).translate(_ESCAPES) for c in row) + r" \\"
        for row in [frame.columns, *frame.iter_rows()]
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption.translate(_ESCAPES)}}}",
            rf"\begin{{tabular}}{{l{'r' * (frame.width - 1)}}}",
            r"\toprule",
            line[0],
            r"\midrule",
            *line[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _value(row: Mapping[str, Any], name: str, digits: int = 3) -> str:
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if value is None:
        return ""
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ± {(high - low) / 2:.{digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _wrap(head: str) -> list[str]:
    return head.split(", ") if ", " in head else [head]
