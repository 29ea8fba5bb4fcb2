"""Write a run's figures and tables to a folder."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.show import tables


def write(run: Run, folder: str | Path) -> list[Path]:
    """Write tables (CSV, Markdown, LaTeX) and figures (SVG, PNG, PDF); return the files.

    Raises
    ------
    WorkbenchError
        When the folder cannot be written, or the run has no held-out results.
    """
    out = Path(folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkbenchError(f"{out} cannot be made a folder: {error.strerror}.") from None
    frame = tables.conditions(run)
    caption = f"Held-out comparison of conditions. {tables.provenance(run)}."
    texts = {
        "conditions.csv": frame.write_csv(),
        "conditions.md": f"{tables.markdown(frame)}\n{caption}\n",
        "conditions.tex": tables.latex(frame, caption),
    }
    files = []
    for name, text in texts.items():
        (out / name).write_text(text)
        files.append(out / name)
    return files
