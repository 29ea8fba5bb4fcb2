"""A run for the notebooks: the one that is named, that of ``make demo``, or a small one made at once."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from workbench.evolve.run import Run, open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings

SMALL = Settings(
    seed=7,
    generations=4,
    train_tasks=6,
    validation_tasks=2,
    test_tasks=4,
    window=3,
    stages=(3, 4),
    test_personas=4,
    islands=2,
)


def demo_run() -> Run:
    """Open the run in WORKBENCH_RUN, else ``runs/demo`` here or a folder above; else make a small one offline.

    The small one takes some seconds with the rehearsal models, in a temporary directory.

    Raises
    ------
    WorkbenchError
        When WORKBENCH_RUN names something that is no run.
    """
    if named := os.environ.get("WORKBENCH_RUN"):
        return open_run(named)
    for folder in (Path.cwd(), *Path.cwd().parents[:2]):
        if (folder / "runs" / "demo" / "run.json").exists():
            return open_run(folder / "runs" / "demo")
    print("No run yet ('make demo' makes a full one), so here is a small one with the rehearsal models …")
    return small_run()


def small_run(seed: int = SMALL.seed) -> Run:
    """Make a small run with the rehearsal models, in a temporary directory; it takes some seconds."""
    from workbench.evolve import conditions

    path = Path(tempfile.mkdtemp(prefix="workbench-")) / "small"
    with Search(path, replace(SMALL, seed=seed)) as search:
        search.finish()
        conditions.evaluate(search)
    return open_run(path)


def copy_of(run: Run) -> Path:
    """Copy a run to a temporary directory, to try things without touching the original."""
    path = Path(tempfile.mkdtemp(prefix="workbench-")) / run.path.resolve().name
    shutil.copytree(run.path, path, ignore=shutil.ignore_patterns("lock", ".tmp-*"))
    return path
