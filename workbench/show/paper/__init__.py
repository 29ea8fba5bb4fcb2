"""The paper from a matrix: every table and figure, a page that shows them, a LaTeX document that holds them."""

from __future__ import annotations

import difflib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.show import page as html
from workbench.show.figures import Figure
from workbench.show.markup import empty, esc
from workbench.show.origin import REHEARSED
from workbench.show.paper.cells import origin_of, where
from workbench.show.paper.figures import figures
from workbench.show.paper.numbers import CELL, MAIN
from workbench.show.paper.tables import tables
from workbench.show.report import put
from workbench.show.typeset import Table, latex

__all__ = ["cite", "figures", "origin_of", "shown", "tables", "write"]


def write(matrix: Any, folder: str | Path, *, venue: str = "neurips") -> list[Path]:
    """Write all tables (LaTeX, Markdown, CSV) and figures (SVG, PDF, PNG, CSV) of a matrix; return the files.

    Beside them: ``index.html``, which shows everything without a network; ``paper.tex``, which compiles to a PDF of
    everything (``make latex``); ``provenance.json``, which names for each artefact its runs, seeds, models, version and
    the runs' own date. The same frames give the same bytes (a PDF is rewritten only when its SVG changed).

    Parameters
    ----------
    matrix
        From :func:`workbench.evolve.matrix.open_matrix`.
    folder
        Made where missing; files of other names in it stay.
    venue
        neurips, icml or acl: how wide figures are.

    Raises
    ------
    WorkbenchError
        When the folder cannot be written, the venue is unknown, or the matrix has not one run.
    """
    if matrix.cells.filter(status="done").is_empty():
        raise WorkbenchError(
            "No cell of this matrix is done, so there is nothing to draw; run its plan first."
        )
    out = Path(folder)
    show = shown(matrix)
    drawn = [item for item in show.values() if isinstance(item, Figure)]
    sheets = [item for item in show.values() if isinstance(item, Table)]
    texts = {name: text for sheet in sheets for name, text in sheet.files().items()}
    texts["paper.tex"] = document(matrix, sheets, drawn)
    texts["provenance.json"] = provenance(sheets, drawn)
    texts["index.html"] = page(matrix, show, venue)
    files = put(out, texts)
    return files + [file for figure in drawn for file in figure.save(out, venue)]


def shown(matrix: Any) -> dict[str, Table | Figure | str]:
    """Return all tables and figures by name, with a sentence in place of a figure that the matrix does not allow."""
    drawn, absent = figures(matrix)
    items: list[Table | Figure] = [*tables(matrix), *drawn]
    return {**{item.name: item for item in items}, **absent}


def cite(matrix: Any) -> str:
    """Return how to cite these numbers: what, by which version, from which runs, and the paper behind it all."""
    origin = origin_of(matrix)
    made = (
        f"Rehearsal models, seeds {', '.join(map(str, origin.seeds))}"
        if origin.rehearsed
        else ", ".join(origin.models)
    )
    note = f"{made}; runs {', '.join(origin.runs)}"
    return (
        f"@misc{{workbench-{origin.date},\n"
        "  title  = {Persona Policies workbench: tables and figures},\n"
        f"  note   = {{{latex(note)}}},\n"
        f"  version = {{{latex(origin.version)}}},\n  date   = {{{origin.date}}}\n}}\n\n"
        "@misc{chopra2026persona,\n  title  = {Persona Policies},\n  author = {Chopra and others},\n"
        "  year   = {2026},\n  eprint = {2605.12894},\n  archivePrefix = {arXiv}\n}\n"
    )


def document(matrix: Any, sheets: list[Table], drawn: list[Figure]) -> str:
    """Return a LaTeX document of all tables and figures; compile it where they lie."""
    pictures = [
        "\n".join(
            [r"\begin{figure}[tp]", r"\centering", rf"\includegraphics{{{f.name}.pdf}}",
             rf"\caption[{latex(f.title)}]{{{latex(f'{f.title}. {f.note}')}}}\label{{fig:{f.name}}}", r"\end{figure}"]
        )
        for f in drawn
    ]  # fmt: skip
    origin = origin_of(matrix)
    title = "Rehearsal: tables and figures" if origin.rehearsed else "Tables and figures"
    return "\n".join(
        [r"\documentclass{article}", r"\usepackage[T1]{fontenc}", r"\usepackage[utf8]{inputenc}", r"\usepackage{mathptmx}",
         r"\usepackage[letterpaper,textwidth=5.5in,textheight=9in]{geometry}",
         r"\usepackage{booktabs,graphicx,longtable,lscape,textcomp}", r"\usepackage[font=small]{caption}",
         rf"\title{{{title}}}", rf"\date{{{origin.date}}}", r"\begin{document}", r"\maketitle",
         latex(f"From {origin.line}. " + REHEARSED * origin.rehearsed), r"\listoftables\listoffigures\clearpage",
         *[line for sheet in sheets for line in (rf"\input{{{sheet.name}.tex}}", r"\clearpage" * (len(sheet.frame) > 18))],
         r"\clearpage", *pictures, r"\end{document}", ""]
    )  # fmt: skip


