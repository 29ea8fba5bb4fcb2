"""How fast the views are on 500 candidates × 50 episodes, and the map on 50,000 points, in a real browser.

    python benchmarks/views.py [RUN]

RUN is multiplied to those sizes in a temporary directory; without it a small one is made. The first part is the
kernel's: the time to the first paint of the stepper and of a step in every tab, and the memory of a process that shows
stepper, changes and map. The second part opens both views in JupyterLab in a headless Chromium and takes the time from a
key press or a drag until the page shows it, and the longest time in which the page drew nothing.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from in_browser import Lab, browser_page, chromium, jupyterlab

import workbench as wb
from workbench.evolve import store
from workbench.evolve.run import Run
from workbench.show.stepping import TABS

CANDIDATES, EPISODES, POINTS = 500, 50, 50_000


def multiply(run: Run, path: Path, count: int) -> Run:
    """Copy a run with its candidates repeated, under new ids, until there are ``count`` of 50 episodes each."""
    shutil.copytree(run.path, path, ignore=shutil.ignore_patterns("lock", "candidates"))
    ids = [c for c in run.candidate_ids if run.candidates.filter(candidate_id=c)["status"][0] == "accepted"]
    (path / "candidates").mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        old, new = run.path / "candidates" / ids[i % len(ids)], path / "candidates" / f"{i:04d}"
        shutil.copytree(old, new)
        record = store.read_json(old / "candidate.json")
        parent = f"{i - 1 - i % 7:04d}" if i > 7 else "0000" if i else None
        record |= {"candidate_id": new.name, "generation": i, "parent": parent}
        store.write_json(new / "candidate.json", record)
        for file in new.glob("*.parquet"):
            frame = pl.read_parquet(file)
            if "candidate_id" in frame.columns:
                frame = frame.with_columns(candidate_id=pl.lit(new.name))
            if "dialogue_id" in frame.columns:
                kept = frame["dialogue_id"].unique(maintain_order=True)
                again = kept[np.arange(EPISODES) % len(kept)]
                name = pl.format("{}|{}|{}", pl.lit(new.name), pl.col("copy"), "dialogue_id")
                copies = pl.DataFrame({"dialogue_id": again, "copy": range(EPISODES)})
                frame = copies.join(frame, on="dialogue_id", maintain_order="left").with_columns(
                    dialogue_id=name
                )
            if file.stem == "fingerprints":  # no two alike, as in life
                noise = [
                    pl.col(c) + rng.normal(0, 0.05, len(frame))
                    for c in frame.columns
                    if frame[c].dtype == pl.Float64
                ]
                frame = frame.with_columns(noise)
            frame.drop("copy", strict=False).write_parquet(file)
    return wb.open_run(path)


def say(name: str, value: float, unit: str = "ms", limit: float | None = None) -> None:
    mark = "" if limit is None else f"   (limit {limit:,.0f}{'' if value <= limit else ', MISSED'})"
    print(f"{name:<58}{value:>10,.0f} {unit}{mark}", flush=True)


def timed(name: str, act: Callable[[], Any], limit: float | None = None) -> Any:
    began = time.perf_counter()
    found = act()
    say(name, 1000 * (time.perf_counter() - began), limit=limit)
    return found


def kernel(small: Run, big: Run) -> None:
    """Time what the kernel does."""
    wb.show.stepper(small)  # libraries are loaded
    view = timed(
        f"stepper, {CANDIDATES} candidates × {EPISODES} episodes", lambda: wb.show.stepper(big), 1500
    )
    for tab in TABS:
        view._receive(view, {"go": f"tab:{tab}"})
        timed(f"a step in tab {tab}", lambda: view._receive(view, {"go": "back"}), 150)
    timed("all changes on one page", lambda: wb.show.diffs(big), 1500)
    shown = timed(f"map of {CANDIDATES} × {EPISODES} conversations, with PCA", lambda: wb.show.map(big))
    rows = np.arange(0, len(shown.points), 3, dtype=np.uint32).tobytes()
    timed("a brush over a third of them", lambda: shown._brushed(None, {"brush": True}, [rows]), 300)
    timed("a click: nearest in the original space", lambda: shown._brushed(None, {"pick": 1}), 300)
    say("memory at its peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB", 600)


WATCH = """() => { window.longest = 0; let last = performance.now();
  const tick = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick); }"""
KEY = """(key) => new Promise((done, fail) => {
  const view = document.querySelector('.wb'), began = performance.now();
  new MutationObserver((_, watch) => { watch.disconnect(); requestAnimationFrame(() => setTimeout(() => done(performance.now() - began))); })
    .observe(view.querySelector('.wb-card'), { childList: true });
  setTimeout(() => fail(new Error(`${key} changed nothing`)), 5000);
  view.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); })"""
OPEN = """([code, shows]) => new Promise((done, fail) => {
  const app = window.jupyterapp, panel = app.shell.currentWidget, began = performance.now();
  const look = () => document.querySelector(shows) ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - began))) : setTimeout(look, 5);
  panel.content.activeCellIndex = panel.content.widgets.length - 1;
  panel.content.activeCell.model.sharedModel.setSource(code);
  setTimeout(() => fail(new Error(`${shows} did not come`)), 60000);
  void app.commands.execute('notebook:run-cell');
  look(); })"""


def page(lab: Lab, big: Path, huge: Path) -> None:
    """Time what a person waits for."""
    begin = "import time, workbench as wb\nrun = wb.open_run({!r})\nwb.show.{}"
    with browser_page() as tab:
        lab.cells(tab, "s.ipynb", begin.format(str(big), "stepper\nwb.show.stepper.__name__"))
        insert = "wb.show.stepper(run)"
        took = tab.evaluate(OPEN, [insert, ".wb table.diff"])
        say("page: stepper, from running its cell to its first paint", took, limit=1500)
        tab.locator(".wb").focus()
        for i, name in enumerate(TABS, 1):
            tab.keyboard.press(str(i))
            tab.locator(f"[data-go='tab:{name}'][aria-selected=true]").wait_for()
            steps = [tab.evaluate(KEY, "ArrowLeft") for _ in range(9)]
            say(f"page: a step in tab {name}, median of 9", sorted(steps)[4], limit=150)
    with browser_page() as tab:
        lab.cells(tab, "m.ipynb", begin.format(str(huge), "map\nwb.show.map.__name__"))
        took = tab.evaluate(OPEN, ["view = wb.show.map(run)\nview", "canvas[data-marks]"])
        canvas = tab.locator("canvas[data-marks]")
        canvas.scroll_into_view_if_needed()
        say("page: map, from running its cell to its first paint", took)
        say("page: points of the map", int(canvas.get_attribute("data-points")), "")
        say("page: marks drawn", int(canvas.get_attribute("data-marks")), "", 10_000)
        tab.wait_for_timeout(1000)
        box = canvas.bounding_box()
        tab.evaluate(WATCH)
        tab.mouse.move(box["x"] + 5, box["y"] + 5)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + box["height"] - 5, steps=40)
        began = time.perf_counter()
        tab.mouse.up()
        tab.locator("[data-go=save]").wait_for()
        say("page: a brush, until what it selected is told", 1000 * (time.perf_counter() - began))
        say("page: points selected", int(tab.locator("h4").inner_text().split()[0].replace(",", "")), "")
        say("page: marks drawn with them", int(canvas.get_attribute("data-marks")), "", 10_000)
        slider = tab.locator("input[type=range][data-go=until]")
        slider.focus()
        for _ in range(10):
            tab.keyboard.press("PageDown")
        tab.locator("select[name=color]").select_option("likeness")
        tab.get_by_text("not scored").wait_for()
        tab.wait_for_timeout(500)
        say(
            "page: longest stall while brushing, sliding, coloring", tab.evaluate("window.longest"), limit=300
        )
        say("page: longest redraw of the map", int(canvas.get_attribute("data-ms")), limit=300)


def main() -> None:
    if len(sys.argv) == 4:  # the kernel's part, in a process of its own so that its memory is its own
        kernel(wb.open_run(sys.argv[2]), wb.open_run(sys.argv[3]))
        return
    run = wb.open_run(sys.argv[1]) if len(sys.argv) > 1 else wb.show.demo_run()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        big = multiply(run, folder / "big", CANDIDATES)
        subprocess.run([sys.executable, __file__, "kernel", run.path, big.path], check=True)
        if not chromium():
            print("Chromium is not installed (Debian: apt install chromium), so the page is not measured.")
            return
        huge = multiply(run, folder / "huge", POINTS // EPISODES)
        with jupyterlab(folder, WORKBENCH_RUN=os.fspath(run.path)) as lab:
            page(lab, big.path, huge.path)


if __name__ == "__main__":
    main()
