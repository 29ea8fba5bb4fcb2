"""The command that makes a paper's tables and figures: run or complete a plan, or draw what was run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands import Add
from workbench.errors import WorkbenchError
from workbench.terminal import fresh_line, show_progress

if TYPE_CHECKING:
    import polars as pl

    from workbench.evolve.matrix import Matrix
    from workbench.evolve.plan import Plan

EXAMPLES = """examples:
  workbench paper data/plans/rehearsal.toml --jobs 2        offline, under 15 minutes on two cores
  workbench paper data/plans/paper.toml --dry-run           what the paper's own matrix would take
  workbench paper data/paper_run -o figures                 only draw, from the frames that ship"""


def register(add: Add) -> None:
    """Add the command to the command line."""
    sub = add(
        paper,
        "Run or complete a plan of experiments and draw every table and figure; or draw from its frames.",
        EXAMPLES,
    )
    sub.add_argument("source", metavar="PLAN.toml|DIR", help="a plan, or a folder of frames to draw from")
    sub.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="of a plan: runs, frames and figures (default: runs/NAME); of frames: figures (default: figures)",
    )
    sub.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    sub.add_argument("--dry-run", action="store_true", help="check the plan and estimate; ask nothing")
    sub.add_argument(
        "--against", metavar="DIR", help="compare the frames with those of DIR; exit code 1 where they differ"
    )


def paper(args: argparse.Namespace) -> None:
    """Run or complete a plan and draw it, or draw frames."""
    from workbench.evolve.matrix import differences, open_matrix

    source = Path(args.source)
    if args.jobs < 1:
        raise WorkbenchError(f"--jobs is {args.jobs}; ask for one process or more.")
    if source.is_dir():
        matrix = open_matrix(source)
        figures = Path(args.output or "figures")
    else:
        out = Path(args.output or Path("runs") / source.stem)
        found = _run(source, out, args.jobs, dry=args.dry_run)
        if found is None:
            return
        matrix, figures = found, out / "figures"
    if args.against:
        wrong = differences(matrix, open_matrix(args.against))
        print("\n".join(wrong) or f"The frames are those of {args.against}, to three digits.")
        if wrong:
            raise SystemExit(1)
        return
    from workbench.show.paper import write

    files = write(matrix, figures)
    print(f"{len(files)} files in {figures}/.")


def _run(source: Path, out: Path, jobs: int, *, dry: bool) -> Matrix | None:
    """Complete a plan below ``out`` and return its frames; None after a dry run."""
    from workbench.evolve import frames
    from workbench.evolve.matrix import complete
    from workbench.evolve.plan import read_plan
    from workbench.show.panels import run_panel

    plan = read_plan(source)
    _announce(plan)
    if dry:
        _unasked(plan)
        return None
    root = out / "runs"
    reasons = complete(plan, root, jobs=jobs, report=show_progress)
    fresh_line()
    for cell, reason in zip(plan.cells, reasons, strict=True):
        if reason:
            print(f"failed: {cell.name}: {reason}")
    print("Frames …", flush=True)
    matrix = frames.write(plan, root, reasons, out / "frames", panel=run_panel, layout=_layout, jobs=jobs)
    states = dict(matrix.cells["status"].value_counts(sort=True).iter_rows())
    counts = ", ".join(f"{count} {status}" for status, count in states.items())
    print(f"Cells: {counts}. Frames in {matrix.path}/; failed ones are tried again by the same command.")
    return matrix


def _announce(plan: Plan) -> None:
    """Print what a plan takes."""
    import polars as pl

    from workbench.evolve.matrix import planned

    table = planned(plan)
    print(f"{plan.title}: {len(plan.cells)} searches and transfers; by what rehearsal episodes took:")
    sums = [pl.col(c).sum() for c in ("episodes", "requests", "tokens_in", "tokens_out")]
    by = ["domain", "simulator", "search"]
    rows = table.group_by(by, maintain_order=True).agg(
        pl.len(), *sums, pl.when(pl.col("cost").null_count() == 0).then(pl.col("cost").sum())
    )
    for row in rows.iter_rows(named=True):
        print(f"  {_line(row)}  {row['len']} × {', '.join(row[c] for c in by)}")
    known = table["cost"].drop_nulls()
    total = table.select(sums).row(0, named=True) | {"cost": known.sum() if len(known) else None}
    print(f"  {_line(total)}  in all{', known prices only' if 0 < len(known) < len(table) else ''}")


def _unasked(plan: Plan) -> None:
    """Print the models that only a run would find out about: a dry run asks nothing."""
    found = {e for cell in plan.cells for e in cell.settings.roles.values() if not e.offline}
    if found:
        print("Not asked, so not known to answer:")
    for e in sorted(found, key=lambda e: (e.base_url or "", e.model)):
        key = "" if os.environ.get(e.api_key_env) else f" ({e.api_key_env} is not set)"
        print(f"  {e.model} at {e.base_url or 'OpenAI'}{key}")


def _line(row: dict[str, Any]) -> str:
    money = " unknown price" if row["cost"] is None else f"${row['cost']:>13,.2f}"
    return (
        f"{row['episodes']:>8,} episodes {row['requests']:>10,} requests "
        f"{row['tokens_in'] / 1e6:9.1f}M in {row['tokens_out'] / 1e6:7.2f}M out {money}"
    )


def _layout(prints: pl.DataFrame) -> pl.DataFrame:
    """Lay fingerprints out by principal components and by UMAP, a domain at a time, scaled by people's spread."""
    import numpy as np
    import polars as pl

    from workbench.llm import loop
    from workbench.measure import FEATURES
    from workbench.show.embedding import pca, standardized, umap

    parts = []
    for part in prints.partition_by("domain", maintain_order=True):
        people = (part["condition"] == "humans").to_numpy()
        everyone = np.ones(len(part), dtype=bool)
        vectors = standardized(part.select(FEATURES).to_numpy(), people)
        flat = {"pca": pca(vectors, everyone), "umap": loop.run(umap(vectors, everyone))}
        columns = {
            f"{name}_{axis}": xy[:, i].astype(float)
            for name, xy in flat.items()
            for i, axis in enumerate("xy")
        }
        about = part.select("domain", "simulator", "search", "seed", "condition", "task_id", "dialogue_id")
        parts.append(about.with_columns(pl.Series(k, v) for k, v in columns.items()))
    return pl.concat(parts)
