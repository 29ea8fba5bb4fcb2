"""The scores of a run, or of several side by side, as charts for a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve.damage import told
from workbench.evolve.run import Run
from workbench.show import audit, audit_charts, figures, frames
from workbench.show import charts as draw
from workbench.show.markup import code, empty
from workbench.show.tables import provenance
from workbench.show.view import View


class Chart(NamedTuple):
    """A chart: the code of the frame behind it, that frame, and what draws it with a line of provenance."""

    code: str
    frame: Callable[[Run], pl.DataFrame]
    draw: Callable[[pl.DataFrame, str], Any]


CHARTS = {
    "conditions": Chart("frames.conditions(run)", frames.conditions, draw.by_condition),
    "alignment": Chart("frames.conditions(run)", frames.conditions, draw.alignment),
    "realism": Chart("frames.episodes(run)", frames.episodes, draw.realism_and_success),
    "archive": Chart("frames.cells(run)", frames.cells, draw.archive),
    "lambda": Chart("audit.lambda_ranks(run)", audit.lambda_ranks, audit_charts.lambda_ranks),
    "axes": Chart("audit.axis_effects(run)", audit.axis_effects, audit_charts.axis_effects),
    "coverage": Chart("audit.coverages(run)", audit.coverages, draw.coverages),
}


def scores(run: Run, *more: Run, what: str = "generations") -> Any:
    """Show one chart of a run's scores, and the code of the frame behind it.

    Parameters
    ----------
    run, more
        With more runs, ``generations`` draws each as a thin line, their mean and the band from worst to best; people
        and base simulator are those of the first. The other charts are of one run.
    what
        generations (fitness, human-likeness and coverage), conditions, alignment, realism (does it cost success?),
        archive, lambda (the ranking as coverage weighs more), axes (what each adds), coverage (by three rules).

    Raises
    ------
    WorkbenchError
        When there is no such chart, or the run has nothing to draw in it yet.
    """
    if problem := next((r.problem for r in (run, *more) if r.problem), ""):
        raise WorkbenchError(problem)
    if what == "generations":
        origin = " | ".join(provenance(r) for r in (run, *more))
        line = f"frames.generations([run{', other' if more else ''}])"
        frame = frames.generations([run, *more])
        chart = draw.by_generation(frame, frames.references(run), origin) if len(frame) else None
    elif what in CHARTS:
        line, of, paint = CHARTS[what]
        frame = of(run)
        chart = paint(frame, provenance(run)) if len(frame) else None
    else:
        raise WorkbenchError(f"There is no chart '{what}'; the charts are generations, {', '.join(CHARTS)}.")
    if chart is None:
        raise WorkbenchError(f"The run {run.place} {_lacks(run)}.")
    notes = [f"{r.run_id}: {said}" for r in (run, *more) if (said := told(r.damage))]
    return on_screen(chart, line, " ".join(notes))


def _lacks(run: Run) -> str:
    """Say why a run has nothing to draw."""
    if run.candidates.filter(status="accepted").is_empty():
        return "has no accepted candidate yet; there is no score to show"
    if not run.conditions:
        return f"has no held-out results yet; run 'workbench evaluate {run.place}'"
    return "has nothing to draw in this chart"


def on_screen(chart: Any, line: str, note: str = "") -> Any:
    """Return a chart for JupyterLab with what it says as alternative text, and a note and the code behind it below."""
    import ipywidgets

    title = chart.to_dict()["title"]
    said = " ".join([title["text"], *title.get("subtitle", [])])
    below = View(lambda go, fields: None, label=f"Code behind: {said[:80]}")
    below.body = (empty(note) if note else "") + code(
        f"from workbench.show import {line.split('.', maxsplit=1)[0]}", line
    )
    return ipywidgets.VBox([figures.on_screen(chart), below.add_class("wb-code")])
