"""The scores of a run, or of several side by side, as charts for a notebook."""

from __future__ import annotations

from typing import Any

from workbench.evolve.run import Run
from workbench.show import charts as draw
from workbench.show import figures, frames
from workbench.show.tables import provenance


def scores(run: Run, *more: Run) -> Any:
    """Show fitness, human-likeness and coverage by generation; with more runs, every run is a thin line.

    People and base simulator are those of the first run. The frame behind it: ``frames.generations([run])``.
    """
    origin = provenance(run) if not more else " | ".join(provenance(r) for r in (run, *more))
    chart = draw.by_generation(frames.generations([run, *more]), frames.references(run), origin)
    return figures.on_screen(chart)