def provenance(sheets: list[Table], drawn: list[Figure]) -> str:
    """Return where each artefact comes from, as JSON."""
    made = {s.name: s.origin for s in sheets} | {f.name: f.origin for f in drawn}
    origins = list(dict.fromkeys(origin for origin in made.values() if origin))
    of = {name: origins.index(origin) if origin else "data/paper/*.csv" for name, origin in made.items()}
    record = {"origins": [origin.record() for origin in origins], "artefacts": of}
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def page(matrix: Any, show: dict[str, Table | Figure | str], venue: str = "neurips") -> str:
    """Return the page: results, the search, programs, conversations, what failed, the runs."""
    blocks = {
        name: empty(item)
        if isinstance(item, str)
        else item.html(venue)
        if isinstance(item, Figure)
        else item.html()
        for name, item in show.items()
    }
    origin = origin_of(matrix)
    lead = [esc(f"From {origin.line}.")]
    lead += [f'<span class="warn">{esc(REHEARSED)}</span>'] if origin.rehearsed else []
    features = sorted(name for name in show if name.startswith("fig_features_"))

    def section(head: str, *names: str) -> html.Section:
        return head, "", [blocks[name] for name in names if name in blocks]

    fooled = ("goodhart", "discriminator", "features", *features, "fig_maps", "fig_coverage_n")
    search = (
        "fig_components",
        "fig_archive",
        "fig_axes",
        "fig_axis_lives",
        "fig_lineage",
        "cost",
        "failures",
    )
    first = "The first batches of the seed program and of a winner, on train tasks."
    sections = [
        section("Results", "main", "main_equal_n", "gains", "fig_gains", "fig_dimensions", "beside_paper"),
        section("What could fool them", *fooled),
        section("Success and faults", "success", "faults"),
        section("The search", *search),
        ("The winners' programs", "Each step from the seed program to the winner.", descent(matrix)),
        ("Conversations", first, conversations(matrix)),
        section("Ablations and transfer", "ablations", "transfer", "fig_transfer"),
        section("The paper's own tables", "quirks"),
        section("Runs", "runs"),
        ("Cite this", "", [f"<pre>{esc(cite(matrix))}</pre>"]),
    ]
    return html.page("Persona policies: tables and figures", lead, sections)


def descent(matrix: Any) -> list[str]:
    """Show the changes from each seed program to its winner, folded step by step."""
    blocks = []
    path = matrix.programs.filter(search=MAIN).sort(*CELL, "seed", "candidate_id")
    for part in path.partition_by(*CELL, "seed", maintain_order=True):
        for old, new in pairwise(part.to_dicts()):
            ids = old["candidate_id"], new["candidate_id"]
            texts = old["source"].splitlines(), new["source"].splitlines()
            change = "\n".join(difflib.unified_diff(*texts, *ids, lineterm=""))
            head = f"{where(new)} · seed {new['seed']}: {' → '.join(ids)}"
            blocks.append(f"<details><summary>{esc(head)}</summary>{html.diff(change)}</details>")
    return blocks or [empty("No winner differs from the seed program.")]


def conversations(matrix: Any) -> list[str]:
    """Show the conversations that ship with the matrix, folded."""
    turns = matrix.transcripts
    if turns.is_empty():
        return [empty("No conversation ships with this matrix.")]
    blocks = []
    for part in turns.sort("candidate_id", "dialogue_id", "turn").partition_by(
        "candidate_id", "dialogue_id", maintain_order=True
    ):
        row = part.row(0, named=True)
        spoken = part.filter(pl.col("role").is_in(["user", "assistant"]), pl.col("content") != "")
        end = row["fault"] or ("success" if row["success"] else "no success")
        head = f"{row['domain']}, candidate {row['candidate_id']}, task {row['task_id']}, {row['persona_id']}: P(human) {row['likeness']:.2f}, {end}"
        blocks.append(html.dialogue(spoken.select("role", "content").iter_rows(), head))
    return blocks
