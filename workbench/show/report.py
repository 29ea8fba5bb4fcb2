"""Write a run's figures and tables to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.show import tables


def write(run: Run, folder: str | Path) -> list[Path]:
    """Write tables (CSV, Markdown, LaTeX) and figures (SVG, PNG, PDF); return the files.

    The same run gives the same bytes.

    Raises
    ------
    WorkbenchError
        When the folder cannot be written, or the run has no held-out results.
    """
    from workbench.show import figures

    frame = tables.conditions(run)
    out = Path(folder)
    caption = f"Held-out comparison of conditions. {tables.provenance(run)}."
    texts = {
        "conditions.csv": frame.write_csv(),
        "conditions.md": f"{tables.markdown(frame)}\n{caption}\n",
        "conditions.tex": tables.latex(frame, caption),
    }
    files = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text)
            files.append(out / name)
        for name, chart in charts(run).items():
            files += figures.save(chart, out, name)
    except OSError as error:
        raise WorkbenchError(f"{out} cannot be written: {error.strerror or error}.") from None
    return files


def write_seeds(runs: Sequence[Run], folder: str | Path) -> list[Path]:
    """Write a report of each seed in a folder of its own, and the comparison over seeds beside them.

    Raises
    ------
    WorkbenchError
        When the folder cannot be written, or a run has no held-out results.
    """
    out = Path(folder)
    frame = tables.seeds(runs)
    caption = f"Held-out comparison over {len(runs)} seeds. {tables.provenance(runs[0])}."
    files = [f for run in runs for f in write(run, out / f"seed-{run.settings.seed}")]
    texts = {
        "seeds.csv": frame.write_csv(),
        "seeds.md": f"{tables.markdown(frame)}\n{caption}\n",
        "seeds.tex": tables.latex(frame, caption),
    }
    for name, text in texts.items():
        (out / name).write_text(text)
        files.append(out / name)
    return files


def charts(run: Run) -> dict[str, Any]:
    """Return the figures of a run by file name; those of held-out results only once it is evaluated."""
    from workbench.show import charts as draw
    from workbench.show import frames

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
