"""The scores of a run, or of several side by side, as charts for a notebook."""

from __future__ import annotations

from typing import Any

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.show import charts as draw
from workbench.show import figures, frames
from workbench.show.tables import provenance


def scores(run: Run, *more: Run) -> Any:
    """Show fitness, human-likeness and coverage by generation; with more runs, every run is a thin line.

    People and base simulator are those of the first run. The frame behind it: ``frames.generations([run])``.

    Raises
    ------
    WorkbenchError
        When no candidate has been accepted yet.
    """
    origin = provenance(run) if not more else " | ".join(provenance(r) for r in (run, *more))
    frame = frames.generations([run, *more])
    if frame.is_empty():
        raise WorkbenchError(f"The run {run.path} has no accepted candidate yet; there is no score to show.")
    chart = draw.by_generation(frame, frames.references(run), origin)
    return figures.on_screen(chart)
