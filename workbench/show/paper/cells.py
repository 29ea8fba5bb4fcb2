"""How numbers become the cells of the paper's tables, and how a table says what is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from workbench.show.origin import Origin, spans
from workbench.show.tables import NAMES, Row, spread
from workbench.show.typeset import Table, plain

SURE = 0.05
Cell = Callable[[Row], str]
"""Makes a cell of a table from a row of a frame."""


def origin_of(matrix: Any) -> Origin:
    """Return the origin of a matrix's numbers."""
    cells, info = matrix.cells.filter(pl.col("run_id").is_not_null()), matrix.info
    models = sorted({model for roles in info["models"].values() for model in roles.values()})
    column = {name: tuple(cells[name].unique().sort()) for name in ("run_id", "domain", "seed")}
    return Origin(column["run_id"], column["domain"], column["seed"], tuple(models), str(info["version"]),
                  str(info["date"])[:10], bool(info["rehearsed"]))  # fmt: skip


def sheet(
    name: str, title: str, found: pl.DataFrame, columns: Mapping[str, Cell], note: str, origin: Origin
) -> Table:
    """Write a frame as a table, whose first column heads blocks; without rows, one that says so."""
    rows = [{head: cell(row) for head, cell in columns.items()} for row in found.to_dicts()]
    first, second, *_ = columns
    frame = pl.DataFrame(rows or [{first: "none", second: "none"}], schema=dict.fromkeys(columns, pl.String))
    return Table(name, title, frame, note.strip(), origin, group=first, data=found)


def mean(name: str, digits: int = 3) -> Cell:
    """Write means with their deviation over seeds."""
    return lambda row: spread(row, name, digits)


def counted(name: str) -> Cell:
    """Write counts; a dash where nothing was counted."""
    return lambda row: "–" if row[name] is None else f"{row[name]:,.0f}"


def seeds(row: Row) -> str:
    """Say how many seeds there are of those planned, and that one has no deviation."""
    n, planned = row["seeds"], row["planned"]
    text = str(n) if n == planned else f"{n} of {planned}"
    return f"{text}: no ±" if n == 1 else text


def absent(row: Row) -> str:
    """Say why a row has no numbers; nothing where it has."""
    return "" if row["seeds"] else "not run" if row["planned"] else "not planned"


def where(row: Row) -> str:
    """Name a row's setting."""
    return f"{row['domain']} · {row['simulator']}"


def condition(row: Row) -> str:
    """Name a row's condition."""
    return NAMES[row["condition"]]


def search(row: Row) -> str:
    """Name a search."""
    return str(row["search"]).replace("_", " ")


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def ends(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Write an interval."""
    if low is None or high is None:
        return ""
    return f"[{signed(low)}, {signed(high)}]" if sign else f"[{low:.3f}, {high:.3f}]".replace("-", "−")


def p_value(p: float) -> str:
    """Write a p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def tested(row: Row, what: str) -> str:
    """Write a tested difference: value, interval, a star where p < 0.05."""
    if row[what] is None:
        return ""
    star = "*" if row[f"{what}_p"] < SURE else ""
    return f"{signed(row[what])} {ends(row[f'{what}_low'], row[f'{what}_high'], sign=True)}{star}"


def stars(row: Row, measure: str) -> str:
    """Mark what differs from the base simulator (*) and from the seed program (†)."""
    signs = (("*", f"{measure}_vs_base"), ("†", f"{measure}_vs_initial"))
    return "".join(sign for sign, test in signs if row.get(test) is not None and row[test] < SURE)


def missing(cells: pl.DataFrame) -> str:
    """Say in words which of the planned cells are not there, and why."""
    gone = cells.filter(pl.col("status") != "done").with_columns(
        place=pl.format("{} · {} · {}", "domain", "simulator", pl.col("search").str.replace_all("_", " "))
    )
    parts = []
    for (place, reason), part in gone.group_by("place", "reason", maintain_order=True):
        what = ", ".join(NAMES[c] for c in part["condition"].unique(maintain_order=True))
        said = f": {plain(reason, 120).rstrip('.')}" if reason else ""
        parts.append(f"{place}, {spans(part['seed'].unique().sort().to_list())} ({what}){said}")
    return f"Not there: {'; '.join(parts)}." if parts else ""
