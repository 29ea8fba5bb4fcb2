"""Write a run's figures, tables and page to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve.damage import told
from workbench.evolve.run import Run
from workbench.show import charts as draw
from workbench.show import figures, frames, tables
from workbench.show.markup import empty, esc
from workbench.show.origin import REHEARSED, Origin
from workbench.show.page import dialogue, diff, page
from workbench.show.typeset import Table, plain


def write(run: Run, folder: str | Path) -> list[Path]:
    """Write tables (CSV, Markdown, LaTeX), figures (SVG, PNG, PDF) and ``index.html``; return the files.

    The same run gives the same bytes. The page holds everything, and needs no network to be read.

    Raises
    ------
    WorkbenchError
        When the folder cannot be written, or the run has no held-out results.
    """
    out = Path(folder)
    sheets = sheets_of(run)
    texts = {name: text for sheet in sheets for name, text in sheet.files().items()}
    drawn = charts(run)
    files = put(out, texts | {"index.html": _page(run, sheets, drawn)})
    return files + [f for name, chart in drawn.items() for f in figures.save(chart, out, name)]


def write_seeds(runs: Sequence[Run], folder: str | Path) -> list[Path]:
    """Write a report of each seed in a folder of its own, and the comparison over seeds beside them.

    Raises
    ------
    WorkbenchError
        When the folder cannot be written, or a run has no held-out results.
    """
    out = Path(folder)
    title = f"Held-out comparison over {len(runs)} seeds"
    note = "Mean ± one standard deviation over seeds."
    sheet = Table("seeds", title, tables.seeds(runs), note, Origin.of(runs))
    files = [f for run in runs for f in write(run, out / f"seed-{run.settings.seed}")]
    return files + put(out, sheet.files())


def put(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Write texts to files of a folder, which is made; return the files.

    Raises
    ------
    WorkbenchError
        When the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkbenchError(f"{folder} cannot be written: {error.strerror or error}.") from None
    return [folder / name for name in texts]


def sheets_of(run: Run) -> list[Table]:
    """Return the tables of a run: conditions, candidates, what failed."""
    origin = Origin.of([run])
    found = run.candidates

    def number(column: str) -> pl.Expr:
        return pl.col(column).round(3).cast(pl.String)

    search = found.select(
        Candidate="candidate_id",
        Parent="parent",
        Author="author",
        Generation=pl.col("generation").cast(pl.String),
        Status=pl.when("new_best").then(pl.lit("new best")).otherwise("status"),
        HL=number("human_likeness"),
        Coverage=number("coverage"),
        Fitness=number("fitness"),
        Success=number("success"),
        Episodes=pl.col("n_episodes").cast(pl.String),
        Failed=pl.col("n_failed").cast(pl.String),
        Faulty=pl.col("n_faults").cast(pl.String),
        Reason=pl.col("reason").map_elements(lambda r: plain(r, 120), return_dtype=pl.String),
    )
    compared = run.conditions or not run.missing  # a run of ours without them says how to get them
    return [
        *([Table("conditions", "Held-out comparison of conditions", tables.conditions(run),
              "± half a 95 % interval clustered by task. Score and coverage by the paper's protocol (the base simulator "
              "runs a task once), then at equal N.", origin)] if compared else []),
        Table("candidates", f"The search: {len(found)} programs", search,
              "Scores are of each program's own batch of train tasks; a rejected program has its reason.", origin),
        Table("failures", "What failed on held-out tasks", failures(run),
              "Errors end an episode and keep it out of every mean; faults are what a simulated user did to spoil its "
              "task, and stay in.", origin),
    ]  # fmt: skip


def failures(run: Run) -> pl.DataFrame:
    """Count errors and faults of held-out episodes by condition."""
    kinds = {"error": "failed", "fault": "fault"}
    parts = [
        run.episodes.filter(pl.col("split") == "test", pl.col(column).is_not_null())
        .group_by("condition", pl.col(column).alias("what"))
        .agg(n=pl.len())
        .with_columns(kind=pl.lit(word))
        for column, word in kinds.items()
    ]
    return (
        pl.concat(parts)
        .sort("condition", "kind", "n", "what", descending=[False, False, True, False])
        .select(
            Condition=pl.col("condition").replace(tables.NAMES),
            Kind="kind",
            What=pl.col("what").map_elements(plain, return_dtype=pl.String),
            Episodes=pl.col("n").cast(pl.String),
        )
        .collect()
    )


def charts(run: Run) -> dict[str, Any]:
    """Return the figures of a run by file name; those of held-out results only once it is evaluated."""
    origin = tables.provenance(run)
    out: dict[str, Any] = {}
    if len(by_generation := frames.generations([run])):
        out["generations"] = draw.by_generation(by_generation, frames.references(run), origin)
        out["archive"] = draw.archive(frames.cells(run), origin)
    if run.conditions:
        held_out = frames.conditions(run)
        out["conditions"] = draw.by_condition(held_out, origin)
        out["alignment"] = draw.alignment(held_out, origin)
        if len(episodes := frames.episodes(run)):
            out["realism_and_success"] = draw.realism_and_success(episodes, origin)
    return out


def _page(run: Run, sheets: Sequence[Table], drawn: dict[str, Any]) -> str:
    origin = Origin.of([run])
    lead = [esc(origin.line)]
    if origin.rehearsed:
        lead.append(f'<span class="warn">{esc(REHEARSED)}</span>')
    lead += [esc(text) for text in (run.lacks, told(run.damage)) if text]
    *held_out, search, failed = sheets
    pictures = [f'<figure id="fig-{n}">{figures.inline(c, f"{n}-")}</figure>' for n, c in drawn.items()]
    said = []
    evolved = run.episodes.filter(pl.col("condition") == "evolved", pl.col("likeness").is_not_null())
    shown = evolved.sort("likeness", "dialogue_id").collect()
    for row in pl.concat([shown.tail(1), shown.head(1)]).unique(maintain_order=True).to_dicts():
        turns = run.turns.filter(pl.col("dialogue_id") == row["dialogue_id"]).sort("turn").collect()
        heading = (
            f"task {row['task_id']}, {row['persona_id']}: P(human) {row['likeness']:.2f}, "
            f"{'success' if row['success'] else 'no success'}{', ' + row['fault'] if row['fault'] else ''}"
        )
        said.append(dialogue(turns.select("role", "content").iter_rows(), heading))
    best = run.best
    change = run.diff(best, "0000") if best != "0000" else ""
    nothing = "The best program is the seed program: nothing was found better."
    program = [diff(change) if change else empty(nothing)]
    if thought := run.reflection(best):
        program.append(f"<h3>Reflection on it</h3><pre>{esc(thought)}</pre>")
    none = [empty("The run has none.")]
    spoken = "Of the evolved program: the likest and the least like a person."
    parts = [
        ("Held-out tasks", "", [s.html() for s in held_out] + pictures[2:] or none),
        ("The search", "", [*pictures[:2], search.html()]),
        ("The best program", f"Program {best} against the seed program.", program),
        ("Conversations", spoken, said or none),
        ("What failed", "", [failed.html() if len(failed.frame) else empty("Nothing failed.")]),
    ]
    return page(f"Persona policies on {run.settings.domain}, seed {run.settings.seed}", lead, parts)
