"""How fast the views are on a run of 500 candidates × 50 episodes and on a map of all its points.

    python benchmarks/views.py [RUN]

RUN is multiplied to that size in a temporary directory; without it a small one is made. Prints the time to the
first paint of the stepper, of a step in every tab, of the map and of a brush, and the memory of the process. What
the browser adds is measured by tests/test_notebooks.py, which fails above 300 ms for a redraw of the map.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import workbench as wb
from workbench.evolve import store
from workbench.evolve.run import Run

CANDIDATES = 500


def multiply(run: Run, folder: Path, count: int) -> Run:
    """Copy a run with its candidates repeated, under new ids, until there are ``count``."""
    path = folder / "big"
    shutil.copytree(run.path, path, ignore=shutil.ignore_patterns("lock", "candidates"))
    ids = [c for c in run.candidate_ids if run.candidates.filter(candidate_id=c)["status"][0] == "accepted"]
    (path / "candidates").mkdir()
    for i in range(count):
        old, new = run.path / "candidates" / ids[i % len(ids)], path / "candidates" / f"{i:04d}"
        shutil.copytree(old, new)
        record = store.read_json(old / "candidate.json")
        record |= {
            "candidate_id": new.name,
            "generation": i,
            "parent": f"{i - 1 - i % 7:04d}" if i > 7 else "0000" if i else None,
        }
        store.write_json(new / "candidate.json", record)
        for file in new.glob("*.parquet"):
            frame = pl.read_parquet(file)
            names = [pl.lit(new.name).alias("candidate_id")] if "candidate_id" in frame.columns else []
            if "dialogue_id" in frame.columns:
                names.append(pl.col("dialogue_id").str.replace(r"^[^|]*", new.name))
            frame.with_columns(names).write_parquet(file)
    return wb.open_run(path)


def timed(name: str, act: Callable[[], Any], limit: float | None = None) -> Any:
    began = time.perf_counter()
    found = act()
    took = time.perf_counter() - began
    print(
        f"{name:<44}{1000 * took:>10.0f} ms" + (f"   (limit {1000 * limit:.0f})" if limit else ""), flush=True
    )
    return found


def main() -> None:
    run = wb.open_run(sys.argv[1]) if len(sys.argv) > 1 else wb.show.demo_run()
    with tempfile.TemporaryDirectory() as folder:
        big = multiply(run, Path(folder), CANDIDATES)
        wb.show.stepper(run)  # libraries are loaded
        view = timed(f"stepper, first paint ({CANDIDATES} candidates)", lambda: wb.show.stepper(big), 1.5)
        for tab in (
            "diff",
            "axes",
            "reflection",
            "mutation",
            "scores",
            "personas",
            "episodes",
            "lineage",
            "archive",
        ):
            view._receive(view, {"go": f"tab:{tab}"})
            timed(f"a step in tab {tab}", lambda: view._receive(view, {"go": "back"}), 0.15)
        timed("all changes on one page", lambda: wb.show.diffs(big))
        shown = timed("map, with PCA", lambda: wb.show.map(big))
        rows = np.arange(0, len(shown.points), 3, dtype=np.uint32).tobytes()
        print(f"{'points, of which drawn':<44}{len(shown.points):>10,} {len(shown.canvas.drawn) // 4:,}")
        timed("a brush over a third of them", lambda: shown._brushed(None, {"brush": True}, [rows]), 0.3)
        timed("a click: nearest in the original space", lambda: shown._brushed(None, {"pick": 1}), 0.3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'memory at its peak':<44}{peak:>10.0f} MiB   (limit 600)")


if __name__ == "__main__":
    main()
